"""One byte range of a stored object as an HTTP answer (RFC 9110 section 14)."""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import closing

from starlette.responses import Response, StreamingResponse

from api.http.errors import problem
from ytcaption.domain.errors import ObjectCorrupt

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE)

ReadRange = Callable[[int, int], Iterator[bytes]]
"""The bytes from a first one up to, not including, another."""


class Unsatisfiable(Exception):
    """A range that begins where there is nothing."""


def wanted_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None where all of it is sent: no range is asked for,
    several are, or none that can be read (section 14.2 lets a server leave them aside).

    Raises:
        Unsatisfiable: it lies behind the end.
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size_bytes)
        if length == 0:
            raise Unsatisfiable
        return size_bytes - length, size_bytes
    if last and int(last) < int(first):
        return None
    if int(first) >= size_bytes:
        raise Unsatisfiable
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
    """200 with all bytes, 206 with some, or 416.

    Args:
        sha256: hex, of all bytes; also the strong ETag. All of them are checked against it on their
            way out, and the last block is held back from who would get wrong ones.
        headers: of both answers, `ETag` among them.
    """
    headers = headers | {"Accept-Ranges": "bytes"}
    part = None
    # If-Range: a range of other bytes than those the client has begun with is of no use to it; a
    # date is compared with no Last-Modified of ours, so it never matches (section 13.1.5).
    if if_range is None or if_range.strip() == headers["ETag"]:
        try:
            part = wanted_range(range_header, size_bytes)
        except Unsatisfiable:
            detail = f"The range begins behind the end: there are {size_bytes} bytes."
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
    """The same blocks, the first read already: what fails there is an error, not half an answer."""
    first = next(blocks, b"")

    def rest() -> Iterator[bytes]:
        with closing(blocks):  # pyright: ignore[reportArgumentType] - a generator
            yield first
            yield from blocks

    return rest()


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
        raise ObjectCorrupt("The stored audio is not the one that was written.")
    yield held or b""
