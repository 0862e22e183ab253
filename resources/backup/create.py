"""Making a backup: databases first, then the files that they speak of (rule 45).

Nothing is removed from the object store meanwhile, and the work goes on. What is replaced while it
is copied is no longer what the dump says: then the databases are dumped once more, and what differs
is copied again. The folder has its name only when all of it is on the disk. What a killed backup
has copied is taken over by the next one into the same folder.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Protocol

from resources.backup.dump import Snapshot, dump_databases
from resources.backup.manifest import (
    AT_ONCE,
    DATABASES,
    KEY,
    OBJECTS,
    CopiedFile,
    Manifest,
    blocks_of,
    digest,
    fsync_folders,
    unwritable,
    write_blocks,
)
from resources.disk import fsync
from resources.object_store.store import ObjectStore
from resources.postgres.advisory_locks import nothing_removed
from resources.postgres.connection import Postgres
from resources.postgres.urls import database_urls
from ytcaption.domain.errors import InputError, ObjectNotFound, SetupError
from ytcaption.settings import Settings

ROUNDS = 3
"""Times that the databases are dumped, at most."""

UNFINISHED = ".unfinished"


class OnStep(Protocol):
    """Tells how far it is."""

    def step(self, what: str, total_bytes: int | None = None) -> None:
        """What is done from now on, and how much that is, where it is known."""

    def advance(self, size_bytes: int) -> None:
        """So much more of it is done."""


def make_backup(settings: Settings, folder: Path, told: OnStep, *, with_key: bool) -> Manifest:
    """A backup in a folder that is made for it.

    Args:
        with_key: with the key of the webhooks' secrets, where it is a file of the home.

    Raises:
        InputError: there is something in the folder.
        StateError: another backup is being made.
        StorageError, DatabaseUnavailable, SetupError: it is not made; what was copied is taken over
            by the next one.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} holds something already. Name a folder that does not exist.")
    objects = ObjectStore.from_settings(settings)
    admin = Postgres.from_settings(settings, "admin")
    with _unfinished(folder) as unfinished, nothing_removed(admin):
        copier = _Copier(objects, unfinished, told)
        snapshot, wrong = _copied(settings, copier, unfinished / DATABASES, told)
        copier.forget_others()
        files = {f"{OBJECTS}/{key}": copied for key, copied in copier.copied.items()}
        files |= {
            f"{DATABASES}/{path.name}": _synced(path)
            for path in sorted((unfinished / DATABASES).iterdir())
        }
        key = settings.home / KEY
        if with_key and settings.webhook_key is None and key.exists():
            files[KEY] = write_blocks(unfinished / KEY, blocks_of(key))
            (unfinished / KEY).chmod(0o600)
        manifest = Manifest(
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            version=version("ytcaption"),
            dagster_version=version("dagster"),
            postgres_major=snapshot.postgres_major,
            migration=snapshot.migration,
            files=files,
            wrong=wrong,
        )
        told.step("Writing the manifest")
        _publish(unfinished, folder, manifest)
    return manifest


def _copied(
    settings: Settings, copier: "_Copier", databases: Path, told: OnStep
) -> tuple[Snapshot, dict[str, str]]:
    """Dumps and copies until the one is what the other says; what is not, at the end."""
    wrong: dict[str, str] | None = None
    for number in count(1):
        told.step("Dumping the databases" + " once more" * (number > 1))
        # Gone first: what a killed backup's pg_dump still writes goes into no file of ours.
        shutil.rmtree(databases, ignore_errors=True)
        databases.mkdir(mode=0o700)
        lake_apart = settings.lake_database_url is not None
        snapshot = dump_databases(database_urls(settings), databases, lake_apart=lake_apart)
        before, wrong = wrong, copier.copy(snapshot)
        if not wrong or wrong == before or number == ROUNDS:
            return snapshot, wrong
    raise AssertionError("unreachable")


class _Copier:
    """Copies objects into a backup's folder.

    Attributes:
        copied: by key.
    """

    def __init__(self, objects: ObjectStore, folder: Path, told: OnStep) -> None:
        self.copied: dict[str, CopiedFile] = {}
        self._objects = objects
        self._folder = folder / OBJECTS
        self._told = told

    def copy(self, snapshot: Snapshot) -> dict[str, str]:
        """All that the snapshot speaks of; keys of what was not as it says, and what it was."""
        wanted = dict(snapshot.objects)
        sizes = {}
        self._told.step("Listing the files")
        for stored in self._objects.stored():
            sizes[stored.key] = stored.size_bytes
            name = stored.key.rpartition("/")[2]
            if stored.key.startswith("lake/") and name in snapshot.lake_files:
                wanted[stored.key] = None
        present = {key.rpartition("/")[2] for key in wanted if key.startswith("lake/")}
        wrong = {f"lake/.../{name}": "missing" for name in snapshot.lake_files - present}
        self.copied = {key: it for key, it in self.copied.items() if key in wanted}
        total = sum(sizes.get(key, 0) for key in wanted)
        self._told.step(f"Copying {len(wanted):,} files", total)

        def one(key: str) -> tuple[str, str] | None:
            problem = self._one(key, wanted[key], sizes.get(key))
            self._told.advance(sizes.get(key, 0))
            return (key, problem) if problem else None

        with ThreadPoolExecutor(AT_ONCE) as pool:
            wrong |= dict(found for found in pool.map(one, wanted) if found is not None)
        return wrong

    def forget_others(self) -> None:
        """Remove what an earlier attempt has copied and this one does not need."""
        for path in self._folder.rglob("*"):
            if path.is_file() and path.relative_to(self._folder).as_posix() not in self.copied:
                path.unlink()

    def _one(self, key: str, sha256: str | None, size_bytes: int | None) -> str | None:
        """Why it is not as the database says; None where it is."""
        path = self._folder / key
        if path.is_file() and key not in self.copied and path.stat().st_size == size_bytes:
            self.copied[key] = digest(path)  # of an earlier attempt
        known = self.copied.get(key)
        if known is None or known.sha256 != sha256:
            if known is not None and sha256 is None:
                return None  # of the lake, whose files are never written again, or an upload
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
def _unfinished(folder: Path) -> Iterator[Path]:
    """The folder beside, for this process alone."""
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
        raise SetupError(f"Another backup writes to {folder}. Wait for it.") from error
    finally:
        os.close(descriptor)


def _synced(path: Path) -> CopiedFile:
    fsync(path)
    return digest(path)


def _publish(unfinished: Path, folder: Path, manifest: Manifest) -> None:
    try:
        manifest.write(unfinished)
        fsync_folders(unfinished)
        if folder.exists():
            folder.rmdir()  # it is empty
        unfinished.rename(folder)
        fsync(folder.parent)
    except OSError as error:
        raise unwritable(folder, error) from error
