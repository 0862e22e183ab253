"""A lock on a file, which names the process that holds it.

The kernel releases it when the process dies, so that the file itself proves nothing.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE_S = 0.05


class LockHeld(Exception):
    """Another process holds the lock.

    Attributes:
        holder: its number; empty if the file does not name it.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextmanager
def holder_lock(path: Path, patience_s: float) -> Iterator[None]:
    """Hold the lock of a file, which is created if it is missing, and name this process in it.

    Args:
        patience_s: how long to wait for another process, in seconds.

    Raises:
        LockHeld: another process holds it all that time.
        OSError: the file cannot be written.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        give_up_at = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > give_up_at:
                    raise LockHeld(_named(descriptor)) from error
                time.sleep(_PAUSE_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def lock_holder(path: Path) -> str | None:
    """Return the number of the process that holds a lock, empty if the file does not name it; None
    if nobody holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named(descriptor)
    finally:
        os.close(descriptor)
    return None


def _named(descriptor: int) -> str:
    return os.pread(descriptor, 20, 0).decode(errors="replace").strip()
