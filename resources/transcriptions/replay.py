"""Rebuilds every transcription from its events, compares it with its row, and repairs the row."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier, Placeholder

from resources.events import add_event
from resources.postgres.advisory_locks import exclusive_work_lock
from resources.postgres.connection import Postgres
from resources.postgres.notify import PROGRESS_CHANNEL, WORK_CHANNEL, notify
from resources.transcriptions.state import delete_drafts
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.event_projection import (
    Projection,
    RecordedEvent,
    apply,
    snapshot_data,
)
from ytcaption.domain.events import EventType

BATCH = 500
"""Transcriptions compared at a time, and events fetched at a time."""

ROW = "(row)"
THERE, MISSING = "there", "none"

_RUN_STOPS_S = 5.0
"""Seconds to wait for a run that may write to what is to be repaired."""

_COLUMNS = 'transcription_id, event_type, "timestamp", media_id, run_id, data'
_EVENTS = (
    f"select {_COLUMNS} "  # noqa: S608 - of literals only
    "from ytcaption.event where transcription_id is not null order by transcription_id, number"
)
_EVENTS_OF_ONE = (
    f"select {_COLUMNS} from ytcaption.event where transcription_id = %s order by number"  # noqa: S608
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


@dataclass
class ReplayRepair:
    """The result of a repair.

    Attributes:
        repaired: ids of the rows that agree with their events now.
        left: ids of those that do not, with the reason.
    """

    repaired: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def repair_replay(postgres: Postgres) -> ReplayRepair:
    """Make each row that differs agree with its events: columns are set to what the events say, and
    a row without events is recorded as it is. Safe while the pipeline runs, and can be repeated.

    Args:
        postgres: with the rights of an administrator.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`; repeat it to repair the rest.
    """
    with _snapshot(postgres) as connection:
        found = {each.id for each in _compared(connection) if isinstance(each, Difference)}
    result = ReplayRepair()
    for id in sorted(found):
        try:
            with (
                exclusive_work_lock(postgres, id, _RUN_STOPS_S),
                postgres.transaction() as connection,
            ):
                problem = _repair(connection, id)
        except YtcaptionError as error:
            problem = error.message
        if problem is None:
            result.repaired.append(id)
        else:
            result.left[id] = problem
    return result


def _repair(connection: Connection[DictRow], id: str) -> str | None:
    """Repair one row. Return why it cannot be repaired, or None."""
    row = connection.execute(
        "select * from ytcaption.transcription where id = %s for update", (id,)
    ).fetchone()
    projection = None
    for event in connection.execute(_EVENTS_OF_ONE, (id,)):
        projection = apply(projection, _happened(event))
    if row is None:
        if projection is None or projection.is_erased:
            return None  # it was erased meanwhile
        return (
            "The row is missing, and its options are in no event. Restore a backup, or request it "
            "again."
        )
    if projection is None:
        add_event(connection, row, EventType.SNAPSHOT_TAKEN, snapshot_data(row))
        return None
    if changed := _changed(row, projection):
        _set(connection, row, changed)
    return None


def _set(connection: Connection[DictRow], row: DictRow, changed: dict[str, Any]) -> None:
    """Set columns, and what follows from a change of the status."""
    values = dict(changed)
    if values.get("status", row["status"]) != row["status"]:
        values |= dict.fromkeys(("stage", "progress_done", "progress_total", "heartbeat_at"))
        values["is_downloading"] = False
        if values["status"] == "running":
            # The run that it belongs to has ended; the next look for lost runs queues it again.
            values["heartbeat_at"] = row["updated_at"]
        delete_drafts(connection, row["id"])
    connection.execute(
        SQL("update ytcaption.transcription set {}, updated_at = now() where id = {}").format(
            SQL(", ").join(SQL("{} = {}").format(Identifier(n), Placeholder(n)) for n in values),
            Placeholder("id"),
        ),
        values | {"id": row["id"]},
    )
    notify(connection, PROGRESS_CHANNEL, row["id"])
    notify(connection, WORK_CHANNEL, row["id"])


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
    for column, value in _changed(row, projection).items():
        yield Difference(replayed.id, column, row[column], value)


def _changed(row: DictRow, projection: Projection) -> dict[str, Any]:
    """Return what the events say of each column that differs from them."""
    return {column: value for column, value in projection.columns().items() if row[column] != value}
