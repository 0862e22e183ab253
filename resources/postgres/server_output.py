"""Says what the output of a Postgres program means, for a person."""

import resource

from ytcaption.domain.errors import DiskFull, OutOfMemory, SetupError

FILES_NEEDED = 1024
"""Open files that an installation needs; Postgres alone needs some sixty to start."""

_FULL = ("No space left", "Check free disk space", "Disk quota exceeded")
_FILES = ("file descriptors", "Too many open files")
_MEMORY = ("Cannot allocate memory", "out of memory", "could not map anonymous shared memory")


def error_of_output(output: str, failed: str) -> SetupError | DiskFull:
    """Return the error for a program of Postgres that failed.

    Args:
        output: all that it wrote.
        failed: what it could not do, as the beginning of a sentence.
    """
    if any(sign in output for sign in _FULL):
        return DiskFull(
            f"{failed}: no space is left on the disk. A new home needs 200 MB; free some, and try "
            "again."
        )
    if any(sign in output for sign in _FILES):
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return SetupError(
            f"{failed}: a process may open {limit} files only. Raise the limit to {FILES_NEEDED} "
            f"or more (`ulimit -n {FILES_NEEDED}`, or LimitNOFILE of the service)."
        )
    if any(sign in output for sign in _MEMORY):
        return OutOfMemory(f"{failed}: this machine has too little memory. Free some.")
    return SetupError(f"{failed}: {_cause(output)}")


def _cause(output: str) -> str:
    """Return the line that states the cause: the last one only says what is cleaned up."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    signs = ("FATAL", "PANIC", "error:", "could not")
    causes = [line for line in lines if any(sign in line for sign in signs)] or lines[-1:]
    return causes[-1] if causes else "it gave no message."
