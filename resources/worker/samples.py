"""Audio on its way from a run to a worker: a file that both read, or bytes into one of its own."""

import asyncio
import os
import re
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from resources.audio.samples import map_samples, mapped_path
from resources.disk import is_disk_full
from resources.worker.protocol import SAMPLE_BYTES
from ytcaption.domain.errors import DiskFull

_BLOCK_BYTES = 1 << 20

_BLOCK_S = 30.0
"""A sender that gives nothing for so long has gone."""

MAX_ORDER_BYTES = 64 << 20
"""Of the first line: the checkpoint of ten hours has a tenth of it."""

_OPEN_FILE = re.compile(r"/proc/[0-9]+/fd/[0-9]+")
"""The kernel's name for a file that another process holds open, which may have no other."""


class AudioRefused(Exception):
    """What a run sent cannot be worked on; says why, for its log."""


@contextmanager
def shared_file(waveform: np.ndarray, scratch: Path) -> Iterator[Path]:
    """A file of the samples for a worker on this machine: the one that the array maps, where it
    does, else a copy, which only this user can read.

    Raises:
        OSError: no copy can be made.
    """
    whole = _whole_file(waveform)
    if whole is not None:
        yield whole
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=scratch, prefix=".samples-") as file:
        np.ascontiguousarray(waveform, np.float32).tofile(file)
        file.flush()
        yield Path(file.name)


def sent_samples(waveform: np.ndarray, on_block: Callable[[], None]) -> Iterator[bytes]:
    """The samples as a worker on another machine wants them, block by block."""
    step = _BLOCK_BYTES // SAMPLE_BYTES
    for start in range(0, len(waveform), step):
        on_block()
        yield waveform[start : start + step].astype("<f4").tobytes()


def mapped_samples(path: str, samples: int) -> np.ndarray:
    """The samples of a file that a run on this machine named.

    Raises:
        AudioRefused: no ordinary file of this user, or not as long as it should be.
    """
    try:
        descriptor = _opened(path)
    except (OSError, ValueError) as error:
        raise AudioRefused("the file cannot be opened") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise AudioRefused("it is no ordinary file")
        if found.st_uid != os.geteuid():
            raise AudioRefused("the file belongs to somebody else")
        if found.st_size != samples * SAMPLE_BYTES:
            raise AudioRefused("the file has another length")
    except AudioRefused:
        os.close(descriptor)
        raise
    return _samples_in(os.fdopen(descriptor, "rb"), samples)


async def received_line(body: "Body", most_bytes: int = MAX_ORDER_BYTES) -> bytes:
    """The first line of a request.

    Raises:
        AudioRefused: it is too long, or has no end.
    """
    parts = bytearray()
    while True:
        block = await body.block()
        if block is None:
            raise AudioRefused("the order has no end")
        first, end, rest = block.partition(b"\n")
        parts += first
        if len(parts) > most_bytes:
            raise AudioRefused("the order is too long")
        if end:
            body.put_back(rest)
            return bytes(parts)


async def received_samples(body: "Body", samples: int, scratch: Path) -> np.ndarray:
    """The samples that follow, in a file without a name: never whole in memory, and gone with
    the array.

    Raises:
        AudioRefused: more or less than was said.
        DiskFull: no room for them.
    """
    left = samples * SAMPLE_BYTES
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            file = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
            while (block := await body.block()) is not None:
                left -= len(block)
                if left < 0:
                    raise AudioRefused("more samples than were said")
                await asyncio.to_thread(file.write, block)
            if left:
                raise AudioRefused("fewer samples than were said")
            file.flush()
            stack.pop_all()
            return _samples_in(file, samples)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull("No space is left on the worker's disk for the samples.") from error
        raise


class Body:
    """A request's bytes in blocks of some size; each is waited for only so long."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._rest = b""

    def put_back(self, rest: bytes) -> None:
        """Is a part of the next block."""
        self._rest = rest

    async def block(self) -> bytes | None:
        """Up to a mebibyte or what came at once; None at the end.

        Raises:
            AudioRefused: nothing came for too long.
        """
        parts, size = [self._rest], len(self._rest)
        self._rest = b""
        while size < _BLOCK_BYTES:
            try:
                async with asyncio.timeout(_BLOCK_S):
                    part = await anext(self._stream, None)
            except TimeoutError:
                raise AudioRefused("nothing came for too long") from None
            if part is None:
                break
            parts.append(part)
            size += len(part)
        return b"".join(parts) if size else None


def _opened(path: str) -> int:
    # A pipe is not waited for, and where a link leads is not looked at, unless the kernel made it.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    if not _OPEN_FILE.fullmatch(path):
        flags |= os.O_NOFOLLOW
    return os.open(path, flags)


def _samples_in(file: IO[bytes], samples: int) -> np.ndarray:
    if not samples:
        file.close()
        return np.zeros(0, np.float32)
    return map_samples(file)


def _whole_file(waveform: np.ndarray) -> Path | None:
    """The file that the array maps all of; None where there is none."""
    path = mapped_path(waveform)
    # Where the kernel shows no open files there is none either.
    is_whole = path is not None and path.exists() and path.stat().st_size == waveform.nbytes
    return path if is_whole else None
