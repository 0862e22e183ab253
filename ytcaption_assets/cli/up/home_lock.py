"""The lock that allows one `ytcaption up` per home."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from resources.disk import is_disk_full
from resources.processes.holder_lock import LockHeld, holder_lock, lock_holder
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
    with ExitStack() as stack:
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            # That the lock file exists does not show that the disk can be written now.
            probe = home / f".writable.{os.getpid()}"
            probe.write_bytes(b"\0")
            probe.unlink()
            stack.enter_context(holder_lock(home / LOCK_NAME, _PATIENCE_S))
        except LockHeld as error:
            raise SetupError(
                f"`ytcaption up`, or a restore, already runs on {home}"
                f"{f' as process {error.holder}' if error.holder else ''}. "
                "Stop it, or set YTCAPTION_HOME to another folder."
            ) from error
        except OSError as error:
            if is_disk_full(error):
                raise SetupError(f"The disk that holds {home} is full. Free some space.") from error
            raise SetupError(
                f"{home} cannot be written: {error.strerror}. Set YTCAPTION_HOME to a writable "
                "folder."
            ) from error
        yield


def is_up(settings: Settings) -> bool:
    """Return whether a `ytcaption up` has locked the home."""
    return lock_holder(settings.home / LOCK_NAME) is not None
