"""The backend of the object store in a folder."""

import errno
import fcntl
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from resources.disk import fsync, is_at
from ytcaption.domain.errors import DiskFull, ObjectNotFound, ObjectStoreUnavailable

BLOCK_BYTES = 256 * 1024
"""Largest block of a range that is read at once."""

_CHUNK_BYTES = 1024 * 1024
_TEMPORARY = ".tmp"


@dataclass(frozen=True)
class StoredObject:
    """One key of a list.

    Attributes:
        modified_at: seconds since 1970.
    """

    key: str
    size_bytes: int
    modified_at: float


@dataclass(frozen=True)
class DirectoryStore:
    """Stores each key as a path below `root`."""

    root: Path

    def write_file(self, key: str, path: Path) -> tuple[str, int]:
        """Publish a file's bytes; return their hex SHA-256 and size."""
        with path.open("rb") as source:
            return self._publish(key, source)

    def write_bytes(self, key: str, data: bytes) -> tuple[str, int]:
        """Publish bytes; return their hex SHA-256 and size."""
        return self._publish(key, io.BytesIO(data))

    def read_bytes(self, key: str) -> bytes:
        """Return the whole object."""
        with folder_errors(key):
            return (self.root / key).read_bytes()

    @contextmanager
    def local_file(self, key: str) -> Iterator[Path]:
        """Yield the path of the stored file itself."""
        path = self.root / key
        if not self.exists(key):
            raise not_found(key)
        yield path

    def exists(self, key: str) -> bool:
        """Return whether the key is a file."""
        with folder_errors(key):
            return (self.root / key).is_file()

    def size(self, key: str) -> int:
        """Return the file's size in bytes."""
        with folder_errors(key):
            return (self.root / key).stat().st_size

    def read_range(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Yield a part of the file that exists now, even if another one replaces it meanwhile."""
        with folder_errors(key), (self.root / key).open("rb") as file:
            file.seek(start)
            while start < end and (block := file.read(min(BLOCK_BYTES, end - start))):
                start += len(block)
                yield block

    def delete(self, key: str) -> None:
        """Remove the file, and the temporary one of an interrupted write."""
        with folder_errors(key):
            path = self.root / key
            for file in (path, _temporary(path)):
                file.unlink(missing_ok=True)
            if path.parent.is_dir():
                fsync(path.parent)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the keys that start with `prefix`, which is a folder's or empty."""
        for path in self._files(prefix):
            if not path.name.startswith("."):  # being written
                with suppress(FileNotFoundError):  # removed since it was listed
                    stat = path.stat()
                    key = path.relative_to(self.root).as_posix()
                    yield StoredObject(key, stat.st_size, stat.st_mtime)

    def unfinished(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the files of writes to such keys, in progress or interrupted by a kill."""
        folder, _, start = prefix.rpartition("/")
        for path in self._files(folder):
            if path.name.startswith(f".{start}") and path.name.endswith(_TEMPORARY):
                with suppress(FileNotFoundError):
                    stat = path.stat()
                    name = path.relative_to(self.root).as_posix()
                    yield StoredObject(name, stat.st_size, stat.st_mtime)

    def discard(self, name: str) -> bool:
        """Remove an interrupted write; return False if it is missing or still in progress."""
        path = self.root / name
        with folder_errors(name):
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                return False
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not is_at(descriptor, path):
                    return False
                path.unlink()
            except BlockingIOError:
                return False
            finally:
                os.close(descriptor)
        return True

    def _files(self, prefix: str) -> Iterator[Path]:
        with folder_errors(prefix):
            for folder, folders, names in os.walk(self.root / prefix, onerror=_raise):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(names):
                    yield Path(folder) / name

    def uri(self, key: str) -> str:
        """Return `file:///...`"""
        return (self.root / key).as_uri()

    def _publish(self, key: str, source: BinaryIO) -> tuple[str, int]:
        # A temporary file beside the target, fsync, rename, fsync of the folder
        # (docs/adr/security-rules.md#rule-39).
        path = self.root / key
        digest, size_bytes = hashlib.sha256(), 0
        with folder_errors(key):
            _make_folder(path.parent)
            with _exclusive(_temporary(path)) as file:
                try:
                    while chunk := source.read(_CHUNK_BYTES):
                        digest.update(chunk)
                        size_bytes += len(chunk)
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                    _temporary(path).replace(path)
                except BaseException:
                    _temporary(path).unlink(missing_ok=True)
                    raise
            fsync(path.parent)
        return digest.hexdigest(), size_bytes


@contextmanager
def folder_errors(key: str) -> Iterator[None]:
    """Map OSError to ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise not_found(key) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFull(
                "No space is left where audio and transcripts are stored. Free some and try again."
            ) from error
        raise ObjectStoreUnavailable(
            f"The folder of the object store cannot be used: {error.strerror}."
        ) from error


def not_found(key: str) -> ObjectNotFound:
    """Return the error for a missing key."""
    return ObjectNotFound(f"The object store holds nothing under {key}.")


def _temporary(path: Path) -> Path:
    # One name a key: the next write reuses the file of a crashed one, so that none accumulate.
    return path.with_name(f".{path.name}{_TEMPORARY}")


@contextmanager
def _exclusive(path: Path) -> Iterator[BinaryIO]:
    """Yield the file, emptied and locked for this thread until it is renamed or removed."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The holder before may have published it: then the name belongs to another file.
            if is_at(file.fileno(), path):
                file.truncate(0)
                yield file
                return


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    fsync(folder.parent)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # nothing has been written there yet
        raise error
