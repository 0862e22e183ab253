"""A folder for Unix sockets and pid files that only this user can enter."""

import hashlib
import os
import stat
from pathlib import Path

from ytcaption.domain.errors import SetupError

# A Unix socket's path has at most 107 bytes on Linux and 103 on macOS, file name included.
_LONGEST_DIRECTORY = 103 - len("/worker-999.sock")


def runtime_directory(home: Path) -> Path:
    """`run` under the home; where that is too long for a socket, a folder in /tmp of its own."""
    inside = home / "run"
    if len(os.fsencode(inside)) <= _LONGEST_DIRECTORY:
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:26]
    # Not TMPDIR or XDG_RUNTIME_DIR: every process of this home must come to the same path.
    return Path("/tmp") / f"ytcaption-{os.getuid()}-{digest}"  # noqa: S108 -- owner is checked below


def make_runtime_directory(home: Path) -> Path:
    """Creates it with mode 0700.

    Raises:
        SetupError: it cannot be created, or somebody else made it first.
    """
    directory = runtime_directory(home)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise SetupError(
                f"{directory} belongs to somebody else. Set YTCAPTION_HOME to a shorter path."
            )
        directory.chmod(0o700)
    except OSError as error:
        raise SetupError(f"{directory} cannot be used: {error.strerror}.") from error
    return directory
