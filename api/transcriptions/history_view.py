"""What happened to a transcription, as a page of it is told."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, JsonValue

from api.http.uuid_cursor import cursor_of
from resources.transcriptions.rows import EventRow
from ytcaption.domain.events import EventType

_NAMES = ", ".join(f"`{each.value}`" for each in EventType if not each.name.startswith("BREAKER"))


class HistoryEvent(BaseModel):
    """Something that happened."""

    event_id: Annotated[UUID, Field(description="A UUIDv7.")]
    event_type: Annotated[str, Field(description=f"One of {_NAMES}.")]
    timestamp: datetime
    schema_version: Annotated[int, Field(description="Of `data`.")]
    transcription_id: str
    media_id: str
    run_id: Annotated[str | None, Field(description="Of the run that did it, or that it hit.")]
    trace_id: Annotated[
        str | None, Field(description="Of W3C trace context: the request's that caused it.")
    ]
    data: Annotated[dict[str, JsonValue], Field(description="Ids, codes and numbers.")]


class HistoryPage(BaseModel):
    """Some of what happened, in its order."""

    items: list[HistoryEvent]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]


def history_view(events: list[EventRow], limit: int) -> HistoryPage:
    """A page.

    Args:
        events: one more than `limit` where there is a next page.
    """
    shown = events[:limit]
    return HistoryPage(
        items=[HistoryEvent(**each.__dict__) for each in shown],
        next_cursor=cursor_of(shown[-1].event_id) if len(events) > limit else None,
    )


def _example(number: int, event_type: EventType, at: str, data: dict[str, Any]) -> dict[str, Any]:
    id = "youtube-dQw4w9WgXcQ.k3zt5mxnq7ka2c6vpo4wy2jdhe"
    return {
        "event_id": f"0198f3f2-9a4{number}-7c1e-8f5d-3b0f6a1f2d11",
        "event_type": event_type.value,
        "timestamp": f"2026-11-24T10:00:{at}Z",
        "schema_version": 2,
        "transcription_id": id,
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
HISTORY_EXAMPLE: dict[str, Any] = {
    "items": [
        _example(0, EventType.TRANSCRIPTION_CREATED, "00.000000", {"priority": "interactive"}),
        _example(1, EventType.REQUESTED, "00.000000", _REQUESTED),
        _example(2, EventType.QUEUED, "00.000000", {"attempt": 1, "priority": "interactive"}),
        _example(3, EventType.STARTED, "00.310542", {"attempt": 1, "series_start": 1}),
    ],
    "next_cursor": "AZjz8ppDfB6PXTsPah8tEQ",
}
