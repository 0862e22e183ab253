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

from resources.object_store.directory import DirectoryStore, StoredObject
from resources.object_store.s3 import S3Store
from resources.telemetry.spans import traced
from ytcaption.domain.errors import ObjectCorrupt, SetupError, StorageError
from ytcaption.settings import Settings

_LONGEST_KEY = 512
# No part begins with a dot: neither `..` nor a temporary file can be named.
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class Written:
    """What was stored.

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


def audio_key(media_id: str, extension: str) -> str:
    """Where a media's audio lies. `extension`: of our own list, without the dot."""
    return _checked(f"audio/{media_id}.{extension}")


def name_in(key: str) -> str:
    """The media or transcription that a key of audio or of a document is of."""
    name = key.rpartition("/")[2]
    return name.removesuffix(".json") if key.startswith("transcripts/") else name.partition(".")[0]


def upload_key(media_id: str) -> str:
    """Where an upload lies, whatever its container: found without asking what it is."""
    return audio_key(media_id, "media")


def document_key(id: str) -> str:
    """Where a transcription's document lies."""
    return _checked(f"transcripts/{id}.json")


class ObjectStore(dg.ConfigurableResource):
    """What is written is on the disk or in the bucket, whole, when the call returns: a reader sees
    the old bytes or the new ones, after a crash as well.

    Every method raises ObjectStoreUnavailable (the folder or the bucket cannot be reached) or
    SetupError (it refuses us).
    """

    url: str = Field(description="A folder, `file:///...` or `s3://bucket/prefix`.")
    endpoint_url: str | None = Field(None, description="For MinIO and other S3-like servers.")
    region: str = Field("us-east-1", description="The bucket's region.")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """As `settings` say. Credentials are boto3's to find."""
        return cls(
            url=settings.store_url, endpoint_url=settings.s3_endpoint_url, region=settings.s3_region
        )

    @property
    def folder(self) -> Path | None:
        """The folder; None for S3."""
        backend = self._backend()
        return backend.root if isinstance(backend, DirectoryStore) else None

    @traced("object_store.write_file")
    def write_file(self, key: str, path: Path) -> Written:
        """Store a file's bytes, in place of earlier ones.

        Raises:
            DiskFull: no space; what was there before is untouched.
        """
        return Written(*self._backend().write_file(_checked(key), path))

    @traced("object_store.write_bytes")
    def write_bytes(self, key: str, data: bytes) -> Written:
        """Store bytes, in place of earlier ones.

        Raises:
            DiskFull: no space; what was there before is untouched.
        """
        return Written(*self._backend().write_bytes(_checked(key), data))

    @traced("object_store.read_bytes")
    def read_bytes(self, key: str, sha256: str | None = None) -> bytes:
        """The bytes, which must be those of the hex SHA-256.

        Raises:
            ObjectNotFound: no such key.
            ObjectCorrupt: other bytes.
        """
        data = self._backend().read_bytes(_checked(key))
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise _corrupt(key)
        return data

    @contextmanager
    def local_file(self, key: str, sha256: str | None = None) -> Iterator[Path]:
        """A file with the bytes, to be read while the context lasts: the stored one itself, or a
        copy from S3.

        Raises:
            ObjectNotFound: no such key.
            ObjectCorrupt: other bytes than those of the hex SHA-256.
            DiskFull: no space for the copy.
        """
        with self._backend().local_file(_checked(key)) as path:
            if sha256 is not None:
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
                if found != sha256:
                    raise _corrupt(key)
            yield path

    def exists(self, key: str) -> bool:
        """Whether there are bytes under the key."""
        return self._backend().exists(_checked(key))

    def size(self, key: str) -> int:
        """How many bytes are under the key.

        Raises:
            ObjectNotFound: no such key.
        """
        return self._backend().size(_checked(key))

    def read_range(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in blocks of at most `BLOCK_BYTES`.

        No more than these are read. Close it where it is not read to its end.

        Raises:
            ObjectNotFound: no such key.
            ObjectCorrupt: there are fewer.
        """
        left = end - start
        for block in self._backend().read_range(_checked(key), start, end) if left else ():
            left -= len(block)
            yield block
        if left:
            raise _corrupt(key)

    def delete(self, key: str) -> None:
        """Remove the bytes, if there are any."""
        self._backend().delete(_checked(key))

    def discard_unfinished(self, prefix: str) -> None:
        """Remove what killed processes have left of writes to keys that begin so. Nobody may be
        writing there to S3."""
        for left in self._backend().unfinished(_checked(prefix)):
            self._backend().discard(left.key)

    def list(self, prefix: str = "") -> Iterator[str]:
        """Keys below `prefix`, such as `lake`, in order."""
        return (stored.key for stored in self.stored(prefix))

    def stored(self, prefix: str = "") -> Iterator[StoredObject]:
        """The same with sizes and times."""
        prefix = prefix.rstrip("/")
        return self._backend().list(f"{_checked(prefix)}/" if prefix else "")

    def unfinished(self) -> Iterator[StoredObject]:
        """Writes that are under way, or that a killed process has left, by names for `discard`."""
        return self._backend().unfinished("")

    def discard(self, name: str) -> bool:
        """Remove what is left of a write; False where there is nothing, or it is under way. S3
        cannot tell the latter: give only names that are old."""
        return self._backend().discard(name)

    def uri(self, key: str) -> str:
        """For tools that open it themselves: `file:///...` or `s3://bucket/...`."""
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
            "YTCAPTION_OBJECT_STORE_URL is none that can be used. Give a folder, file:///folder or "
            "s3://bucket/prefix."
        )


def _checked(key: str) -> str:
    if len(key) > _LONGEST_KEY or _KEY.fullmatch(key) is None:
        raise StorageError("A key of the object store holds characters that are not allowed.")
    return key


def _corrupt(key: str) -> ObjectCorrupt:
    return ObjectCorrupt(
        f"The bytes stored under {key} are not those that were written. Ask for the transcription "
        "again with force to make them anew."
    )
