"""Making a backup: databases first, then the files that they refer to.

Meanwhile nothing is removed from the object store, and work goes on. A file replaced while it is
copied no longer matches the dump: then the databases are dumped again, and differing files copied
again. The folder gets its name when everything is on the disk. Files copied by a killed backup are
reused by the next one into the same folder. See docs/adr/security-rules.md#rule-45.
"""

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Protocol

from resources.backup.dump import Snapshot, dump_databases
from resources.backup.manifest import (
    DATABASES,
    KEY,
    MANIFEST,
    OBJECTS,
    PARALLEL_FILES,
    SIGNATURE,
    CopiedFile,
    Manifest,
    blocks_of,
    digest,
    fsync_folders,
    unwritable,
    write_blocks,
)
from resources.backup.signature import signature
from resources.disk import fsync
from resources.object_store.store import ObjectStore
from resources.postgres.advisory_locks import block_removals
from resources.postgres.connection import Postgres
from resources.postgres.urls import database_urls
from ytcaption.domain.errors import InputError, ObjectNotFound, SetupError
from ytcaption.settings.settings import Settings

MAX_ROUNDS = 3
"""Maximum number of times that the databases are dumped."""

UNFINISHED = ".unfinished"


class Progress(Protocol):
    """Reports progress to the user."""

    def step(self, name: str, total_bytes: int | None = None, /) -> None:
        """Begin a step of `total_bytes`, if known."""

    def advance(self, size_bytes: int) -> None:
        """Report that many more bytes of the step as done."""


def make_backup(
    settings: Settings, folder: Path, progress: Progress, *, with_key: bool
) -> Manifest:
    """Make a backup in a new folder.

    Args:
        with_key: include the key of the webhooks' secrets, if it is a file in the home.

    Raises:
        InputError: the folder is not empty.
        StateError: another backup is running.
        StorageError, DatabaseUnavailable, SetupError: the backup failed; the next one reuses the
            copied files.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty. Name a folder that does not exist.")
    objects = ObjectStore.from_settings(settings)
    admin = Postgres.from_settings(settings, "admin")
    with _unfinished_folder(folder) as unfinished, block_removals(admin):
        copier = _Copier(objects, unfinished, progress)
        snapshot, mismatches = _dump_and_copy(settings, copier, unfinished / DATABASES, progress)
        files = {f"{OBJECTS}/{key}": copied for key, copied in copier.copied.items()}
        files |= {
            f"{DATABASES}/{path.name}": _fsynced(path)
            for path in sorted((unfinished / DATABASES).iterdir())
        }
        key = settings.home / KEY
        if with_key and settings.operation.webhook_key is None and key.exists():
            with key.open("rb") as file:
                files[KEY] = write_blocks(unfinished / KEY, blocks_of(file))
            (unfinished / KEY).chmod(0o600)
        _remove_others(unfinished, files)
        manifest = Manifest(
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            version=version("ytcaption"),
            dagster_version=version("dagster"),
            postgres_major=snapshot.postgres_major,
            migration=snapshot.migration,
            files=files,
            wrong=mismatches,
            rows=snapshot.rows,
        )
        progress.step("Writing the manifest")
        backup_key = settings.operation.backup_key
        _write_manifest(
            unfinished, manifest, None if backup_key is None else backup_key.get_secret_value()
        )
        _publish(unfinished, folder)
    return manifest


def _dump_and_copy(
    settings: Settings, copier: "_Copier", databases: Path, progress: Progress
) -> tuple[Snapshot, dict[str, str]]:
    """Dump and copy until they match; return the snapshot and the remaining mismatches."""
    mismatches: dict[str, str] | None = None
    for number in count(1):
        progress.step("Dumping the databases" + " again" * (number > 1))
        # Removed first: a killed backup's pg_dump may still write to its files.
        shutil.rmtree(databases, ignore_errors=True)
        databases.mkdir(mode=0o700)
        lake_apart = settings.storage.lake_database_url is not None
        snapshot = dump_databases(database_urls(settings), databases, lake_apart=lake_apart)
        previous, mismatches = mismatches, copier.copy(snapshot)
        if not mismatches or mismatches == previous or number == MAX_ROUNDS:
            return snapshot, mismatches
    raise AssertionError("unreachable")


class _Copier:
    """Copies objects into a backup's folder.

    Attributes:
        copied: by key.
    """

    def __init__(self, objects: ObjectStore, folder: Path, progress: Progress) -> None:
        self.copied: dict[str, CopiedFile] = {}
        self._objects = objects
        self._folder = folder / OBJECTS
        self._progress = progress

    def copy(self, snapshot: Snapshot) -> dict[str, str]:
        """Copy all objects of the snapshot; return the keys that do not match, with the reason."""
        wanted = dict(snapshot.objects)
        sizes = {}
        self._progress.step("Listing the files")
        for stored in self._objects.stored():
            sizes[stored.key] = stored.size_bytes
            name = stored.key.rpartition("/")[2]
            if stored.key.startswith("lake/") and name in snapshot.lake_files:
                wanted[stored.key] = None
        lake_names = {key.rpartition("/")[2] for key in wanted if key.startswith("lake/")}
        mismatches = {f"lake/.../{name}": "missing" for name in snapshot.lake_files - lake_names}
        self.copied = {key: file for key, file in self.copied.items() if key in wanted}
        total = sum(sizes.get(key, 0) for key in wanted)
        self._progress.step(f"Copying {len(wanted):,} files", total)

        def copy_one(key: str) -> tuple[str, str] | None:
            problem = self._copy(key, wanted[key], sizes.get(key))
            self._progress.advance(sizes.get(key, 0))
            return (key, problem) if problem else None

        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            mismatches |= dict(
                mismatch for mismatch in pool.map(copy_one, wanted) if mismatch is not None
            )
        return mismatches

    def _copy(self, key: str, sha256: str | None, size_bytes: int | None) -> str | None:
        """Copy one object; return why it does not match the database, or None."""
        path = self._folder / key
        if path.is_file() and key not in self.copied and path.stat().st_size == size_bytes:
            self.copied[key] = digest(path)  # copied by an earlier attempt
        known = self.copied.get(key)
        if known is None or known.sha256 != sha256:
            if known is not None and sha256 is None:
                return None  # a file of the lake, which never changes, or an upload
            try:
                known = self._fetch(key, path)
            except ObjectNotFound:
                self.copied.pop(key, None)
                return "missing"
            self.copied[key] = known
        if sha256 is not None and known.sha256 != sha256:
            return "other bytes"
        return None

    def _fetch(self, key: str, path: Path) -> CopiedFile:
        size_bytes = self._objects.size(key)
        return write_blocks(path, self._objects.read_range(key, 0, size_bytes))


@contextmanager
def _unfinished_folder(folder: Path) -> Iterator[Path]:
    """Yield the temporary folder next to the final one, locked for this process."""
    unfinished = folder.with_name(folder.name + UNFINISHED)
    try:
        unfinished.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(unfinished, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unwritable(folder.parent, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield unfinished
    except BlockingIOError as error:
        raise SetupError(
            f"Another backup is writing to {folder}. Wait until it has finished."
        ) from error
    finally:
        os.close(descriptor)


def _fsynced(path: Path) -> CopiedFile:
    fsync(path)
    return digest(path)


def _remove_others(folder: Path, files: Collection[str]) -> None:
    """Remove what earlier attempts left and this one does not need: `restore` would refuse it."""
    for path in folder.rglob("*"):
        if not path.is_dir() and path.relative_to(folder).as_posix() not in files:
            path.unlink()


def _write_manifest(folder: Path, manifest: Manifest, keys: str | None) -> None:
    data = manifest.to_json()
    write_blocks(folder / MANIFEST, [data])
    if keys is not None:
        write_blocks(folder / SIGNATURE, [signature(keys, data)])


def _publish(unfinished: Path, folder: Path) -> None:
    try:
        fsync_folders(unfinished)
        if folder.exists():
            folder.rmdir()  # it is empty
        unfinished.rename(folder)
        fsync(folder.parent)
    except OSError as error:
        raise unwritable(folder, error) from error
