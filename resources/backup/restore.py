"""Restoring a backup: beside the present installation, verified, then in its place.

The dumps are loaded into new databases; files are written under keys that nothing uses yet. Only
when all of it has been compared with the manifest are the names exchanged, by a journal that any
command completes or undoes if this process is killed: see `journal`, `recovery`. Nothing else may
use the installation meanwhile. See docs/adr/security-rules.md#rule-55.
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from psycopg import sql

from resources.backup.create import Progress
from resources.backup.databases import StagedDatabases
from resources.backup.dump import connected
from resources.backup.fill import Filled, archives, fill_databases
from resources.backup.folder import BackupFolder
from resources.backup.journal import Journal, restore_lock
from resources.backup.manifest import (
    KEY,
    OBJECTS,
    PARALLEL_FILES,
    PREFIXES,
    CopiedFile,
    Manifest,
    blocks_of,
    write_blocks,
)
from resources.backup.recovery import STAGED, complete, exchange, remove_unnamed, undo
from resources.lake.catalog import TranscriptCatalog
from resources.lake.documents import stored_document
from resources.lake.verify import LakeReport
from resources.object_store.store import ObjectStore
from resources.postgres.advisory_locks import block_removals
from resources.postgres.connection import Postgres
from resources.postgres.migrate import migrate_databases, migrations
from resources.postgres.restore_mark import OLD_MARKER, mark_database, restore_folder
from resources.transcriptions.reads import completed_ids, status_counts
from ytcaption.domain.errors import SetupError, StorageError, YtcaptionError
from ytcaption.settings.settings import Settings


@dataclass(frozen=True)
class RestoreResult:
    """The result of a restore.

    Attributes:
        transcriptions: their number.
        lake: its comparison with the documents; differences have been rebuilt.
        lake_problem: why the backup's catalog of the lake was not used; None if it was.
        is_signed: the backup's signature was compared with the key of the settings.
    """

    manifest: Manifest
    transcriptions: int
    lake: LakeReport
    lake_problem: str | None
    is_signed: bool


def restore_backup(
    settings: Settings, folder: Path, progress: Progress, *, replace: bool
) -> RestoreResult:
    """Make the installation what the backup contains. Postgres must run.

    Whatever ends it, the installation is either as before or as in the backup; `recovery.settle`
    ends what a kill has left.

    Args:
        replace: also if the installation is not empty; its contents are lost.

    Raises:
        InputError: the folder is not a backup, or holds what no backup holds.
        StorageError: a file is damaged, or a step failed: repeat it.
        SetupError: the installation is not empty or in use, or the backup is of a later version.
    """
    backup = BackupFolder.opened(folder, settings)
    manifest = backup.manifest
    if manifest.migration > migrations()[-1].number:
        raise SetupError(
            f"The backup was made by ytcaption {manifest.version}, which is later than this one. "
            "Update ytcaption to restore it."
        )
    progress.step("Checking the backup", manifest.size_bytes)
    backup.check(progress.advance)
    dumps = archives(backup)
    with restore_lock(settings):
        databases = StagedDatabases(settings)
        _discard_earlier(settings, databases)
        marker = settings.home / OLD_MARKER  # its databases are incomplete, and nobody's any more
        migrate_databases(databases.present, databases.layout)
        if replace:
            databases.unmark()  # of a restore that was cut short on another machine
        if not (replace or marker.exists()) and (contents := _contents(settings)):
            raise SetupError(
                f"This installation is not empty: it contains {contents}. Restore into another "
                "YTCAPTION_HOME or database, or use --replace, which deletes the present contents."
            )
        databases.require_alone()
        journal = Journal(manifest.made_at)
        journal.save(settings)
        try:
            with block_removals(Postgres.from_settings(settings, "admin")):
                progress.step("Filling new databases")
                filled = fill_databases(databases, backup, dumps)
                objects = ObjectStore.from_settings(settings)
                present = _stored(objects)
                journal = _write_objects(settings, objects, present, backup, filled, progress)
                _mark(databases)
            progress.step("Putting the backup in place")
            journal = exchange(settings, databases, journal)
        except BaseException:
            # Not decided: as before. What cannot be undone now is undone by the next command.
            with suppress(YtcaptionError, OSError):
                left = Journal.read(settings)
                if left is not None and left.stage == "filling":
                    undo(settings, databases, left)
            raise
        complete(settings, databases, journal)
        marker.unlink(missing_ok=True)
    progress.step("Removing files that are not in the backup")
    kept = set(manifest.keys) if filled.lake_problem is None else set()
    remove_unnamed(settings, objects, [key for key in present if key not in kept])
    progress.step("Comparing the lake with the documents")
    postgres = Postgres.from_settings(settings, "dagster")
    report = TranscriptCatalog.from_settings(settings).verify(
        partial(completed_ids, postgres),
        partial(stored_document, postgres, objects),
        repair=True,
    )
    return RestoreResult(
        manifest,
        sum(status_counts(postgres).values()),
        report,
        filled.lake_problem,
        backup.is_signed,
    )


def _discard_earlier(settings: Settings, databases: StagedDatabases) -> None:
    """End an earlier restore that was cut short; this one begins again."""
    journal = Journal.read(settings)
    if journal is None:
        return
    if journal.stage == "filling":
        undo(settings, databases, journal)
    else:
        complete(settings, databases, journal)


def _contents(settings: Settings) -> str | None:
    """Return what the installation contains, in words; None if it is empty."""
    admin = Postgres.from_settings(settings, "admin")
    for table, contents in (
        ("media", "media"),
        ("api_key", "API keys"),
        ("webhook", "webhooks"),
        ("event", "events"),
    ):
        with admin.transaction() as connection:
            query = sql.SQL("select 1 from ytcaption.{} limit 1").format(sql.Identifier(table))
            if connection.execute(query).fetchone():
                return contents
    if _stored(ObjectStore.from_settings(settings)):
        return "stored files"
    return None


def _stored(objects: ObjectStore) -> dict[str, int]:
    """Return the sizes in bytes of the objects that are there, by key."""
    return {
        stored.key: stored.size_bytes for prefix in PREFIXES for stored in objects.stored(prefix)
    }


def _write_objects(
    settings: Settings,
    objects: ObjectStore,
    present: dict[str, int],
    backup: BackupFolder,
    filled: Filled,
    progress: Progress,
) -> Journal:
    """Write the backup's files beside those in use; return the journal that names them."""
    manifest = backup.manifest
    keys = [
        key
        for key in manifest.keys
        if filled.lake_problem is None or not key.startswith("lake/")  # it is built again
    ]
    files = {key: manifest.files[f"{OBJECTS}/{key}"] for key in keys}
    progress.step(
        f"Restoring {len(files):,} files", sum(file.size_bytes for file in files.values())
    )

    journal = Journal(manifest.made_at, added=[key for key in files if key not in present])
    journal.save(settings)

    def put(key: str) -> str | None:
        """Write one object; return its key if other bytes are in use under it."""
        is_used = key in present
        if not (is_used and _holds(objects, key, present[key], files[key])):
            target = f"{STAGED}/{key}" if is_used else key
            written = objects.write_file(target, backup.path / OBJECTS / key)
            if (written.size_bytes, written.sha256) != (files[key].size_bytes, files[key].sha256):
                objects.delete(target)
                raise StorageError(
                    f"{key} of the backup was changed while it was read. Nothing was restored."
                )
        else:
            is_used = False
        progress.advance(files[key].size_bytes)
        return key if is_used else None

    with ThreadPoolExecutor(PARALLEL_FILES) as pool:
        replaced = [key for key in pool.map(put, files) if key is not None]
    has_key = KEY in manifest.files and settings.operation.webhook_key is None
    if has_key:
        staged = restore_folder(settings) / KEY
        with backup.open(KEY) as file:
            written = write_blocks(staged, blocks_of(file))
        staged.chmod(0o600)
        if written != manifest.files[KEY]:
            raise StorageError(f"{KEY} of the backup was changed while it was read.")
    return dataclasses.replace(journal, replaced=replaced, has_key=has_key)


def _holds(objects: ObjectStore, key: str, size_bytes: int, file: CopiedFile) -> bool:
    """Return whether an object in use has the backup's bytes already."""
    if size_bytes != file.size_bytes:
        return False
    try:
        with objects.local_file(key, file.sha256):
            return True
    except StorageError:
        return False


def _mark(databases: StagedDatabases) -> None:
    with connected(databases.urls.admin) as connection:
        mark_database(connection)
