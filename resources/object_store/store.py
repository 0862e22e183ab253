"""Bytes by key: audio, transcript documents and the lake's files, in a folder or in S3."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import unquote, urlsplit

import dagster as dg
from pydantic import Field

from resources.disk import sha256_of
from resources.object_store.directory import DirectoryStore, StoredObject
from resources.object_store.s3 import S3Store
from resources.telemetry.spans import traced
from ytcaption.domain.errors import ObjectCorrupt, SetupError, StorageError
from ytcaption.settings.settings import Settings

_MAX_KEY_LENGTH = 512
_READINGS = 2
"""A wrong digest is read once more: bytes may have changed on their way from S3."""
# No part begins with a dot, so that a key names neither `..` nor a temporary file.
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class Written:
    """Checksum and size of stored bytes.

    Attributes:
        sha256: hex, of the bytes.
    """

    sha256: str
    size_bytes: int


class _Backend(Protocol):
    def write_file(self, key: str, path: Path) -> tuple[str, int]: ...
    def write_bytes(self, key: str, data: bytes) -> tuple[str, int]: ...
    def read_bytes(self, key: str) -> bytes: ...
    def local_file(self, key: str) -> AbstractContextManager[Path]: ...
    def exists(self, key: str) -> bool: ...
    def size(self, key: str) -> int: ...
    def read_range(self, key: str, start: int, end: int) -> Iterator[bytes]: ...
    def delete(self, key: str) -> None: ...
    def list(self, prefix: str) -> Iterator[StoredObject]: ...
    def unfinished(self, prefix: str) -> Iterator[StoredObject]: ...
    def discard(self, name: str) -> bool: ...
    def uri(self, key: str) -> str: ...


def is_key(text: str) -> bool:
    """Return whether a text may be a key: no empty part, none that begins with a dot."""
    return len(text) <= _MAX_KEY_LENGTH and _KEY.fullmatch(text) is not None


def audio_key(media_id: str, extension: str) -> str:
    """Return the key of a media item's audio.

    Args:
        extension: one of `EXTENSIONS` of the download room, without the dot.
    """
    return _checked(f"audio/{media_id}.{extension}")


def name_in(key: str) -> str:
    """Return the id of the media or transcription that a key belongs to."""
    name = key.rpartition("/")[2]
    return name.removesuffix(".json") if key.startswith("transcripts/") else name.partition(".")[0]


def upload_key(media_id: str) -> str:
    """Return the key of an upload, which does not depend on its container."""
    return audio_key(media_id, "media")


def document_key(id: str) -> str:
    """Return the key of a transcription's document."""
    return _checked(f"transcripts/{id}.json")


class ObjectStore(dg.ConfigurableResource):
    """Bytes by key. A write is durable and complete when the call returns.

    A reader sees the old bytes or the new ones, even after a crash. Every method may raise
    ObjectStoreUnavailable (the folder or bucket cannot be reached) and SetupError (no access).
    """

    url: str = Field(description="A folder, `file:///...` or `s3://bucket/prefix`.")
    endpoint_url: str | None = Field(None, description="For MinIO and other S3-like servers.")
    region: str = Field("us-east-1", description="The bucket's region.")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the store of an installation. boto3 finds the credentials."""
        return cls(
            url=settings.store_url,
            endpoint_url=settings.storage.s3_endpoint_url,
            region=settings.storage.s3_region,
        )

    @property
    def folder(self) -> Path | None:
        """Return the folder; None for S3."""
        backend = self._backend()
        return backend.root if isinstance(backend, DirectoryStore) else None

    @traced("object_store.write_file")
    def write_file(self, key: str, path: Path) -> Written:
        """Store a file's bytes; they replace earlier ones.

        Raises:
            DiskFull: no space left; the earlier bytes stay.
        """
        return Written(*self._backend().write_file(_checked(key), path))

    @traced("object_store.write_bytes")
    def write_bytes(self, key: str, data: bytes) -> Written:
        """Store bytes; they replace earlier ones.

        Raises:
            DiskFull: no space left; the earlier bytes stay.
        """
        return Written(*self._backend().write_bytes(_checked(key), data))

    @traced("object_store.read_bytes")
    def read_bytes(self, key: str, sha256: str | None = None) -> bytes:
        """Return the bytes.

        Args:
            sha256: hex digest that they must have; None: do not check.

        Raises:
            ObjectNotFound: no such key.
            ObjectCorrupt: the bytes have another digest.
        """
        for _ in range(_READINGS):
            data = self._backend().read_bytes(_checked(key))
            if sha256 is None or hashlib.sha256(data).hexdigest() == sha256:
                return data
        raise _corrupt(key)

    @contextmanager
    def local_file(self, key: str, sha256: str | None = None) -> Iterator[Path]:
        """Yield a file with the bytes: the stored one itself, or a temporary copy from S3.

        Args:
            sha256: hex digest that they must have; None: do not check.

        Raises:
            ObjectNotFound: no such key.
            ObjectCorrupt: the bytes have another digest.
            DiskFull: no space left for the copy.
        """
        for _ in range(_READINGS):
            with self._backend().local_file(_checked(key)) as path:
                if sha256 is None or sha256_of(path) == sha256:
                    yield path
                    return
        raise _corrupt(key)

    def exists(self, key: str) -> bool:
        """Return whether there are bytes under the key."""
        return self._backend().exists(_checked(key))

    def size(self, key: str) -> int:
        """Return the number of bytes under the key.

        Raises:
            ObjectNotFound: no such key.
        """
        return self._backend().size(_checked(key))

    def read_range(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`, in blocks of `BLOCK_BYTES`.

        Only these bytes are read. Close the iterator if it is not read to its end.

        Raises:
            ObjectNotFound: no such key.
            ObjectCorrupt: there are fewer bytes.
        """
        missing = end - start
        for block in self._backend().read_range(_checked(key), start, end) if missing else ():
            missing -= len(block)
            yield block
        if missing:
            raise _corrupt(key)

    def delete(self, key: str) -> None:
        """Remove the bytes under the key, if there are any."""
        self._backend().delete(_checked(key))

    def discard_unfinished(self, prefix: str) -> None:
        """Remove the interrupted writes to keys that start with `prefix`.

        In S3 no process may be writing to such keys.
        """
        for unfinished in self._backend().unfinished(_checked(prefix)):
            self._backend().discard(unfinished.key)

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys below `prefix`, such as `lake`, in order."""
        return (stored.key for stored in self.stored(prefix))

    def stored(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the keys below `prefix` with sizes and times, in order."""
        prefix = prefix.rstrip("/")
        return self._backend().list(f"{_checked(prefix)}/" if prefix else "")

    def unfinished(self) -> Iterator[StoredObject]:
        """Yield writes that are in progress or were interrupted, by names for `discard`."""
        return self._backend().unfinished("")

    def discard(self, name: str) -> bool:
        """Remove an interrupted write; return False if there is none or it is in progress.

        S3 cannot tell whether one is in progress: pass only old ones.
        """
        return self._backend().discard(name)

    def uri(self, key: str) -> str:
        """Return `file:///...` or `s3://bucket/...`, for tools that open the object themselves."""
        return self._backend().uri(_checked(key.rstrip("/")))

    def _backend(self) -> _Backend:
        parts = urlsplit(self.url)
        if parts.scheme == "s3" and parts.netloc:
            return S3Store(parts.netloc, parts.path.strip("/"), self.endpoint_url, self.region)
        if parts.scheme == "file" and parts.netloc in ("", "localhost"):
            return DirectoryStore(Path(unquote(parts.path)))
        if self.url and "://" not in self.url:
            return DirectoryStore(Path(self.url).expanduser().absolute())
        raise SetupError(
            "YTCAPTION_OBJECT_STORE_URL cannot be used. Give a folder, file:///folder or "
            "s3://bucket/prefix."
        )


def _checked(key: str) -> str:
    if not is_key(key):
        raise StorageError("A key of the object store holds characters that are not allowed.")
    return key


def _corrupt(key: str) -> ObjectCorrupt:
    return ObjectCorrupt(
        f"The bytes stored under {key} are not those that were written. Request the transcription "
        "again with force to create them again."
    )
