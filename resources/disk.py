"""File system helpers: full disk, identity of an open file, checksum, fsync."""

import errno
import hashlib
import os
from pathlib import Path


def is_disk_full(error: OSError) -> bool:
    """Return whether the disk is full or this user's quota is used up."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether the open file is still the one at that path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
