"""What a process that hears wants of its C libraries: memory is kept, and no thread spins.

glibc maps each large block afresh and gives it back: a third of faster-whisper's time is page
faults (docs/engine.md). Here blocks are kept, in one heap (a thread's own holds none of over 64
MB), of large pages. OpenBLAS and OpenMP let idle threads spin, on cores where others have work to
do. All of it is read when a process or library starts, so it stands in the environment.
"""

import ctypes
import os
import sys
from collections.abc import Mapping

_TUNABLES = "GLIBC_TUNABLES"
_ALLOCATOR = {"glibc.malloc.arena_max": "1", "glibc.malloc.hugetlb": "1"}
"""One heap for all threads; huge pages by madvise(2)."""

_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""With eight processes on two cores a recording took five times the CPU while OpenMP's spun."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""


def decoding_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process that may load a model; what an operator has set stays."""
    given = [each for each in environment.get(_TUNABLES, "").split(":") if each]
    names = {each.split("=")[0] for each in given}
    added = [f"{name}={value}" for name, value in _ALLOCATOR.items() if name not in names]
    return {**_THREADS, **environment, _TUNABLES: ":".join([*given, *added])}


def restart_for_decoding() -> None:
    """This process begins again, same number and arguments, unless it is set up already."""
    wanted = decoding_environment(os.environ)
    if wanted != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)  # noqa: S606


def keep_freed_memory() -> None:
    """Large blocks that are freed stay with this process, for the next ones."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def release_freed_memory() -> None:
    """What is kept and free goes to the system: the models are gone, and this may be for long."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
