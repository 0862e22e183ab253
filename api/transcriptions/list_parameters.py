"""What a list of transcriptions is asked by: filters, and the cursor of its page."""

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator

from api.http.cursors import CursorParameter, invalid_cursor, values_of, written
from api.http.storable import refuse_unstorable
from api.http.timestamps import Moment
from resources.transcriptions.listing import MOST_FIELDS, ListFilter, Position
from ytcaption.domain.languages import WHISPER_LANGUAGES
from ytcaption.domain.request import TranscriptionStatus, is_partition_key

LARGEST_PAGE = 200


def cursor_of(position: Position) -> str:
    """A place in the list as text that says nothing to a client."""
    return written([position.created_at.isoformat(), position.id])


def position_of(cursor: str) -> Position:
    """The place that a cursor names.

    Raises:
        InvalidCursor: `cursor_of` has not made it.
    """
    try:
        at, id = values_of(cursor)
        position = Position(datetime.fromisoformat(at), id)
        if position.created_at.tzinfo and is_partition_key(id) and cursor_of(position) == cursor:
            return position
    except (ValueError, TypeError):
        pass
    raise invalid_cursor()


def _storable(text: str) -> str:
    refuse_unstorable(text)
    return text


Text = Annotated[str, AfterValidator(_storable)]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Most items of a page.")]


def _position(
    cursor: CursorParameter = None,
) -> Position | None:
    return None if cursor is None else position_of(cursor)


def _filter(
    status: Annotated[
        list[TranscriptionStatus] | None, Query(description="Any of these; may be repeated.")
    ] = None,
    channel: Annotated[
        Text | None,
        Query(max_length=200, description="The id of a channel, or its whole name."),
    ] = None,
    language: Annotated[
        Text | None,
        Query(
            max_length=40,
            description="A code or an English name: that is spoken, or while it is not known, that "
            "was asked for.",
        ),
    ] = None,
    created_after: Annotated[
        Moment | None,
        Query(description="First asked for at this time or later, such as 2026-11-24T10:00:00Z."),
    ] = None,
    created_before: Annotated[
        Moment | None, Query(description="First asked for before this time.")
    ] = None,
    metadata: Annotated[
        list[Text] | None,
        Query(
            max_length=MOST_FIELDS,
            description="`field:value` of the metadata of one of your requests for it; repeated: "
            "all of them. `ticket:4711` finds the number and the text.",
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
    """A field's name, its value as a text, and its value as JSON where it is such."""
    name, colon, value = text.partition(":")
    if not colon or not name or len(text) > 500:
        raise RequestValidationError(
            [
                {
                    "type": "value_error",
                    "loc": ("query", "metadata", number),
                    "msg": "Give it as field:value, at most 500 characters",
                }
            ]
        )
    try:
        other = json.loads(value)
        refuse_unstorable(other)
    except (ValueError, RecursionError):
        other = value
    return name, value, value if isinstance(other, dict | list) else other


FilterDep = Annotated[ListFilter, Depends(_filter)]
PositionDep = Annotated[Position | None, Depends(_position)]
