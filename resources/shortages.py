"""Recognises what the system has run out of in exceptions of any library."""

import errno
import resource
from collections.abc import Iterator

from resources.disk import is_disk_full
from ytcaption.domain.errors import DiskFull, OutOfMemory, SetupError, YtcaptionError

_MEMORY_SIGNS = (
    "bad_alloc",
    "cannot allocate memory",
    "failed to allocate memory",  # Intel's MKL, below CTranslate2
    "failed to map segment",  # a library that is being loaded
    "out of memory",
)
_MAX_CAUSES = 20


def shortage_of(error: BaseException) -> YtcaptionError | None:
    """Return the error that says of what there is too little: memory, disk space or open files.

    The exceptions that led to `error` are looked at, too. Returns None for any other error.
    """
    for each in _causes(error):
        if isinstance(each, YtcaptionError):
            return None
        if _is_memory(each):
            return OutOfMemory(
                "This machine has too little memory. Stop other programs, choose a smaller model, "
                "or lower YTCAPTION_TRANSCRIPTION_SLOTS."
            )
        if isinstance(each, OSError) and is_disk_full(each):
            return DiskFull("The disk is full. Free some space, then try again.")
        if isinstance(each, OSError) and each.errno in (errno.EMFILE, errno.ENFILE):
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            return SetupError(
                f"No more files can be opened: a process may have {limit} open. Raise the limit "
                "(`ulimit -n`, or LimitNOFILE of the service)."
            )
    return None


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError | ImportError) and any(
        sign in text for sign in _MEMORY_SIGNS
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and those that led to it, the outermost first."""
    current: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__
