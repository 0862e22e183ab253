"""Cursors of lists whose items have UUIDs: the last one shown, as text that says nothing."""

import base64
import binascii
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from ytcaption.domain.errors import InvalidCursor


def cursor_of(id: UUID) -> str:
    """The place behind an item."""
    return base64.urlsafe_b64encode(id.bytes).decode().rstrip("=")


def _place(
    cursor: Annotated[
        str | None,
        Query(
            max_length=60,
            description="`next_cursor` of the page before. Left out: the first page.",
        ),
    ] = None,
) -> UUID | None:
    if cursor is None:
        return None
    try:
        return UUID(bytes=base64.b64decode(f"{cursor}==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise InvalidCursor(
            "This cursor is none that a list gave. Take `next_cursor` of a page, or leave it out."
        ) from None


PlaceDep = Annotated[UUID | None, Depends(_place)]
