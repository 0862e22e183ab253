"""The lock that allows one `ytcaption up` per home."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.disk import is_disk_full
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import Settings

LOCK_NAME = "up.lock"

_PATIENCE_S = 0.5  # `is_up` briefly holds the lock


@contextmanager
def home_lock(home: Path) -> Iterator[None]:
    """Lock the home, and create it if needed. The kernel releases the lock when this process dies.

    Raises:
        SetupError: the home cannot be written, or another `ytcaption up` holds it.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        # That the lock file exists does not show that the disk can be written now.
        probe = home / f".writable.{os.getpid()}"
        probe.write_bytes(b"\0")
        probe.unlink()
        descriptor = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if is_disk_full(error):
            raise SetupError(f"The disk that holds {home} is full. Free some space.") from error
        raise SetupError(
            f"{home} cannot be written: {error.strerror}. Set YTCAPTION_HOME to a writable folder."
        ) from error
    try:
        try:
            _lock(descriptor)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            raise SetupError(
                f"`ytcaption up`, or a restore, already runs on {home}"
                f"{f' as process {holder}' if holder else ''}. "
                "Stop it, or set YTCAPTION_HOME to another folder."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_up(settings: Settings) -> bool:
    """Return whether a `ytcaption up` has locked the home."""
    try:
        descriptor = os.open(settings.home / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int) -> None:
    give_up_at = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)
        else:
            return
