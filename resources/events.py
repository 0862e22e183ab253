"""The event log: appends events in the transaction of the change they describe.

Events are append-only; this is the only module that inserts them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.telemetry.trace_context import TraceContext, current_trace
from ytcaption.domain.events import SCHEMA_VERSION, EventType


def insert_events(source: LiteralString) -> LiteralString:
    """Return SQL that inserts the events of a relation, in the order of `position`.

    Their timestamp is the transaction's, like that of the rows changed with them. Callers hold a
    lock on the transcription's row, so that events are numbered in the order of commits.
    Parameter: `schema_version`.

    Args:
        source: a relation with the columns position, event_type, transcription_id, media_id,
            run_id, trace_id and data.
    """
    return f"""
        insert into ytcaption.event (
            event_type, "timestamp", schema_version, transcription_id, media_id, run_id, trace_id,
            data)
        select event_type, now(), %(schema_version)s, transcription_id, media_id, run_id, trace_id,
            data
        from {source} order by position
    """  # noqa: S608


EVENT_VERSION = {"schema_version": SCHEMA_VERSION}
"""Parameters of a statement with `insert_events`."""

_APPEND = insert_events(
    "jsonb_to_recordset(%(events)s) as new_event(position integer, event_type text, "
    "transcription_id text, media_id text, run_id text, trace_id text, data jsonb)"
)


def add_event(
    connection: Connection[DictRow], row: DictRow, event_type: EventType, data: Mapping[str, Any]
) -> None:
    """Append an event of a transcription.

    Args:
        row: the transcription after the change, with the id of the run that made the change.
        data: ids, codes and numbers only: docs/adr/security-rules.md#rule-43
    """
    add_events(connection, [row], event_type, [data])


def add_events(
    connection: Connection[DictRow],
    rows: Sequence[DictRow],
    event_type: EventType,
    data: Sequence[Mapping[str, Any]],
) -> None:
    """Append events of one type, one for each transcription, each with its data."""
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
    """Append an event of a site, which belongs to no transcription."""
    event = {"event_type": event_type, "run_id": run_id, "trace_id": trace_id(), "data": dict(data)}
    _append(connection, [event])


def trace_id(traceparent: str | None = None) -> str | None:
    """Return the id of the current trace; if there is none, that of a W3C trace context."""
    context = current_trace() or TraceContext.from_headers(traceparent)
    return None if context is None else context.trace_id


def _append(connection: Connection[DictRow], events: Sequence[Mapping[str, Any]]) -> None:
    numbered = [dict(event, position=position) for position, event in enumerate(events)]
    connection.execute(_APPEND, {"events": Jsonb(numbered)} | EVENT_VERSION)
