"""What the disk says: it is full, or it has the bytes."""

import errno
import os
from pathlib import Path


def is_disk_full(error: OSError) -> bool:
    """Whether there is no space left, or none that this user may have."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def fsync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
