"""Scratch space for partial downloads: one folder a media item, used by one run at a time."""

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
from ytcaption.settings.settings import Settings

_POLL_S = 0.2

_held: set[str] = set()
"""Media whose folders this process has locked."""


class Workspace(dg.ConfigurableResource):
    """Folders that survive a killed run, so that the next run resumes."""

    root: str = Field(description="A folder on a local disk.")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the workspace under the home."""
        return cls(root=str(settings.home / "downloads"))

    @contextmanager
    def download_directory(
        self, media_id: str, should_stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Path]:
        """Yield the media's folder, locked for this run: a second run waits for the first.

        Raises:
            ClaimLost: `should_stop` returned True while waiting.
            SetupError: the home cannot be written.
        """
        root = Path(self.root)
        while (lock := self._lock(media_id)) is None:
            if should_stop():
                raise ClaimLost("Stopped while waiting for another download of this media item.")
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
        """Remove the media's partial download. Call it inside `download_directory`."""
        shutil.rmtree(Path(self.root) / media_id, ignore_errors=True)

    def remove(self, media_id: str, *, is_ending: bool = False) -> bool:
        """Remove the media's folder and lock unless a run uses them; return whether they went.

        Args:
            is_ending: this process ends next, so that its own use does not count.
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
        """Return the media's lock, held until it is closed; None if another process holds it.

        None also if another process has removed it since it was opened.

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
        return DiskFull("The disk is full. Free some space; the transcription is retried.")
    return SetupError(
        f"{root} cannot be written: {error.strerror}. Set YTCAPTION_HOME to a writable folder."
    )
