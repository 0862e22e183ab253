"""Samples in a mapped file count as memory only while they are used."""

import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from resources.audio.samples import map_samples, mapped_path, release_pages

SAMPLES = 4_000_000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def written(folder: Path) -> np.ndarray:
    file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the array closes it
    np.arange(SAMPLES, dtype=np.float32).tofile(file)
    file.flush()
    return map_samples(file)


@pytest.fixture
def samples(tmp_path: Path) -> np.ndarray:
    return written(tmp_path)


def test_released_pages_are_no_memory_and_are_read_again(samples):
    """A slice's pages are released, its neighbours' stay, and all values are as before."""
    samples.sum()
    full = resident_bytes()
    release_pages(samples[1_000_003:3_000_001])
    remaining = resident_bytes()
    # If the kernel maps large pages, those that overlap the edges are released as well.
    assert 7_900_000 < full - remaining < 8_000_000 + (5 << 20)
    assert np.array_equal(samples, np.arange(SAMPLES, dtype=np.float32))


def test_other_arrays_are_not_affected():
    """An array that is not mapped has no pages to release."""
    ours = np.arange(100_000, dtype=np.float32)
    release_pages(ours)
    assert ours.sum() == np.arange(100_000, dtype=np.float32).sum()
    assert mapped_path(ours) is None


def test_samples_are_read_only(samples):
    """Written values would be lost with the page."""
    with pytest.raises(ValueError):
        samples[0] = 1.0


def test_another_process_can_open_them_by_name(samples):
    """Also through a slice; the file has no other name."""
    path = mapped_path(samples[100:])
    assert path is not None and path == mapped_path(samples)
    code = "import sys, numpy; print(numpy.fromfile(sys.argv[1], numpy.float32)[1234])"
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert float(result.stdout) == 1234.0


@pytest.mark.long
def test_file_is_closed_with_the_last_array(tmp_path):
    """No descriptor and no space on the disk outlives the samples, nor a slice of them."""
    part = written(tmp_path)[10:20]
    path = mapped_path(part)
    assert path is not None and path.exists()
    del part
    gc.collect()
    assert not path.exists()
