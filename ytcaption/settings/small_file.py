"""Reads small files that an operator names, such as settings, cookies and keys."""

import errno
import os
import stat
from pathlib import Path

MAX_BYTES = 1024**2


def read_small_file(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the bytes of a regular file.

    A pipe that nobody writes to would block for ever, and a device or a huge file fill the memory.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger than `max_bytes`; `strerror`
            says which, for a sentence that ends in "cannot be read: ...".
    """
    # Checked before it is opened, too: opening some devices has an effect.
    _check_kind(path, path.stat())
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _check_kind(path, os.fstat(descriptor))
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {_size(max_bytes)}", str(path))
    return data


def read_small_text(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """Return the text of a regular file in UTF-8.

    Raises:
        OSError: as `read_small_file`, or it is not UTF-8.
    """
    try:
        return read_small_file(path, max_bytes).decode("utf-8")
    except UnicodeDecodeError:
        raise OSError(errno.EILSEQ, "it is not UTF-8 text", str(path)) from None


def _check_kind(path: Path, state: os.stat_result) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


def _size(size_bytes: int) -> str:
    return f"{size_bytes >> 20} MiB" if size_bytes >= 1024**2 else f"{size_bytes:,} bytes"
