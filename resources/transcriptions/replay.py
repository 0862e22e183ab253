"""Every transcription rebuilt from its events, and held against its row."""

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
"""Transcriptions that are compared at a time, and events that are fetched."""

ROW = "(row)"
THERE, MISSING = "there", "none"

_EVENTS = (
    'select transcription_id, event_type, "timestamp", media_id, run_id, data '
    "from ytcaption.event where transcription_id is not null order by transcription_id, number"
)
_UNTOLD = (
    "select id from ytcaption.transcription t where not exists "
    "(select from ytcaption.event where transcription_id = t.id) order by id"
)


@dataclass(frozen=True)
class Replayed:
    """One transcription.

    Attributes:
        row: what its events make of it; None: they tell of no row.
        event_count: that were read for it.
    """

    id: str
    row: Projection | None
    event_count: int


@dataclass(frozen=True)
class Difference:
    """One column, or whether there is a row at all: `column` is `(row)` then."""

    id: str
    column: str
    row_says: Any
    events_say: Any


@dataclass(frozen=True)
class ReplayReport:
    """What a comparison came to.

    Attributes:
        differences: the first of them.
        difference_count: all.
    """

    transcription_count: int
    event_count: int
    differences: tuple[Difference, ...]
    difference_count: int


def replay(postgres: Postgres) -> Iterator[Replayed]:
    """Each transcription that events tell of, as of one moment.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with _one_moment(postgres) as connection:
        yield from _replayed(connection)


def check_replay(postgres: Postgres, most: int = 1_000) -> ReplayReport:
    """Holds all rows against their events, as of one moment, while others go on writing. Memory is
    bounded whatever their number.

    Args:
        most: differences that are kept.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    transcriptions = events = found = 0
    kept: list[Difference] = []
    with _one_moment(postgres) as connection:
        for each in _compared(connection):
            if isinstance(each, Replayed):
                transcriptions += 1
                events += each.event_count
                continue
            found += 1
            if len(kept) < most:
                kept.append(each)
    return ReplayReport(transcriptions, events, tuple(kept), found)


@contextmanager
def _one_moment(postgres: Postgres) -> Iterator[Connection[DictRow]]:
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
    """Each transcription that events tell of, behind it its differences; last, rows without any."""
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
    for row in connection.execute(_UNTOLD):
        yield Difference(row["id"], ROW, THERE, MISSING)


def _differences(replayed: Replayed, row: DictRow | None) -> Iterable[Difference]:
    told = replayed.row
    if row is None:
        # Of what was erased before version 2 of events, they tell no row either.
        if told is not None and not told.is_erased:
            yield Difference(replayed.id, ROW, MISSING, THERE)
        return
    if told is None:
        yield Difference(replayed.id, ROW, THERE, MISSING)
        return
    for column, value in told.columns().items():
        if row[column] != value:
            yield Difference(replayed.id, column, row[column], value)
