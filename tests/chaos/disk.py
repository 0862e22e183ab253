"""A disk that becomes full: a small file system for the home, or else limits of file sizes."""

import contextlib
import errno
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from ytcaption_assets.cli.up.orphans import orphan_processes

SIZE = "800m"
_BLOCK = bytes(1024**2)
_LIMIT_BYTES = 2_000
"""Limit of any file's size if nothing can be mounted: less than a recording or a transcript."""


class Disk:
    """A folder for a home.

    Attributes:
        kind: description for the log.
        folder: folder on this disk.
    """

    def __init__(self, folder: Path, size: str, *, is_mounted: bool) -> None:
        self.folder = folder
        self.is_mounted = is_mounted
        self.kind = (
            f"a file system of {size}, filled to the last byte"
            if is_mounted
            else f"file sizes of all processes but Postgres limited to {_LIMIT_BYTES} bytes"
        )

    @contextmanager
    def full(self, home: Path) -> Iterator[None]:
        """Leave no space during the block."""
        if self.is_mounted:
            with self._filled():
                yield
        else:
            with _limited(home):
                yield

    @contextmanager
    def _filled(self) -> Iterator[None]:
        ballast = self.folder / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(_BLOCK)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
            yield
        finally:
            ballast.unlink(missing_ok=True)


@contextmanager
def disk(folder: Path, size: str = SIZE) -> Iterator[Disk]:
    """Mount a file system on the folder if permitted, which takes root; unmount it afterwards."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "chaos", str(folder)]
    program = shutil.which("mount")
    is_mounted = program and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield Disk(folder, size, is_mounted=bool(is_mounted))
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def _limited(home: Path) -> Iterator[None]:
    """Limit file sizes: larger writes fail with EFBIG, which the product treats as a full disk."""
    before = {}
    for process in orphan_processes(home):
        with contextlib.suppress(psutil.Error):
            before[process] = process.rlimit(resource.RLIMIT_FSIZE)
            process.rlimit(resource.RLIMIT_FSIZE, (_LIMIT_BYTES, before[process][1]))
    try:
        yield
    finally:
        # Processes started meanwhile have inherited the limit from their parents.
        usual = next(iter(before.values()), (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for process in orphan_processes(home):
            with contextlib.suppress(psutil.Error):
                process.rlimit(resource.RLIMIT_FSIZE, usual)
