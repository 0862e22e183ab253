"""What the system has run out of, told from exceptions of any library."""

import errno
import os
import subprocess
import sys

import pytest

from resources.shortages import shortage_of
from ytcaption.domain.errors import DiskFull, NotMedia, OutOfMemory, SetupError


@pytest.mark.unit
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), OutOfMemory),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), OutOfMemory),
        (RuntimeError("mkl_malloc: failed to allocate memory"), OutOfMemory),
        (RuntimeError("CUDA failed with error out of memory"), OutOfMemory),
        (RuntimeError("std::bad_alloc"), OutOfMemory),
        (ImportError("libtorch.so: failed to map segment from shared object"), OutOfMemory),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), DiskFull),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), DiskFull),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), SetupError),
        (OSError(errno.ENFILE, os.strerror(errno.ENFILE)), SetupError),
    ],
    ids=repr,
)
def test_each_shortage_has_its_error(error: Exception, kind: type[SetupError | DiskFull]) -> None:
    """Also where a library has raised an error of its own about it."""
    assert type(shortage_of(error)) is kind
    try:
        try:
            raise error
        except Exception as cause:
            raise ValueError("the library's own words") from cause
    except ValueError as outer:
        assert type(shortage_of(outer)) is kind


@pytest.mark.unit
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a recording about memory"),
        ValueError("out of memory"),  # as a text that somebody sent
        OSError(errno.ENOENT, "No such file"),
        NotMedia("It is no media."),
        KeyError("memory"),
    ],
    ids=repr,
)
def test_other_errors_are_none(error: Exception) -> None:
    """Known errors keep their own words."""
    assert shortage_of(error) is None


@pytest.mark.unit
def test_errors_that_cause_each_other_end() -> None:
    """A circle of causes is not followed for ever."""
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert shortage_of(first) is None


_COMMAND = """
import errno, os, sys
from ytcaption_assets.cli import main

def app():
    raise {error}

main.app = app
main.run()
"""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("MemoryError()", "too little memory"),
        ("OSError(errno.ENOSPC, 'x')", "disk is full"),
        ("OSError(errno.EMFILE, 'x')", "No more files can be opened"),
    ],
)
def test_a_command_says_it_without_a_traceback(error: str, words: str) -> None:
    """On one line, with exit status 1."""
    command = [sys.executable, "-c", _COMMAND.format(error=error)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr.startswith("ytcaption: ") and result.stderr.count("\n") == 1
    assert words in result.stderr
