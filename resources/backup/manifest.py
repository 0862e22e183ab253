"""The files of a backup: a manifest, dumps of the databases, the objects.

manifest.json             versions, size and SHA-256 of each file, number of rows of each table
manifest.hmac             its signature, if YTCAPTION_BACKUP_KEY is set
database/ytcaption.dump   schemas `ytcaption` and `lake`; pg_dump's custom format
database/dagster.dump
database/lake.dump        only if the lake's catalog is in a database of its own
objects/...               as in the object store
webhook.key               unless it was left out, or is in the settings
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from resources.disk import fsync, is_disk_full
from ytcaption.domain.errors import DiskFull, StorageError

FORMAT = 1
MANIFEST, SIGNATURE = "manifest.json", "manifest.hmac"
DATABASES, OBJECTS, KEY = "database", "objects", "webhook.key"
PREFIXES = ("audio", "transcripts", "lake")
"""The first parts of the keys that belong to a backup."""
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
        rows: number of rows by table, such as `ytcaption.media`; empty before version 0.2.
    """

    made_at: str
    version: str
    dagster_version: str
    postgres_major: int
    migration: int
    files: dict[str, CopiedFile]
    wrong: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
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

    def to_json(self) -> bytes:
        """Return the bytes of manifest.json."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """Return the manifest that these bytes of manifest.json hold.

        Raises:
            ValueError, KeyError, TypeError, AttributeError, RecursionError: this version cannot
                read it.
        """
        raw: dict[str, Any] = json.loads(data)
        if raw["format"] != FORMAT:
            raise ValueError("another format")
        raw["files"] = {path: CopiedFile(**file) for path, file in raw["files"].items()}
        manifest = cls(**raw)
        numbers = [manifest.postgres_major, manifest.migration, *manifest.rows.values()]
        numbers += [file.size_bytes for file in manifest.files.values()]
        texts = [manifest.made_at, manifest.version, manifest.dagster_version]
        texts += [file.sha256 for file in manifest.files.values()]
        if not all(isinstance(number, int) for number in numbers) or not all(
            isinstance(text, str) for text in texts
        ):
            raise ValueError("values of other types")
        return manifest


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


def blocks_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file's bytes."""
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
