"""Files on their way to and from the server, block by block."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ytcaption.client.errors import ServerUnreachable
from ytcaption.client.transport import MAX_ATTEMPTS, Call, Transport
from ytcaption.domain.errors import EmptyFile, FileUnreadable

OnProgress = Callable[[int, int | None], None]

_BLOCK_BYTES = 64 * 1024


def file_size(path: Path) -> int:
    """Bytes of a file that can be sent.

    Raises:
        FileUnreadable: there is none, or it is no ordinary file.
        EmptyFile: of zero bytes.
    """
    if not path.is_file():
        raise FileUnreadable(f"There is no file {path}. A link begins with https://.")
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise EmptyFile(f"{path.name} is empty.")
    return size_bytes


def file_blocks(path: Path, size_bytes: int, on_progress: OnProgress | None) -> Iterator[bytes]:
    """The first `size_bytes` of a file, so many as were announced.

    Raises:
        FileUnreadable: it cannot be read, or has become shorter meanwhile.
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
        raise FileUnreadable(f"{path} has changed while it was sent. Send it again.")


def saved(transport: Transport, address: str, path: Path, on_progress: OnProgress | None) -> Path:
    """What is at the address, as a file: whole, or not there.

    Raises:
        FileUnreadable: it cannot be written.
        ServerUnreachable: the connection broke again and again.
    """
    part = path.with_name(f"{path.name}.part-{os.getpid()}")
    try:
        with part.open("wb") as file:
            tag = ""
            for attempt in range(1, MAX_ATTEMPTS + 1):
                headers = {"Range": f"bytes={file.tell()}-", "If-Range": tag} if tag else {}
                try:
                    with transport.stream(Call("GET", address, headers=headers)) as answer:
                        if answer.status_code != 206:
                            file.seek(0)
                            file.truncate()
                        tag = answer.headers.get("ETag", "")
                        length = answer.headers.get("Content-Length")
                        total = file.tell() + int(length) if length else None
                        for block in answer.iter_raw():
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
