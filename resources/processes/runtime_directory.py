"""The folder for Unix sockets and pid files, which only this user can enter."""

import hashlib
import os
import stat
from pathlib import Path

from ytcaption.domain.errors import SetupError

# The path of a Unix socket has at most 107 bytes on Linux and 103 on macOS, file name included.
_LONGEST_DIRECTORY = 103 - len("/worker-999.sock")


def runtime_directory(home: Path) -> Path:
    """Return `run` under the home; if that is too long for a socket, a folder in /tmp."""
    inside = home / "run"
    if len(os.fsencode(inside)) <= _LONGEST_DIRECTORY:
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:26]
    # Not TMPDIR or XDG_RUNTIME_DIR: every process of this home must compute the same path.
    return Path("/tmp") / f"ytcaption-{os.getuid()}-{digest}"  # noqa: S108 -- owner is checked below


def make_runtime_directory(home: Path) -> Path:
    """Create the runtime directory with mode 0700 and return it.

    Raises:
        SetupError: it cannot be created, or belongs to another user.
    """
    directory = runtime_directory(home)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise SetupError(
                f"{directory} belongs to another user. Set YTCAPTION_HOME to a shorter path."
            )
        directory.chmod(0o700)
    except OSError as error:
        raise SetupError(f"{directory} cannot be used: {error.strerror}.") from error
    return directory
