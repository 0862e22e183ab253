"""Cursors of lists: the last item shown, as text that says nothing to a client."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request, Response

from ytcaption.domain.errors import InvalidCursor

CursorParameter = Annotated[
    str | None,
    Query(
        max_length=400,
        description="`next_cursor` of the page before. Left out: the first page.",
    ),
]


def written(values: Sequence[str | float]) -> str:
    """What `values_of` reads."""
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode().rstrip("=")


def values_of(cursor: str) -> Any:
    """What a cursor holds: a client may have made it, so it may be anything.

    Raises:
        InvalidCursor: `written` has not made it.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise invalid_cursor() from None


def next_page(request: Request, response: Response, path: str, cursor: str) -> str:
    """The URL of the next page, with all else that this one was asked with; also as `Link`.

    Args:
        path: of the list, such as `/api/v1/transcriptions`.
    """
    asked = [pair for pair in request.query_params.multi_items() if pair[0] != "cursor"]
    root = request.scope.get("root_path", "")
    url = f"{root}{path}?{urlencode([*asked, ('cursor', cursor)])}"
    response.headers["Link"] = f'<{url}>; rel="next"'
    return url


def invalid_cursor() -> InvalidCursor:
    """What whoever sent it is told."""
    return InvalidCursor(
        "This cursor is none that a list gave. Take `next_url` of a page, or begin without cursor."
    )
