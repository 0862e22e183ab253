"""Rebuild a transcription's row from its events.

Not part of it: options (they may hold text), the error's message, the owner, and everything
transient (heartbeat, stage, progress, the time of the next attempt).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from ytcaption.domain.events import EventType

_TRANSCRIPT = (
    "document_key",
    "document_sha256",
    "language",
    "language_probability",
    "duration_s",
    "speech_s",
    "segment_count",
    "word_count",
    "dropped_count",
)
_TIMES = ("created_at", "queued_at", "started_at", "completed_at")


@dataclass(frozen=True)
class RecordedEvent:
    """One event.

    Attributes:
        data: the fields of the event's type.
    """

    event_type: str
    timestamp: datetime
    media_id: str
    run_id: str | None
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Projection:
    """The columns of `ytcaption.transcription` that follow from events.

    Attributes:
        is_erased: the row may no longer exist.
    """

    media_id: str
    status: str
    priority: str
    attempt: int
    series_start: int
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None = None
    run_id: str | None = None
    error_code: str | None = None
    document_key: str | None = None
    document_sha256: str | None = None
    language: str | None = None
    language_probability: float | None = None
    duration_s: float | None = None
    speech_s: float | None = None
    segment_count: int | None = None
    word_count: int | None = None
    dropped_count: int | None = None
    completed_at: datetime | None = None
    is_erased: bool = False

    def columns(self) -> dict[str, Any]:
        """Return the values by column."""
        return {name: getattr(self, name) for name in REPLAYED}


REPLAYED = tuple(field.name for field in fields(Projection) if field.name != "is_erased")
"""Columns that are compared."""


def snapshot_data(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of an event `SnapshotTaken` that describes a row: its columns without null
    values, times as seconds since 1970."""
    data = {name: row[name] for name in REPLAYED if name not in ("media_id", "run_id")}
    for name in _TIMES:
        if data[name] is not None:
            data[name] = data[name].timestamp()
    return {name: value for name, value in data.items() if value is not None}


def apply(before: Projection | None, event: RecordedEvent) -> Projection | None:
    """Return the row after an event.

    Args:
        before: None: this is the first event. Most event types hold too little to begin with.
    """
    if event.event_type == EventType.TRANSCRIPTION_CREATED:
        return _created(event)
    if event.event_type == EventType.SNAPSHOT_TAKEN:
        return _recorded(event)
    change = _CHANGES.get(event.event_type)
    if before is None or change is None:
        return before
    return change(before, event)


def _created(event: RecordedEvent) -> Projection:
    return Projection(
        media_id=event.media_id,
        status="queued",
        priority=event.data["priority"],
        attempt=1,
        series_start=1,
        created_at=event.timestamp,
        queued_at=event.timestamp,
    )


def _recorded(event: RecordedEvent) -> Projection:
    """Read all columns, times as seconds since 1970; null values are left out."""
    values: dict[str, Any] = {name: event.data.get(name) for name in REPLAYED}
    for name in _TIMES:
        if values[name] is not None:
            values[name] = datetime.fromtimestamp(values[name], UTC)
    return Projection(**values | {"media_id": event.media_id, "run_id": event.run_id})


def _requested(row: Projection, event: RecordedEvent) -> Projection:
    """Add a request: the highest priority of all requests counts."""
    hurries = row.status == "queued" and event.data["priority"] == "interactive"
    return replace(row, priority="interactive") if hurries else row


def _result_discarded(row: Projection, _: RecordedEvent) -> Projection:
    return replace(
        row,
        document_key=None,
        document_sha256=None,
        completed_at=None,
        status="canceled" if row.status == "completed" else row.status,
    )


def _queued(row: Projection, event: RecordedEvent) -> Projection:
    return replace(
        row,
        status="queued",
        attempt=event.data["attempt"],
        series_start=event.data["attempt"],
        priority=event.data["priority"],
        queued_at=event.timestamp,
        run_id=None,
        error_code=None,
        is_erased=False,
    )


def _started(row: Projection, event: RecordedEvent) -> Projection:
    return replace(
        row,
        status="running",
        run_id=event.run_id,
        attempt=event.data["attempt"],
        series_start=event.data["series_start"],
        started_at=event.timestamp,
        error_code=None,
    )


def _transcript_stored(row: Projection, event: RecordedEvent) -> Projection:
    return replace(row, **{name: event.data.get(name) for name in _TRANSCRIPT})


def _document_rebuilt(row: Projection, event: RecordedEvent) -> Projection:
    return replace(row, document_sha256=event.data["document_sha256"])


def _completed(row: Projection, event: RecordedEvent) -> Projection:
    return replace(row, status="completed", completed_at=event.timestamp)


def _finished(row: Projection, event: RecordedEvent) -> Projection:
    """Finish the row, or queue it again where the run has left it for another one."""
    row = replace(row, status=event.data["status"], error_code=event.data.get("code"))
    if row.status != "queued":
        return row
    return replace(
        row,
        attempt=event.data["next_attempt"],
        series_start=event.data["series_start"],
        run_id=None,
    )


def _erased(row: Projection, _: RecordedEvent) -> Projection:
    return replace(
        row,
        status="canceled",
        document_key=None,
        document_sha256=None,
        completed_at=None,
        error_code=None,
        is_erased=True,
    )


_CHANGES: dict[str, Callable[[Projection, RecordedEvent], Projection]] = {
    EventType.REQUESTED: _requested,
    EventType.RESULT_DISCARDED: _result_discarded,
    EventType.QUEUED: _queued,
    EventType.STARTED: _started,
    EventType.TRANSCRIPT_STORED: _transcript_stored,
    EventType.DOCUMENT_REBUILT: _document_rebuilt,
    EventType.TRANSCRIPTION_COMPLETED: _completed,
    EventType.TRANSCRIPTION_FAILED: _finished,
    EventType.RETRIED: _finished,
    EventType.GIVEN_BACK: _finished,
    EventType.RELEASED: _finished,
    EventType.CANCELED: _finished,
    EventType.ERASED: _erased,
}
"""Event types that change the row; the others do not."""
