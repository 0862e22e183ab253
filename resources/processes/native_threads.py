"""Allocator and thread settings of C libraries for processes that run a model.

glibc maps and unmaps each large block: a third of faster-whisper's time is page faults
(docs/benchmarks/engine-design.md). Here freed blocks are kept, in one heap (a thread's own heap
holds none above 64 MB), with huge pages. OpenBLAS and OpenMP let idle threads spin on cores that
others need. All of this is read when a process or library starts, so it is set in the environment.
"""

import ctypes
import os
import sys
from collections.abc import Mapping

_TUNABLES = "GLIBC_TUNABLES"
_ALLOCATOR = {"glibc.malloc.arena_max": "1", "glibc.malloc.hugetlb": "1"}
"""One heap for all threads; huge pages by madvise(2)."""

_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""With eight processes on two cores a recording took five times the CPU while OpenMP's threads
spun."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""


def decoding_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a process that may load a model; values already set are kept."""
    given = [tunable for tunable in environment.get(_TUNABLES, "").split(":") if tunable]
    names = {tunable.split("=")[0] for tunable in given}
    added = [f"{name}={value}" for name, value in _ALLOCATOR.items() if name not in names]
    return {**_THREADS, **environment, _TUNABLES: ":".join([*given, *added])}


def restart_for_decoding() -> None:
    """Re-execute this process, same number and arguments, unless its environment is set already."""
    environment = decoding_environment(os.environ)
    if environment != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606


def keep_freed_memory() -> None:
    """Keep large freed blocks in this process for later allocations."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def release_freed_memory() -> None:
    """Return free memory to the system, after the models were unloaded."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
