"""Files on their way in: received under a temporary name, stored once, or gone without a trace."""

import errno
import hashlib
import os
import shutil
import tempfile
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
from ytcaption.settings import Settings

T = TypeVar("T")

_STALE_S = 3_600
"""A file nobody has written to for this long is what a killed process left."""


class IncomingFile:
    """A file that is being received.

    Attributes:
        path: where it lies for the time being.
        size_bytes: received so far.
    """

    def __init__(self, path: Path, descriptor: int, max_bytes: int) -> None:
        self.path = path
        self.size_bytes = 0
        self._descriptor = descriptor
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Hex, of what was received."""
        return self._digest.hexdigest()

    def write(self, data: bytes | memoryview) -> None:
        """Takes more of it.

        Raises:
            UploadTooLarge: more than is allowed.
            DiskFull: no space.
        """
        self.size_bytes += len(data)
        check_size(self.size_bytes, self._max_bytes)
        self._digest.update(data)
        left = memoryview(data)
        with _disk_errors():
            while left:
                left = left[os.write(self._descriptor, left) :]


class Uploads:
    """What callers send, from the first byte to the stored media (rule 16)."""

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

    @classmethod
    def from_settings(
        cls, settings: Settings, object_store: ObjectStore, postgres: Postgres
    ) -> Self:
        """Temporary files lie under the home."""
        return cls(
            settings.home / "uploads",
            object_store,
            postgres,
            AudioDecoder.from_settings(settings),
            settings.max_upload_bytes,
        )

    @contextmanager
    def incoming(self, announced_bytes: int = 0) -> Iterator[IncomingFile]:
        """An empty file, gone when the context ends.

        Raises:
            DiskFull: no space for as much as is announced.
            SetupError: the home cannot be written.
        """
        with _disk_errors():
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._sweep()
            if shutil.disk_usage(self._root).free < announced_bytes:
                raise OSError(errno.ENOSPC, "no space for what is announced")
            descriptor, name = tempfile.mkstemp(dir=self._root, suffix=".part")
        try:
            yield IncomingFile(Path(name), descriptor, self.max_bytes)
        finally:
            os.close(descriptor)
            Path(name).unlink()

    def keep(
        self, incoming: IncomingFile, title: str | None, then: Callable[[MediaSource], T]
    ) -> T:
        """Looks at a received file, stores it unless it is stored already, and does what is next.

        Where that fails, what was stored here is taken out again. Equal files wait for each other
        and for an erasure, so that none is taken out from under another's request.

        Args:
            then: makes the request for it.

        Raises:
            AudioError: no sound that can be heard: nothing is stored.
            MediaTooLong: more than is allowed, as the file's headers say.
            DiskFull, ObjectStoreUnavailable, DatabaseUnavailable, and what `then` raises.
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
                    with suppress(StorageError):  # what happened first is what is told
                        self._object_store.delete(key)
                raise

    def _sweep(self) -> None:
        now = time.time()
        for path in self._root.glob("*.part"):
            with suppress(FileNotFoundError):
                if now - path.stat().st_mtime > _STALE_S:
                    path.unlink()


def check_size(size_bytes: int, max_bytes: int) -> None:
    """Raises:
    UploadTooLarge: more than is allowed.
    """
    if size_bytes > max_bytes:
        raise UploadTooLarge(
            f"The file is over the {max_bytes / 1024**2:,.10g} MiB that are taken here. Compress "
            "it, as Opus or MP3 for example, or cut it."
        )


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_disk_full(error) or error.errno == errno.EFBIG:
            raise DiskFull("No space is left for uploads. Free some and try again.") from error
        raise SetupError(
            f"Uploads cannot be received: {error.strerror}. Set YTCAPTION_HOME to a folder that "
            "can be written."
        ) from error
