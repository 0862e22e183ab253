"""The marks of a restore that has begun and not ended, which every entry point honours.

One is a file of the home: the restore's journal. It keeps commands and processes of this
installation from the databases until the restore has been completed or undone. The other is a table
of the new database. It keeps processes of other machines away from the moment that the database has
its name until everything else is in its place.
"""

import json
from pathlib import Path
from typing import Any, LiteralString

from psycopg import Connection

from resources.processes.holder_lock import lock_holder
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.settings.settings import Settings

OLD_MARKER = "restoring.json"
"""File in the home that version 0.1 kept during a restore, which had then emptied the databases."""

# Of the catalog alone, which every role may read and every version has.
MARKED: LiteralString = """
exists (
    select from pg_class
    where relname = 'restoring' and relnamespace = to_regnamespace('ytcaption')
) as marked
"""
"""SQL: whether the database belongs to a restore that has not ended, as a column of a select."""


def restore_folder(settings: Settings) -> Path:
    """Return the folder of the home that a restore uses."""
    return settings.home / "restore"


def journal_path(settings: Settings) -> Path:
    """Return the journal of the restore in progress; the file exists as long as there is one."""
    return restore_folder(settings) / "journal.json"


def lock_path(settings: Settings) -> Path:
    """Return the file that a process locks while it restores, or ends a restore."""
    return restore_folder(settings) / "lock"


def require_settled(settings: Settings) -> None:
    """Check that no restore of this home has begun and not ended.

    Raises:
        SetupError: one is in progress, or was cut short.
    """
    if journal_path(settings).exists():
        holder = lock_holder(lock_path(settings))
        if holder is not None:
            raise being_restored(settings, holder)
        raise SetupError(
            "A restore was cut short. `ytcaption up` completes or undoes it first; "
            "`ytcaption restore` begins again."
        )
    marker = settings.home / OLD_MARKER
    if marker.exists():
        raise SetupError(
            f"A restore of the backup made at {_made_at(marker)} was cut short by an earlier "
            "version of ytcaption, and its databases are incomplete. Repeat "
            "`ytcaption restore FOLDER`."
        )


def being_restored(settings: Settings, holder: str) -> SetupError:
    """Return the error for a home that another process restores.

    Args:
        holder: of the restore's lock.
    """
    return SetupError(
        f"{settings.home} is being restored by process {holder or 'of another user'}. Wait until "
        "it has ended."
    )


def mark_database(connection: Connection[Any]) -> None:
    """Keep everyone from this database until `unmark_database`."""
    connection.execute("create table if not exists ytcaption.restoring ()")


def unmark_database(connection: Connection[Any]) -> None:
    """Open this database again."""
    connection.execute("drop table if exists ytcaption.restoring")


def is_marked(connection: Connection[Any]) -> bool:
    """Return whether the database belongs to a restore that has not ended."""
    row: Any = connection.execute(f"select {MARKED}").fetchone()
    return bool(row and (row["marked"] if isinstance(row, dict) else row[0]))


def in_restore() -> DatabaseUnavailable:
    """Return the error for a database that is marked."""
    return DatabaseUnavailable(
        "This installation is being restored. Wait until that has ended; if it was cut short, run "
        "`ytcaption up` where `ytcaption restore` ran, or restore again with --replace."
    )


def _made_at(marker: Path) -> str:
    try:
        return str(json.loads(marker.read_text())["made_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown time"
