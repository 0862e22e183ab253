"""The database, for commands that use it directly, whether `up` runs or not."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.postgres.connection import Postgres
    from ytcaption.settings.settings import Settings


def settle_restore(settings: "Settings") -> None:
    """End a restore that was cut short, and say on standard error how.

    Raises:
        SetupError: a restore is in progress.
        StorageError: it cannot be ended now.
    """
    from resources.postgres.restore_mark import journal_path

    if not journal_path(settings).exists():
        return
    from resources.backup.recovery import settle  # seconds: only where there is one

    done = settle(settings)
    if done is not None:
        sys.stderr.write(f"ytcaption: {done}\n")


@contextmanager
def opened_database() -> "Iterator[tuple[Settings, Postgres]]":
    """Yield the settings and a migrated database with all rights; start the embedded one if needed.

    Raises:
        as `migrated_postgres` and `settle_restore`.
    """
    from resources.postgres.connection import Postgres, close_pools
    from resources.postgres.migrate import migrated_postgres
    from resources.postgres.urls import database_urls
    from ytcaption.settings.settings import load_settings

    settings = load_settings()
    settle_restore(settings)
    with migrated_postgres(settings):
        try:
            yield settings, Postgres.from_settings(settings, "admin")
        finally:
            close_pools(database_urls(settings))
