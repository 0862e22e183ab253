"""Transfer of samples from a run to a worker: in a shared file, or in the request's body."""

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
"""A sender that sends nothing for this long has disconnected."""

MAX_REQUEST_LINE_BYTES = 64 << 20
"""Limit of the first line: the checkpoint of ten hours has a tenth of it."""

_OPEN_FILE = re.compile(r"/proc/[0-9]+/fd/[0-9]+")
"""The kernel's path of a file that another process holds open, which may have no other name."""


class RequestRejected(Exception):
    """A request is invalid; the message says why, for the run's log."""


@contextmanager
def shared_file(waveform: np.ndarray, scratch: Path) -> Iterator[Path]:
    """Yield a file of the samples for a worker on this machine.

    It is the file that the array maps, if it maps one, else a copy that only this user can read.

    Raises:
        OSError: the copy cannot be made.
    """
    mapped = _mapped_file(waveform)
    if mapped is not None:
        yield mapped
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=scratch, prefix=".samples-") as file:
        np.ascontiguousarray(waveform, np.float32).tofile(file)
        file.flush()
        yield Path(file.name)


def sample_blocks(waveform: np.ndarray, on_block: Callable[[], None]) -> Iterator[bytes]:
    """Yield the samples in blocks, as sent to a worker on another machine."""
    step = _BLOCK_BYTES // SAMPLE_BYTES
    for start in range(0, len(waveform), step):
        on_block()
        yield waveform[start : start + step].astype("<f4").tobytes()


def map_shared_file(path: str, samples: int) -> np.ndarray:
    """Map the samples of a file that a run on this machine named.

    Raises:
        RequestRejected: it is not an ordinary file of this user, or has another length.
    """
    try:
        descriptor = _open(path)
    except (OSError, ValueError) as error:
        raise RequestRejected("the file cannot be opened") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RequestRejected("it is not an ordinary file")
        if status.st_uid != os.geteuid():
            raise RequestRejected("the file belongs to another user")
        if status.st_size != samples * SAMPLE_BYTES:
            raise RequestRejected("the file has another length")
    except RequestRejected:
        os.close(descriptor)
        raise
    return _map(os.fdopen(descriptor, "rb"), samples)


async def receive_line(body: "Body", max_bytes: int = MAX_REQUEST_LINE_BYTES) -> bytes:
    """Return the first line of a request.

    Raises:
        RequestRejected: it is too long, or has no end.
    """
    line = bytearray()
    while True:
        block = await body.block()
        if block is None:
            raise RequestRejected("the request has no end")
        first, end, rest = block.partition(b"\n")
        line += first
        if len(line) > max_bytes:
            raise RequestRejected("the request is too long")
        if end:
            body.put_back(rest)
            return bytes(line)


async def receive_samples(body: "Body", samples: int, scratch: Path) -> np.ndarray:
    """Receive the samples that follow the request into a file without a name.

    They are never in memory as a whole, and the file disappears with the array.

    Raises:
        RequestRejected: there are more or fewer samples than stated.
        DiskFull: there is no space for them.
    """
    missing = samples * SAMPLE_BYTES
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            file = stack.enter_context(tempfile.TemporaryFile(dir=scratch))
            while (block := await body.block()) is not None:
                missing -= len(block)
                if missing < 0:
                    raise RequestRejected("more samples than stated")
                await asyncio.to_thread(file.write, block)
            if missing:
                raise RequestRejected("fewer samples than stated")
            file.flush()
            stack.pop_all()
            return _map(file, samples)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull("No space is left on the worker's disk for the samples.") from error
        raise


class Body:
    """A request's body in blocks, with a time limit for each."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._rest = b""

    def put_back(self, rest: bytes) -> None:
        """Put bytes back to the beginning of the next block."""
        self._rest = rest

    async def block(self) -> bytes | None:
        """Return at least a mebibyte, or the rest of the body; None at its end.

        Raises:
            RequestRejected: nothing arrived for too long.
        """
        parts, size = [self._rest], len(self._rest)
        self._rest = b""
        while size < _BLOCK_BYTES:
            try:
                async with asyncio.timeout(_BLOCK_S):
                    part = await anext(self._stream, None)
            except TimeoutError:
                raise RequestRejected("nothing arrived for too long") from None
            if part is None:
                break
            parts.append(part)
            size += len(part)
        return b"".join(parts) if size else None


def _open(path: str) -> int:
    # Opening a pipe must not block, and links are not followed, except for those of the kernel.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    if not _OPEN_FILE.fullmatch(path):
        flags |= os.O_NOFOLLOW
    return os.open(path, flags)


def _map(file: IO[bytes], samples: int) -> np.ndarray:
    if not samples:
        file.close()
        return np.zeros(0, np.float32)
    return map_samples(file)


def _mapped_file(waveform: np.ndarray) -> Path | None:
    """Return the file that the array maps completely; None if there is none."""
    path = mapped_path(waveform)
    # If the kernel does not show open files, the path does not exist.
    is_whole = path is not None and path.exists() and path.stat().st_size == waveform.nbytes
    return path if is_whole else None
