"""The files of a backup: a manifest, dumps of the databases, the objects.

manifest.json             versions, and size and SHA-256 of each file
database/ytcaption.dump   schemas `ytcaption` and `lake`; pg_dump's custom format
database/dagster.dump
database/lake.dump        only if the lake's catalog is in a database of its own
objects/...               as in the object store
webhook.key               unless it was left out, or is in the settings
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from resources.disk import fsync, is_disk_full
from ytcaption.domain.errors import DiskFull, InputError, StorageError

FORMAT = 1
MANIFEST = "manifest.json"
DATABASES, OBJECTS, KEY = "database", "objects", "webhook.key"
PARALLEL_FILES = 4
"""Number of files copied or read at the same time."""

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class CopiedFile:
    """One file of a backup.

    Attributes:
        sha256: hex.
    """

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The contents of a backup.

    Attributes:
        made_at: ISO 8601, UTC.
        migration: number of the database's latest migration.
        files: by path below the backup's folder, with `/`.
        wrong: keys of objects that did not match the database, with the reason.
    """

    made_at: str
    version: str
    dagster_version: str
    postgres_major: int
    migration: int
    files: dict[str, CopiedFile]
    wrong: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def size_bytes(self) -> int:
        """Return the size of all files."""
        return sum(file.size_bytes for file in self.files.values())

    @property
    def keys(self) -> list[str]:
        """Return the keys of the objects."""
        prefix = f"{OBJECTS}/"
        return [path.removeprefix(prefix) for path in self.files if path.startswith(prefix)]

    def write(self, folder: Path) -> None:
        """Write the manifest into the backup's folder."""
        path = folder / MANIFEST
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        fsync(path)

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the manifest of a backup.

        Raises:
            InputError: there is none that this version can read.
        """
        try:
            raw: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if raw["format"] != FORMAT:
                raise ValueError("another format")
            raw["files"] = {path: CopiedFile(**file) for path, file in raw["files"].items()}
            return cls(**raw)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{folder} is not a backup of ytcaption, or is of a later version. Name the folder "
                "that contains manifest.json."
            ) from error


def check_files(
    folder: Path, manifest: Manifest, on_bytes: Callable[[int], None] = lambda _: None
) -> None:
    """Read every file and compare it with the manifest.

    Raises:
        StorageError: a file is missing or damaged.
    """

    def check(item: tuple[str, CopiedFile]) -> str | None:
        path, copied = item
        try:
            actual = digest(folder / path)
        except OSError:
            return path
        on_bytes(copied.size_bytes)
        return None if actual == copied else path

    with ThreadPoolExecutor(PARALLEL_FILES) as pool:
        damaged = [path for path in pool.map(check, manifest.files.items()) if path is not None]
    if damaged:
        raise StorageError(
            f"{len(damaged):,} files of the backup are missing or damaged, such as {damaged[0]}. "
            "Nothing was restored. Take another backup."
        )


def digest(path: Path) -> CopiedFile:
    """Return size and checksum of a file."""
    with path.open("rb") as file:
        return CopiedFile(
            sha256=hashlib.file_digest(file, "sha256").hexdigest(), size_bytes=file.tell()
        )


def write_blocks(path: Path, blocks: Iterable[bytes]) -> CopiedFile:
    """Write a file, which gets its name when it is complete and on the disk.

    Raises:
        DiskFull, StorageError: it cannot be written.
    """
    sha256, size_bytes = hashlib.sha256(), 0
    unfinished = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            for block in blocks:
                sha256.update(block)
                size_bytes += len(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    return CopiedFile(size_bytes, sha256.hexdigest())


def blocks_of(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def unwritable(folder: Path, error: OSError) -> StorageError:
    """Return the error for a folder that cannot be written."""
    if is_disk_full(error):
        return DiskFull("No space left for the backup. Free some space, then repeat it.")
    return StorageError(f"{folder} cannot be written: {error.strerror}. Name another folder.")


def fsync_folders(folder: Path) -> None:
    """Sync the folders, so that the names of all files below are on the disk."""
    for path, _, _ in os.walk(folder):
        fsync(Path(path))
