"""Uploads: files that are received under a temporary name, and then stored or removed."""

import errno
import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self, TypeVar

from resources.audio.decoder import AudioDecoder
from resources.disk import is_disk_full
from resources.object_store.store import ObjectStore, upload_key
from resources.postgres.advisory_locks import upload_lock
from resources.postgres.connection import Postgres
from ytcaption.domain.errors import DiskFull, MediaTooLong, SetupError, StorageError, UploadTooLarge
from ytcaption.domain.media.media import MediaSource, upload_media_id
from ytcaption.settings.settings import Settings

T = TypeVar("T")

_RESERVE_BYTES = 64 * 1024**2
"""Space that uploads leave free, for the database and logs on the same disk."""

_STALE_S = 3_600
"""Time without a write after which a file counts as left by a killed process."""


class IncomingFile:
    """A file that is being received.

    Attributes:
        path: of the temporary file.
        announced_bytes: size that the sender has stated; 0: none.
        size_bytes: received so far.
    """

    def __init__(
        self, path: Path, descriptor: int, max_bytes: int, announced_bytes: int = 0
    ) -> None:
        self.path = path
        self.announced_bytes = announced_bytes
        self.size_bytes = 0
        self._descriptor = descriptor
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Return the hex SHA-256 of the bytes received so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes.

        Raises:
            UploadTooLarge: more than is allowed.
            DiskFull: no space left.
        """
        self.size_bytes += len(data)
        check_size(self.size_bytes, self._max_bytes)
        self._digest.update(data)
        remaining = memoryview(data)
        with _disk_errors():
            _check_space(self.path.parent, 0)
            while remaining:
                remaining = remaining[os.write(self._descriptor, remaining) :]


class Uploads:
    """Receives and stores callers' files (docs/adr/security-rules.md#rule-16)."""

    def __init__(
        self,
        root: Path,
        object_store: ObjectStore,
        postgres: Postgres,
        decoder: AudioDecoder,
        max_bytes: int,
    ) -> None:
        self.max_bytes = max_bytes
        self._root = root
        self._object_store = object_store
        self._postgres = postgres
        self._decoder = decoder
        self._incoming: set[IncomingFile] = set()
        self._lock = threading.Lock()

    @classmethod
    def from_settings(
        cls, settings: Settings, object_store: ObjectStore, postgres: Postgres
    ) -> Self:
        """Return the uploads of an installation, with temporary files under its home."""
        return cls(
            settings.home / "uploads",
            object_store,
            postgres,
            AudioDecoder.from_settings(settings),
            settings.api.max_upload_bytes,
        )

    @contextmanager
    def incoming(self, announced_bytes: int = 0) -> Iterator[IncomingFile]:
        """Yield an empty temporary file, which is removed at the end.

        Raises:
            DiskFull: no space left for the announced size, beside what is still to come of the
                files that this process is receiving.
            SetupError: the home cannot be written.
        """
        with _disk_errors():
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._sweep()
            incoming, descriptor = self._begun(announced_bytes)
        try:
            yield incoming
        finally:
            os.close(descriptor)
            incoming.path.unlink()
            with self._lock:
                self._incoming.remove(incoming)

    def _begun(self, announced_bytes: int) -> tuple[IncomingFile, int]:
        """Return a new file and its descriptor, and count it as incoming.

        Raises:
            OSError: ENOSPC, among others.
        """
        with self._lock:
            to_come = sum(max(0, each.announced_bytes - each.size_bytes) for each in self._incoming)
            _check_space(self._root, announced_bytes + to_come)
            descriptor, name = tempfile.mkstemp(dir=self._root, suffix=".part")
            incoming = IncomingFile(Path(name), descriptor, self.max_bytes, announced_bytes)
            self._incoming.add(incoming)
            return incoming, descriptor

    def keep(
        self, incoming: IncomingFile, title: str | None, then: Callable[[MediaSource], T]
    ) -> T:
        """Check a received file, store it unless it is stored already, and call `then`.

        If `then` fails, a file that this call has stored is removed again. Equal files wait for
        each other and for an erasure, so that no file is removed while another request needs it.

        Args:
            then: creates the request for the media.

        Raises:
            AudioError: the file has no readable audio: nothing is stored.
            MediaTooLong: longer than allowed, by the file's headers.
            DiskFull, ObjectStoreUnavailable, DatabaseUnavailable: and whatever `then` raises.
        """
        probe = self._decoder.probe(incoming.path)
        if (probe.duration_s or 0.0) > self._decoder.max_audio_s:
            raise MediaTooLong(
                f"The audio is longer than the {self._decoder.max_audio_s / 3600:g} hours that are "
                "allowed here."
            )
        media_id = upload_media_id(incoming.sha256)
        key = upload_key(media_id)
        with upload_lock(self._postgres, media_id):
            is_new = not self._object_store.exists(key)
            if is_new:
                self._object_store.write_file(key, incoming.path)
            try:
                return then(MediaSource(media_id, "upload", title=title))
            except BaseException:
                if is_new:
                    with suppress(StorageError):  # the first error is the one to report
                        self._object_store.delete(key)
                raise

    def _sweep(self) -> None:
        now = time.time()
        for path in self._root.glob("*.part"):
            with suppress(FileNotFoundError):
                if now - path.stat().st_mtime > _STALE_S:
                    path.unlink()


def check_size(size_bytes: int, max_bytes: int) -> None:
    """Check the size of an upload.

    Raises:
        UploadTooLarge: it is larger than allowed.
    """
    if size_bytes > max_bytes:
        raise UploadTooLarge(
            f"The file is over the {max_bytes / 1024**2:,.10g} MiB that are allowed here. Compress "
            "it, as Opus or MP3 for example, or cut it."
        )


def _check_space(folder: Path, size_bytes: int) -> None:
    """Check that so much can be written and a reserve stays free.

    Raises:
        OSError: ENOSPC: it does not.
    """
    if shutil.disk_usage(folder).free < size_bytes + _RESERVE_BYTES:
        raise OSError(errno.ENOSPC, "no space")


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_disk_full(error) or error.errno == errno.EFBIG:
            raise DiskFull("No space is left for uploads. Free some and try again.") from error
        raise SetupError(
            f"Uploads cannot be received: {error.strerror}. Set YTCAPTION_HOME to a writable "
            "folder."
        ) from error
