"""The database, for commands that use it directly, whether `up` runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.postgres.connection import Postgres
    from ytcaption.settings.settings import Settings


@contextmanager
def opened_database() -> "Iterator[tuple[Settings, Postgres]]":
    """Yield the settings and a migrated database with all rights; start the embedded one if needed.

    Raises:
        as `migrated_postgres`.
    """
    from resources.postgres.connection import Postgres, close_pools
    from resources.postgres.migrate import migrated_postgres
    from resources.postgres.urls import database_urls
    from ytcaption.settings.settings import load_settings

    settings = load_settings()
    with migrated_postgres(settings):
        try:
            yield settings, Postgres.from_settings(settings, "admin")
        finally:
            close_pools(database_urls(settings))
