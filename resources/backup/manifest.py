"""What a backup is on the disk: a manifest, dumps of the databases, the objects.

manifest.json             versions, and size and SHA-256 of each file
database/ytcaption.dump   schemas `ytcaption` and `lake`; pg_dump's custom format
database/dagster.dump
database/lake.dump        where the lake's catalog is in a database of its own
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
AT_ONCE = 4
"""Files that are copied or read at the same time."""

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
    """What a backup holds.

    Attributes:
        made_at: ISO 8601, UTC.
        migration: the number of the last migration of its database.
        files: by path below the backup's folder, with `/`.
        wrong: keys of objects that were not what the database says, with what they were.
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
        """Of all its files."""
        return sum(file.size_bytes for file in self.files.values())

    @property
    def keys(self) -> list[str]:
        """Of the objects it holds."""
        prefix = f"{OBJECTS}/"
        return [path.removeprefix(prefix) for path in self.files if path.startswith(prefix)]

    def write(self, folder: Path) -> None:
        """Into the backup's folder."""
        path = folder / MANIFEST
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        fsync(path)

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Of a backup.

        Raises:
            InputError: there is none that this version knows.
        """
        try:
            raw: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if raw["format"] != FORMAT:
                raise ValueError("another format")
            raw["files"] = {path: CopiedFile(**file) for path, file in raw["files"].items()}
            return cls(**raw)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{folder} is no backup of ytcaption, or of a later version. Name the folder that "
                "holds manifest.json."
            ) from error


def check_files(
    folder: Path, manifest: Manifest, on_bytes: Callable[[int], None] = lambda _: None
) -> None:
    """Read every file and compare it with the manifest.

    Raises:
        StorageError: one is missing or not what was written.
    """

    def check(item: tuple[str, CopiedFile]) -> str | None:
        path, copied = item
        try:
            found = digest(folder / path)
        except OSError:
            return path
        on_bytes(copied.size_bytes)
        return None if found == copied else path

    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = [path for path in pool.map(check, manifest.files.items()) if path is not None]
    if wrong:
        raise StorageError(
            f"{len(wrong):,} files of the backup are missing or damaged, such as {wrong[0]}. "
            "Nothing was restored. Take another backup."
        )


def digest(path: Path) -> CopiedFile:
    """Size and checksum of a file."""
    with path.open("rb") as file:
        return CopiedFile(
            sha256=hashlib.file_digest(file, "sha256").hexdigest(), size_bytes=file.tell()
        )


def write_blocks(path: Path, blocks: Iterable[bytes]) -> CopiedFile:
    """A file of these bytes, whole and on the disk when it has its name.

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
    """A file's bytes."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def unwritable(folder: Path, error: OSError) -> StorageError:
    """The error for a folder that nothing can be written to."""
    if is_disk_full(error):
        return DiskFull("No space is left where the backup goes. Free some, and repeat it.")
    return StorageError(f"{folder} cannot be written: {error.strerror}. Name another folder.")


def fsync_folders(folder: Path) -> None:
    """The names of all files below are on the disk."""
    for path, _, _ in os.walk(folder):
        fsync(Path(path))
