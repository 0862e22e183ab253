"""Rebuilds every transcription from its events, and compares it with its row."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from ytcaption.domain.event_projection import Projection, RecordedEvent, apply

BATCH = 500
"""Transcriptions compared at a time, and events fetched at a time."""

ROW = "(row)"
THERE, MISSING = "there", "none"

_EVENTS = (
    'select transcription_id, event_type, "timestamp", media_id, run_id, data '
    "from ytcaption.event where transcription_id is not null order by transcription_id, number"
)
_WITHOUT_EVENTS = (
    "select id from ytcaption.transcription t where not exists "
    "(select from ytcaption.event where transcription_id = t.id) order by id"
)


@dataclass(frozen=True)
class Replayed:
    """One transcription, rebuilt.

    Attributes:
        row: its row as its events describe it; None: by its events there is none.
        event_count: number of its events.
    """

    id: str
    row: Projection | None
    event_count: int


@dataclass(frozen=True)
class Difference:
    """A column that differs; `(row)` if only one of the two says that the row exists."""

    id: str
    column: str
    row_says: Any
    events_say: Any


@dataclass(frozen=True)
class ReplayReport:
    """The result of a comparison.

    Attributes:
        differences: the first ones.
        difference_count: number of all.
    """

    transcription_count: int
    event_count: int
    differences: tuple[Difference, ...]
    difference_count: int


def replay(postgres: Postgres) -> Iterator[Replayed]:
    """Yield each transcription that has events, as of one point in time.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with _snapshot(postgres) as connection:
        yield from _replayed(connection)


def check_replay(postgres: Postgres, most: int = 1_000) -> ReplayReport:
    """Compare all rows with their events, as of one point in time, while others go on writing.
    Memory is bounded, whatever their number.

    Args:
        most: maximum number of differences in the report.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    transcription_count = event_count = difference_count = 0
    first: list[Difference] = []
    with _snapshot(postgres) as connection:
        for each in _compared(connection):
            if isinstance(each, Replayed):
                transcription_count += 1
                event_count += each.event_count
                continue
            difference_count += 1
            if len(first) < most:
                first.append(each)
    return ReplayReport(transcription_count, event_count, tuple(first), difference_count)


@contextmanager
def _snapshot(postgres: Postgres) -> Iterator[Connection[DictRow]]:
    with postgres.transaction() as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        connection.execute("set local statement_timeout = 0")  # it reads everything
        yield connection


def _replayed(connection: Connection[DictRow]) -> Iterator[Replayed]:
    with connection.cursor(name="replay") as cursor:
        cursor.itersize = BATCH
        cursor.execute(_EVENTS)
        for id, events in groupby(cursor, itemgetter("transcription_id")):
            row, count = None, 0
            for event in events:
                row = apply(row, _happened(event))
                count += 1
            yield Replayed(id, row, count)


def _happened(event: DictRow) -> RecordedEvent:
    return RecordedEvent(
        event["event_type"], event["timestamp"], event["media_id"], event["run_id"], event["data"]
    )


def _compared(connection: Connection[DictRow]) -> Iterator[Replayed | Difference]:
    """Yield each transcription that has events, followed by its differences; then the rows without
    events."""
    replayed = _replayed(connection)
    while batch := list(islice(replayed, BATCH)):
        rows = {
            row["id"]: row
            for row in connection.execute(
                "select * from ytcaption.transcription where id = any(%s)",
                ([each.id for each in batch],),
            )
        }
        for each in batch:
            yield each
            yield from _differences(each, rows.get(each.id))
    for row in connection.execute(_WITHOUT_EVENTS):
        yield Difference(row["id"], ROW, THERE, MISSING)


def _differences(replayed: Replayed, row: DictRow | None) -> Iterable[Difference]:
    projection = replayed.row
    if row is None:
        # Transcriptions erased before version 2 of the events have no projection either.
        if projection is not None and not projection.is_erased:
            yield Difference(replayed.id, ROW, MISSING, THERE)
        return
    if projection is None:
        yield Difference(replayed.id, ROW, THERE, MISSING)
        return
    for column, value in projection.columns().items():
        if row[column] != value:
            yield Difference(replayed.id, column, row[column], value)
