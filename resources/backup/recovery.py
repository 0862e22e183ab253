"""Ending a restore: the exchange, and what to do with one that was cut short."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from resources.backup.databases import StagedDatabases
from resources.backup.dump import connected, lake_file_names, object_hashes
from resources.backup.journal import Journal, restore_lock
from resources.backup.manifest import KEY, PARALLEL_FILES, PREFIXES
from resources.disk import fsync
from resources.object_store.store import ObjectStore
from resources.postgres.advisory_locks import removal_lock
from resources.postgres.connection import Postgres
from resources.postgres.embedded import running_postgres
from resources.postgres.restore_mark import journal_path, restore_folder
from resources.postgres.urls import database_urls
from ytcaption.domain.errors import SetupError, StorageError
from ytcaption.settings.settings import Settings

STAGED = "restore/new"
"""Where the object store keeps new bytes of keys that are in use until the exchange."""


def settle(settings: Settings) -> str | None:
    """Undo or complete a restore that was cut short; every command calls it before its work.

    Returns:
        A sentence on what was done; None if there was nothing to do.

    Raises:
        SetupError: a restore is in progress in another process.
        StorageError, DatabaseUnavailable: it cannot be ended now.
    """
    if not journal_path(settings).exists():
        return None
    with restore_lock(settings):
        journal = Journal.read(settings)
        if journal is None:
            return None
        with running_postgres(settings, in_restore=True):
            databases = StagedDatabases(settings)
            if journal.stage == "filling":
                undo(settings, databases, journal)
                return (
                    f"The restore of the backup made at {journal.made_at} was cut short. The "
                    "installation is as it was before. Repeat `ytcaption restore` to restore."
                )
            complete(settings, databases, journal)
            return (
                f"The restore of the backup made at {journal.made_at} was cut short. It has been "
                "completed. Run `ytcaption doctor --repair` to remove the files that it replaced."
            )


def undo(settings: Settings, databases: StagedDatabases, journal: Journal) -> None:
    """Remove what a restore has filled before the exchange; safe to repeat from any point.

    Raises:
        StorageError, DatabaseUnavailable.
    """
    objects = ObjectStore.from_settings(settings)
    databases.drop()
    if journal.added:
        for prefix in PREFIXES:
            objects.discard_unfinished(prefix)
        remove_unnamed(settings, objects, journal.added)
    _remove_staged(objects)
    Journal.remove(settings)


def exchange(settings: Settings, databases: StagedDatabases, journal: Journal) -> Journal:
    """Decide for the new installation, and put it in the place of the present one.

    Returns:
        The journal, once all is done but `complete`'s removals.

    Raises:
        SetupError: somebody is connected to the databases. If they are on one server, nothing has
            been exchanged and the decision is taken back.
        StorageError, DatabaseUnavailable.
    """
    journal = journal.at("exchanging")
    journal.save(settings)
    try:
        databases.exchange()
    except SetupError as error:
        if databases.server_count == 1:
            journal.at("filling").save(settings)
            raise
        raise StorageError(
            "The restore is decided, and other programs are connected to a database. Stop them, "
            "then run `ytcaption up` or another command here, which completes it."
        ) from error
    return journal


def complete(settings: Settings, databases: StagedDatabases, journal: Journal) -> None:
    """Carry out what has been decided; safe to repeat from any point.

    Raises:
        SetupError, StorageError, DatabaseUnavailable.
    """
    objects = ObjectStore.from_settings(settings)
    if journal.stage == "exchanging":
        databases.exchange()
        for key in journal.replaced:
            with objects.local_file(f"{STAGED}/{key}") as path:
                objects.write_file(key, path)
        if journal.has_key:
            staged = restore_folder(settings) / KEY
            if staged.exists():
                staged.replace(settings.home / KEY)
                fsync(settings.home)
        journal.at("opening").save(settings)
    _open(settings, databases, objects)


def _open(settings: Settings, databases: StagedDatabases, objects: ObjectStore) -> None:
    """Open the new installation, then remove what was replaced."""
    databases.unmark()
    databases.drop_present()
    _remove_staged(objects)
    Journal.remove(settings)


def remove_unnamed(settings: Settings, objects: ObjectStore, keys: Collection[str]) -> None:
    """Remove those of the objects that no row and no file of the lake's catalog names.

    Raises:
        BackupRunning: a backup is being made.
        StorageError, DatabaseUnavailable.
    """
    urls = database_urls(settings)
    with connected(urls.admin) as connection:
        named = object_hashes(connection)
    with connected(urls.lake) as connection:
        lake_files = lake_file_names(connection)
    unnamed = [
        key
        for key in keys
        if key not in named
        and not (key.startswith("lake/") and key.rpartition("/")[2] in lake_files)
    ]
    with (
        removal_lock(Postgres.from_settings(settings, "admin")),
        ThreadPoolExecutor(PARALLEL_FILES) as pool,
    ):
        for _ in pool.map(objects.delete, unnamed):
            pass


def _remove_staged(objects: ObjectStore) -> None:
    objects.discard_unfinished("restore")
    for key in list(objects.list("restore")):
        objects.delete(key)
