"""A machine that is too small gets one sentence with the cause and the remedy."""

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources.postgres.server_output import error_of_output
from tests.ytcaption_assets.cli.up.test_up import COMMAND, environment
from ytcaption.domain.errors import DiskFull, OutOfMemory, SetupError, YtcaptionError

CLEANED_UP = 'initdb: removing contents of data directory "new"'


@pytest.mark.unit
@pytest.mark.parametrize(
    ("output", "kind", "sentence"),
    [
        ("HINT:  Check free disk space.\nPANIC:  cannot abort", DiskFull, "no space is left"),
        ("could not write to file: No space left on device", DiskFull, "no space is left"),
        ("FATAL:  insufficient file descriptors available", SetupError, "ulimit -n 1024"),
        ("could not open file: Too many open files in system", SetupError, "ulimit -n 1024"),
        ("FATAL:  could not map anonymous shared memory", OutOfMemory, "too little memory"),
        ("initdb: error: invalid locale name\nchild", SetupError, "error: invalid locale name"),
        ("", SetupError, "it gave no message"),
    ],
)
def test_the_output_of_a_program_becomes_a_sentence(
    output: str, kind: type[YtcaptionError], sentence: str
):
    """Not its last line, which says what is cleaned up."""
    error = error_of_output(f"{output}\n{CLEANED_UP}" if output else "", "It failed")
    assert type(error) is kind
    assert str(error).startswith("It failed: ") and sentence in str(error)
    assert "removing" not in str(error)


@pytest.fixture
def small_disk() -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of a size in megabytes."""
    mounted: list[str] = []

    def mount(size_mb: int) -> Path:
        folder = tempfile.mkdtemp(prefix="ytcd", dir="/tmp")
        options = ["-t", "tmpfs", "-o", f"size={size_mb}m,mode=755", "tmpfs", folder]
        try:
            subprocess.run(["mount", *options], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("this user may not mount")
        mounted.append(folder)
        return Path(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def run(home: Path, *, open_files: int | None = None) -> str:
    """The only sentence of a command that fails."""

    def limit() -> None:
        if open_files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

    done = subprocess.run(
        [*COMMAND, "migrate"],
        env=environment(home),
        capture_output=True,
        text=True,
        preexec_fn=limit,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.slow
@pytest.mark.parametrize("size_mb", [20, pytest.param(60, marks=pytest.mark.slow)])
def test_a_small_disk_is_named(small_disk: Callable[[int], Path], size_mb: int):
    """The database does not fit, at its creation or at its first use."""
    line = run(small_disk(size_mb) / "home")
    assert "no space" in line.lower() and "ree some" in line


@pytest.mark.slow
def test_too_few_open_files_are_named(tmp_path: Path):
    """With the limit and how to raise it."""
    home = Path(tempfile.mkdtemp(prefix="ytcf", dir="/tmp"))
    try:
        line = run(home, open_files=40)
    finally:
        shutil.rmtree(home)
    assert "may open 40 files only" in line and "ulimit -n 1024" in line


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_home_that_cannot_be_written_is_named(small_disk: Callable[[int], Path]):
    """A disk that is mounted for reading only."""
    disk = small_disk(5)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    line = run(disk / "home")
    assert "Read-only file system. Make it writable, or set YTCAPTION_HOME" in line
