"""One byte range of a stored object as an HTTP response (RFC 9110 section 14)."""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import closing

from starlette.responses import Response, StreamingResponse

from api.http.errors import problem
from ytcaption.domain.errors import ObjectCorrupt

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE)

ReadRange = Callable[[int, int], Iterator[bytes]]
"""Returns the bytes from the first offset up to, but not including, the second."""


class RangeNotSatisfiable(Exception):
    """A range that starts after the end."""


def parse_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """Return the first byte of a `Range` header and the one after its last.

    None stands for the whole object: the header is absent, asks for several ranges or cannot be
    parsed, which section 14.2 lets a server ignore.

    Raises:
        RangeNotSatisfiable: it starts after the end.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size_bytes)
        if length == 0:
            raise RangeNotSatisfiable
        return size_bytes - length, size_bytes
    if last and int(last) < int(first):
        return None
    if int(first) >= size_bytes:
        raise RangeNotSatisfiable
    return int(first), min(int(last) + 1, size_bytes) if last else size_bytes


def range_response(
    read: ReadRange,
    *,
    size_bytes: int,
    sha256: str,
    headers: dict[str, str],
    range_header: str | None,
    if_range: str | None,
    is_head: bool,
) -> Response:
    """Return all bytes (200), a part of them (206), or 416.

    Args:
        sha256: hex, of all bytes; also the strong ETag. A whole object is checked against it while
            it is sent, and its last block is held back if it does not match.
        headers: of 200 and 206, including `ETag`.
    """
    headers = headers | {"Accept-Ranges": "bytes"}
    part = None
    # If-Range with another tag: the client has begun with other bytes, so it gets all of them. We
    # send no Last-Modified, so a date never matches (section 13.1.5).
    if if_range is None or if_range.strip() == headers["ETag"]:
        try:
            part = parse_range(range_header, size_bytes)
        except RangeNotSatisfiable:
            detail = f"The range starts after the end: there are {size_bytes} bytes."
            extra = {"Content-Range": f"bytes */{size_bytes}", "Accept-Ranges": "bytes"}
            return problem(416, "range_not_satisfiable", detail, headers=extra)
    start, end = part or (0, size_bytes)
    headers["Content-Length"] = str(end - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    status = 200 if part is None else 206
    if is_head:
        return Response(None, status, headers=headers)
    blocks = _first_read(read(start, end))
    return StreamingResponse(_checked(blocks, sha256) if part is None else blocks, status, headers)


def _first_read(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Read the first block now, so that a failure there is an error and not half a response."""
    first = next(blocks, b"")

    def all_blocks() -> Iterator[bytes]:
        with closing(blocks):  # pyright: ignore[reportArgumentType] - a generator
            yield first
            yield from blocks

    return all_blocks()


def _checked(blocks: Iterator[bytes], sha256: str) -> Iterator[bytes]:
    digest = hashlib.sha256()
    held: bytes | None = None
    with closing(blocks):  # pyright: ignore[reportArgumentType] - a generator
        for block in blocks:
            digest.update(block)
            if held is not None:
                yield held
            held = block
    if digest.hexdigest() != sha256:
        raise ObjectCorrupt("The stored audio is not what was written.")
    yield held or b""
