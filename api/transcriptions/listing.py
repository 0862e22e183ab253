"""Lists of transcriptions: their filters, their cursors, and one page of them."""

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from api.http.fields import Text, Timestamp, refuse_unstorable
from api.http.pagination import (
    CursorParameter,
    decode_cursor,
    encode_cursor,
    invalid_cursor,
    paginate,
)
from api.responses import NO_STORE
from api.transcriptions.schemas import TranscriptionResponse
from api.transcriptions.view import Links, status_view
from resources.transcriptions.listing import (
    MOST_FIELDS,
    ListFilter,
    Position,
    TranscriptionDetail,
)
from ytcaption.domain.languages import WHISPER_LANGUAGES
from ytcaption.domain.request import TranscriptionStatus, is_partition_key


class TranscriptionPage(BaseModel):
    """One page of transcriptions, the newest first."""

    items: list[TranscriptionResponse]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]
    next_url: Annotated[
        str | None, Field(description="The next page with the same filters; also as `Link`.")
    ]


def page_view(
    request: Request,
    response: Response,
    details: list[TranscriptionDetail],
    limit: int,
    max_attempts: int,
    path: str = "/api/v1/transcriptions",
) -> TranscriptionPage:
    """Return a page and where the next one is.

    Args:
        details: one more than `limit` where there is a next page.
        path: of the list.
    """
    page = paginate(
        details,
        limit,
        lambda detail: position_cursor(
            Position(detail.transcription.created_at, detail.transcription.id)
        ),
        request=request,
        response=response,
        path=path,
    )
    response.headers.update(NO_STORE)
    return TranscriptionPage(
        items=[
            status_view(detail, Links.of(request, detail.transcription.id), max_attempts)
            for detail in page.items
        ],
        next_cursor=page.next_cursor,
        next_url=page.next_url,
    )


def position_cursor(position: Position) -> str:
    """Return the cursor of a list that is ordered by creation time and id."""
    return encode_cursor([position.created_at.isoformat(), position.id])


def position_of(cursor: str) -> Position:
    """Return the position that a cursor names.

    Raises:
        InvalidCursor: `position_cursor` did not make it.
    """
    try:
        at, id = decode_cursor(cursor)
        position = Position(datetime.fromisoformat(at), id)
        if (
            position.created_at.tzinfo
            and is_partition_key(id)
            and position_cursor(position) == cursor
        ):
            return position
    except (ValueError, TypeError):
        pass
    raise invalid_cursor()


def _position(
    cursor: CursorParameter = None,
) -> Position | None:
    return None if cursor is None else position_of(cursor)


def _filter(
    status: Annotated[
        list[TranscriptionStatus] | None,
        Query(description="Any of these; may be repeated."),
    ] = None,
    channel: Annotated[
        Text | None,
        Query(max_length=200, description="The id or the whole name of a channel."),
    ] = None,
    language: Annotated[
        Text | None,
        Query(
            max_length=40,
            description="The spoken language, or the requested one until it is known, as a code or "
            "an English name.",
        ),
    ] = None,
    created_after: Annotated[
        Timestamp | None,
        Query(description="First requested at this time or later, such as 2026-11-24T10:00:00Z."),
    ] = None,
    created_before: Annotated[
        Timestamp | None, Query(description="First requested before this time.")
    ] = None,
    metadata: Annotated[
        list[Text] | None,
        Query(
            max_length=MOST_FIELDS,
            description="`field:value` in the metadata of one of your requests; repeated: all of "
            "them. `ticket:4711` matches the number and the text.",
            examples=[["ticket:4711"]],
        ),
    ] = None,
    q: Annotated[Text | None, Query(max_length=200, description="A part of the title.")] = None,
) -> ListFilter:
    code = language.strip().lower() if language else None
    return ListFilter(
        statuses=tuple(status or ()),
        channel=channel,
        language=WHISPER_LANGUAGES.get(code, code) if code else None,
        created_after=created_after,
        created_before=created_before,
        title=q or None,
        metadata=tuple(_field(text, number) for number, text in enumerate(metadata or ())),
    )


def _field(text: str, number: int) -> tuple[str, str, Any]:
    """Return a field's name, its value as text, and its value as JSON where it is such."""
    name, colon, value = text.partition(":")
    if not colon or not name or len(text) > 500:
        raise RequestValidationError(
            [
                {
                    "type": "value_error",
                    "loc": ("query", "metadata", number),
                    "msg": "Write it as field:value, at most 500 characters",
                }
            ]
        )
    try:
        parsed = json.loads(value)
        refuse_unstorable(parsed)
    except (ValueError, RecursionError):
        parsed = value
    return name, value, value if isinstance(parsed, dict | list) else parsed


FilterDep = Annotated[ListFilter, Depends(_filter)]
PositionDep = Annotated[Position | None, Depends(_position)]
