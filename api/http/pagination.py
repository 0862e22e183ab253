"""Pages of lists: cursors, their query parameters, and the page that follows.

A cursor names the last item of a page. It is opaque to clients, who may also invent one.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from ytcaption.domain.errors import InvalidCursor

MAX_PAGE_SIZE = 200

CURSOR_DESCRIPTION = "`next_cursor` of the previous page. Default: the first page."

Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="Maximum items on a page.")]
CursorParameter = Annotated[str | None, Query(max_length=400, description=CURSOR_DESCRIPTION)]


class Page(NamedTuple, Generic[Item]):
    """The items of one page and where the next one is; both None on the last page."""

    items: list[Item]
    next_cursor: str | None
    next_url: str | None = None


def paginate(
    rows: Sequence[Item],
    limit: int,
    cursor_of: Callable[[Item], str],
    *,
    request: Request | None = None,
    response: Response | None = None,
    path: str = "",
) -> Page[Item]:
    """Split what a query returned into the page and the cursor of the next one.

    Args:
        rows: one more than `limit` where there is a next page.
        request, response, path: of a list that gives `next_url`, as `next_page` takes them.
    """
    items = list(rows[:limit])
    if len(rows) <= limit:
        return Page(items, None)
    cursor = cursor_of(items[-1])
    if request is None or response is None:
        return Page(items, cursor)
    return Page(items, cursor, next_page(request, response, path, cursor))


def next_page(request: Request, response: Response, path: str, cursor: str) -> str:
    """Return the URL of the next page, with this request's other parameters; set `Link`, too.

    Args:
        path: of the list, such as `/api/v1/transcriptions`.
    """
    others = [pair for pair in request.query_params.multi_items() if pair[0] != "cursor"]
    root = request.scope.get("root_path", "")
    url = f"{root}{path}?{urlencode([*others, ('cursor', cursor)])}"
    response.headers["Link"] = f'<{url}>; rel="next"'
    return url


def encode_cursor(values: Sequence[str | float]) -> str:
    """Return the cursor of these values, for `decode_cursor`."""
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> Any:
    """Return the JSON value of a cursor; the caller checks its type.

    Raises:
        InvalidCursor: `encode_cursor` did not make it.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise invalid_cursor() from None


def invalid_cursor() -> InvalidCursor:
    """Return the error for a cursor that no list issued."""
    return InvalidCursor(
        "This cursor was not issued by a list. Use `next_url` of a page, or start without a cursor."
    )


def uuid_cursor(id: UUID) -> str:
    """Return the cursor of a list whose items are ordered by a UUID."""
    return base64.urlsafe_b64encode(id.bytes).decode().rstrip("=")


def _uuid_of(
    cursor: Annotated[str | None, Query(max_length=60, description=CURSOR_DESCRIPTION)] = None,
) -> UUID | None:
    if cursor is None:
        return None
    try:
        return UUID(bytes=base64.b64decode(f"{cursor}==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise InvalidCursor(
            "This cursor was not issued by a list. Use `next_cursor` of a page, or leave it out."
        ) from None


UuidCursorDep = Annotated[UUID | None, Depends(_uuid_of)]
