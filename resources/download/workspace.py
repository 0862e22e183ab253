"""Scratch space on this machine: partial downloads, one folder a media, one run a folder."""

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

import dagster as dg
from pydantic import Field

from resources.disk import is_at, is_disk_full
from ytcaption.domain.errors import ClaimLost, DiskFull, SetupError
from ytcaption.settings import Settings

_POLL_S = 0.2

_held: set[str] = set()
"""Media whose folders this process has."""


class Workspace(dg.ConfigurableResource):
    """Folders that survive a killed run, so that the next one resumes."""

    root: str = Field(description="A folder on a local disk.")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Under the home."""
        return cls(root=str(settings.home / "downloads"))

    @contextmanager
    def download_directory(
        self, media_id: str, should_stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Path]:
        """The media's folder, for this run alone: a second run waits until the first is done.

        Raises:
            ClaimLost: `should_stop` said so while waiting.
            SetupError: the home cannot be written.
        """
        root = Path(self.root)
        while (lock := self._lock(media_id)) is None:
            if should_stop():
                raise ClaimLost("Stopped while waiting for another download of this media.")
            time.sleep(_POLL_S)
        with lock:
            directory = root / media_id
            directory.mkdir(exist_ok=True, mode=0o700)
            _held.add(media_id)
            try:
                yield directory
            finally:
                _held.discard(media_id)

    def clear(self, media_id: str) -> None:
        """Forgets the media's partial download; call it inside `download_directory`."""
        shutil.rmtree(Path(self.root) / media_id, ignore_errors=True)

    def remove(self, media_id: str, *, is_ending: bool = False) -> bool:
        """Forgets all of the media, lock and all, unless somebody downloads it; whether it did.

        Args:
            is_ending: this process may be the one who downloads it; it ends with that.
        """
        if is_ending and media_id in _held:
            self.clear(media_id)
            return True
        lock = self._lock(media_id)
        if lock is None:
            return False
        with lock:
            self.clear(media_id)
            (Path(self.root) / f"{media_id}.lock").unlink(missing_ok=True)
        return True

    def _lock(self, media_id: str) -> IO[bytes] | None:
        """The media's lock, held until it is closed; None where another holds it, or has removed
        it since it was opened.

        Raises:
            SetupError, DiskFull: the home cannot be written.
        """
        root = Path(self.root)
        path = root / f"{media_id}.lock"
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = path.open("wb")
        except OSError as error:
            raise _unwritable(error, root) from error
        if _locked(lock.fileno()) and is_at(lock.fileno(), path):
            return lock
        lock.close()
        return None


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unwritable(error: OSError, root: Path) -> DiskFull | SetupError:
    if is_disk_full(error):
        return DiskFull("The disk is full. Free some space; the transcription is tried again.")
    return SetupError(
        f"{root} cannot be written: {error.strerror}. Set YTCAPTION_HOME to a folder that can."
    )
