"""Samples in a memory-mapped file: pages are read when accessed, and can be released.

Ten hours are 2.3 GB. If pages were never released, all of them would count as memory of the
process.
"""

import mmap
import os
from pathlib import Path
from typing import IO

import numpy as np

SAMPLE_RATE_HZ = 16_000
"""Rate of all samples that are transcribed."""


class _Mapping(mmap.mmap):
    """A mapping that keeps its file open, so that another process of the same user can open it.

    Attributes:
        address: where the mapping begins in memory.
    """

    file: IO[bytes]
    address: int


def map_samples(file: IO[bytes]) -> np.ndarray:
    """Map the samples of a file, which may have no name; it is closed with the last array.

    Returns:
        float32, shape (n_samples,), read-only.

    Raises:
        ValueError: the file is empty.
    """
    mapping = _Mapping(file.fileno(), 0, access=mmap.ACCESS_READ)
    samples = np.frombuffer(mapping, np.float32)
    mapping.file, mapping.address = file, _address(samples)
    return samples


def release_pages(samples: np.ndarray) -> None:
    """Release the pages of mapped samples; they are read again when accessed.

    Args:
        samples: mapped samples or a slice of them; other arrays are not affected.
    """
    mapping = _mapping(samples)
    if mapping is None or not samples.flags.c_contiguous:
        return
    first = _address(samples) - mapping.address
    start = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE
    end = first + samples.nbytes
    if end < len(mapping):
        end -= end % mmap.PAGESIZE
    if start < end:
        mapping.madvise(mmap.MADV_DONTNEED, start, end - start)


def mapped_path(samples: np.ndarray) -> Path | None:
    """Return a path under which another process of this user on this machine can open the samples.

    It is valid while the samples are referenced here; None for samples that are not mapped.
    """
    mapping = _mapping(samples)
    if mapping is None:
        return None
    return Path(f"/proc/{os.getpid()}/fd/{mapping.file.fileno()}")


def _mapping(samples: np.ndarray) -> _Mapping | None:
    base: object = samples
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    return base if isinstance(base, _Mapping) else None


def _address(samples: np.ndarray) -> int:
    return samples.__array_interface__["data"][0]
