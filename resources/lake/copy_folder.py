"""A folder of copies of the lake's files, of which erasing leaves no byte.

Several processes make copies while others erase. Each copy is written in a folder of its own
(`*.part`), which its process has locked, and renamed when it is complete. Erasing removes complete
copies and these folders alike: a process whose folder was removed cannot complete its copy.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from resources.lake.connection import DAMAGED
from ytcaption.domain.errors import LakeUnavailable

_PART = ".part"


class CopyRemoved(LakeUnavailable):
    """A copy in progress was removed, because the lake no longer has the original."""


class CopyFolder:
    """Complete copies, and folders of copies in progress."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def new_copy(self, name: str) -> Iterator[Path]:
        """Yield a path to write to; afterwards the file has this name in the folder.

        Open the original only while the context lasts: then who removes it also finds the copy.

        Raises:
            CopyRemoved: the copy was removed meanwhile.
        """
        folder = self.path / f"{name}.{uuid4().hex}{_PART}"
        with self._locked():
            folder.mkdir(mode=0o700)
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield folder / "copy"
            with self._locked():
                (folder / "copy").replace(self.path / name)
        except Exception as error:
            if folder.is_dir():
                raise
            raise CopyRemoved(DAMAGED) from error
        finally:
            os.close(descriptor)
            shutil.rmtree(folder, ignore_errors=True)

    def prune(self, is_kept: Callable[[str], bool], *, in_progress: bool = False) -> None:
        """Remove other copies, and what processes that were killed have left.

        Args:
            is_kept: of a copy's name.
            in_progress: whether to remove other copies in progress, too.
        """
        if not self.path.is_dir():
            return
        with self._locked():
            for path in self.path.iterdir():
                if path.suffix != _PART:
                    if not is_kept(path.name):
                        _remove(path)
                    continue
                name = path.stem.rpartition(".")[0]
                if not _is_in_progress(path) or (in_progress and not is_kept(name)):
                    _remove(path)

    def limit(self, max_bytes: int, unused_s: float) -> None:
        """Remove the copies used least recently while all are larger than that.

        Args:
            unused_s: those used in this time are kept.
        """
        copies = []
        for path in self.path.iterdir() if self.path.is_dir() else ():
            with suppress(FileNotFoundError):
                if path.suffix != _PART:
                    copies.append((path.stat(), path))
        size_bytes = sum(stat.st_size for stat, _ in copies)
        for stat, path in sorted(copies, key=lambda copy: copy[0].st_mtime):
            if size_bytes <= max_bytes or stat.st_mtime > time.time() - unused_s:
                return
            path.unlink(missing_ok=True)
            size_bytes -= stat.st_size

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold off other processes and threads, briefly."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = self.path.with_name(f"{self.path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _is_in_progress(path: Path) -> bool:
    """Return whether the process that makes the copy lives."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    # Renamed first, so that its process cannot write another file while this one is removed.
    removed = path.with_name(uuid4().hex)
    with suppress(FileNotFoundError):
        path.rename(removed)
        shutil.rmtree(removed)
