"""`GET /api/v1/transcriptions/{id}/history`: the events of a transcription."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, JsonValue

from api.dependencies import PostgresDep, Reader
from api.http.pagination import Limit, UuidCursorDep, paginate, uuid_cursor
from api.responses import (
    DATABASE_UNAVAILABLE,
    LIST_ERRORS,
    NO_STORE,
    TRANSCRIPTION_ERASED,
    TRANSCRIPTION_NOT_FOUND,
    json_example,
)
from api.transcriptions.dependencies import TranscriptionId
from api.transcriptions.examples import EXAMPLE_ID
from resources.transcriptions.history import event_history
from ytcaption.domain.events import EventType

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

_NAMES = ", ".join(f"`{each.value}`" for each in EventType if not each.name.startswith("BREAKER"))


class HistoryEvent(BaseModel):
    """An event of a transcription."""

    event_id: Annotated[UUID, Field(description="A UUIDv7.")]
    event_type: Annotated[str, Field(description=f"One of {_NAMES}.")]
    timestamp: datetime
    schema_version: Annotated[int, Field(description="Version of the form of `data`.")]
    transcription_id: str
    media_id: str
    run_id: Annotated[
        str | None, Field(description="The run that caused the event or was affected by it.")
    ]
    trace_id: Annotated[
        str | None, Field(description="W3C trace id of the request that caused the event.")
    ]
    data: Annotated[dict[str, JsonValue], Field(description="Ids, codes and numbers.")]


class HistoryPage(BaseModel):
    """One page of a history, the oldest event first."""

    items: list[HistoryEvent]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]


def _example(number: int, event_type: EventType, at: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_id": f"0198f3f2-9a4{number}-7c1e-8f5d-3b0f6a1f2d11",
        "event_type": event_type.value,
        "timestamp": f"2026-11-24T10:00:{at}Z",
        "schema_version": 2,
        "transcription_id": EXAMPLE_ID,
        "media_id": "youtube-dQw4w9WgXcQ",
        "run_id": "5f0c5b7c-9a3e-4d6f-8a1b-2c3d4e5f6a7b" if number > 2 else None,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "data": data,
    }


_REQUESTED = {
    "request_id": "0198f3f2-9a40-7c1e-8f5d-3b0f6a1f2d11",
    "priority": "interactive",
    "force": False,
}
_HISTORY: dict[str, Any] = {
    "items": [
        _example(0, EventType.TRANSCRIPTION_CREATED, "00.000000", {"priority": "interactive"}),
        _example(1, EventType.REQUESTED, "00.000000", _REQUESTED),
        _example(2, EventType.QUEUED, "00.000000", {"attempt": 1, "priority": "interactive"}),
        _example(3, EventType.STARTED, "00.310542", {"attempt": 1, "series_start": 1}),
    ],
    "next_cursor": "AZjz8ppDfB6PXTsPah8tEQ",
}


@router.get(
    "/transcriptions/{id}/history",
    operation_id="getTranscriptionHistory",
    summary="List the events of a transcription",
    responses={
        **json_example(200, _HISTORY),
        **LIST_ERRORS,
        **TRANSCRIPTION_NOT_FOUND,
        **TRANSCRIPTION_ERASED,
        **DATABASE_UNAVAILABLE,
    },
)
def read_history(
    id: TranscriptionId,
    caller: Reader,
    postgres: PostgresDep,
    response: Response,
    after: UuidCursorDep,
    limit: Limit = 50,
) -> HistoryPage:
    """Return the events, the oldest first, page by page. Of requests you see your own; an admin
    sees all.

    Events hold ids, codes and numbers. Texts such as error messages are in the status.
    """
    response.headers.update(NO_STORE)
    events = event_history(postgres, id, caller.sees_only, after=after, limit=limit + 1)
    page = paginate(events, limit, lambda event: uuid_cursor(event.event_id))
    return HistoryPage(
        items=[HistoryEvent(**event.__dict__) for event in page.items],
        next_cursor=page.next_cursor,
    )
