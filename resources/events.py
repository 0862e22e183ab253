"""The one place that appends events, in the transaction of what they tell."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.telemetry.trace_context import TraceContext, current_trace
from ytcaption.domain.events import SCHEMA_VERSION, EventType


def appending(source: LiteralString) -> LiteralString:
    """SQL: an insert of the events that a relation holds, in the order of `place`.

    Its time is the transaction's, as that of the rows that change with it. Callers hold the row of
    the transcription, so that the order of numbers is that of commits. Takes `schema_version`.

    Args:
        source: a relation with the columns place, event_type, transcription_id, media_id, run_id,
            trace_id and data.
    """
    return f"""
        insert into ytcaption.event (
            event_type, "timestamp", schema_version, transcription_id, media_id, run_id, trace_id,
            data)
        select event_type, now(), %(schema_version)s, transcription_id, media_id, run_id, trace_id,
            data
        from {source} order by place
    """  # noqa: S608


VERSION = {"schema_version": SCHEMA_VERSION}
"""What a statement with `appending` takes."""

_APPEND = appending(
    "jsonb_to_recordset(%(events)s) as happened(place integer, event_type text, "
    "transcription_id text, media_id text, run_id text, trace_id text, data jsonb)"
)


def add_event(
    connection: Connection[DictRow], row: DictRow, event_type: EventType, data: Mapping[str, Any]
) -> None:
    """Append an event of a transcription.

    Args:
        row: as it stands after what has happened, but for the run, which is the one that did it.
        data: ids, codes and numbers only (rule 43).
    """
    add_events(connection, [row], event_type, [data])


def add_events(
    connection: Connection[DictRow],
    rows: Sequence[DictRow],
    event_type: EventType,
    data: Sequence[Mapping[str, Any]],
) -> None:
    """Append the same kind of event of many transcriptions, each with its data."""
    _append(
        connection,
        [
            {
                "event_type": event_type,
                "transcription_id": row["id"],
                "media_id": row["media_id"],
                "run_id": row["run_id"],
                "trace_id": trace_id(row["traceparent"]),
                "data": dict(each),
            }
            for row, each in zip(rows, data, strict=True)
        ],
    )


def add_site_event(
    connection: Connection[DictRow],
    event_type: EventType,
    data: Mapping[str, Any],
    run_id: str | None = None,
) -> None:
    """Append an event of a site, which is none of a transcription."""
    event = {"event_type": event_type, "run_id": run_id, "trace_id": trace_id(), "data": dict(data)}
    _append(connection, [event])


def trace_id(traceparent: str | None = None) -> str | None:
    """Of the trace that the work at hand belongs to; outside of all, of a W3C trace context."""
    context = current_trace() or TraceContext.from_headers(traceparent)
    return None if context is None else context.trace_id


def _append(connection: Connection[DictRow], events: Sequence[Mapping[str, Any]]) -> None:
    placed = [dict(event, place=place) for place, event in enumerate(events)]
    connection.execute(_APPEND, {"events": Jsonb(placed)} | VERSION)
