"""What the disk says: it is full, it has the bytes, it has the file."""

import errno
import os
from pathlib import Path


def is_disk_full(error: OSError) -> bool:
    """Whether there is no space left, or none that this user may have."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def fsync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
