"""Uploads and downloads of files, block by block."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ytcaption.client.errors import ServerUnreachable
from ytcaption.client.transport import MAX_ATTEMPTS, Call, Transport
from ytcaption.domain.errors import EmptyFile, FileUnreadable

OnProgress = Callable[[int, int | None], None]

_BLOCK_BYTES = 64 * 1024


def file_size(path: Path) -> int:
    """Return the size of a file that can be sent.

    Raises:
        FileUnreadable: there is no such file, or it is not a regular file.
        EmptyFile: it has zero bytes.
    """
    if not path.is_file():
        raise FileUnreadable(f"There is no file {path}. A link starts with https://.")
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise EmptyFile.named(path.name)
    return size_bytes


def file_blocks(path: Path, size_bytes: int, on_progress: OnProgress | None) -> Iterator[bytes]:
    """Yield the first `size_bytes` of a file, as many as were announced.

    Raises:
        FileUnreadable: it cannot be read, or has become shorter.
    """
    left = size_bytes
    try:
        with path.open("rb") as file:
            while left and (block := file.read(min(left, _BLOCK_BYTES))):
                left -= len(block)
                yield block
                if on_progress is not None:
                    on_progress(size_bytes - left, size_bytes)
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be read: {error.strerror}.") from error
    if left:
        raise FileUnreadable(f"{path} changed while it was sent. Send it again.")


def download(
    transport: Transport, address: str, path: Path, on_progress: OnProgress | None
) -> Path:
    """Save what is at the address as a file: complete, or not at all.

    Raises:
        FileUnreadable: it cannot be written.
        ServerUnreachable: the connection broke on every attempt.
    """
    part = path.with_name(f"{path.name}.part-{os.getpid()}")
    try:
        with part.open("wb") as file:
            tag = ""
            for attempt in range(1, MAX_ATTEMPTS + 1):
                headers = {"Range": f"bytes={file.tell()}-", "If-Range": tag} if tag else {}
                try:
                    with transport.stream(Call("GET", address, headers=headers)) as response:
                        if response.status_code != 206:
                            file.seek(0)
                            file.truncate()
                        tag = response.headers.get("ETag", "")
                        length = response.headers.get("Content-Length")
                        total = file.tell() + int(length) if length else None
                        for block in response.iter_raw():
                            file.write(block)
                            if on_progress is not None:
                                on_progress(file.tell(), total)
                    break
                except ServerUnreachable:
                    if attempt == MAX_ATTEMPTS:
                        raise
        part.replace(path)
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
    return path
