"""Operators' view of the whole queue; retries and cancels of many transcriptions at once."""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from resources.admin.queue_report import FailureCount, queue_report
from resources.events import add_events
from resources.orchestration.pauses import Pause, pauses
from resources.postgres.connection import Postgres
from resources.postgres.notify import PROGRESS_CHANNEL, WORK_CHANNEL, notify
from resources.postgres.predicates import is_erased
from resources.sites.circuit_breaker import Breaker, breakers
from resources.sites.pacing import ThrottledSite
from resources.transcriptions.actions import has_other_requesters, use_remaining_link, withdraw
from resources.transcriptions.reads import status_counts
from resources.transcriptions.rows import LISTED
from resources.transcriptions.seen_media import title_for
from resources.transcriptions.state import REQUEUE, cancel_row
from ytcaption.domain.events import EventType

logger = logging.getLogger(__name__)

BATCH = 500
"""Transcriptions changed per transaction."""

_CHOSEN: LiteralString = f"""
    t.status = %(status)s
    and (%(channel)s::text is null
        or %(channel)s in (m.info ->> 'channel', m.info ->> 'channel_id'))
    and (%(created_after)s::timestamptz is null or t.created_at >= %(created_after)s)
    and (%(created_before)s::timestamptz is null or t.created_at < %(created_before)s)
    and not {is_erased("t.id")}
"""
"""SQL: the conditions that both filters have, on `transcription t` and `media m`."""


@dataclass(frozen=True)
class RunningTranscription:
    """A transcription that a run works on.

    Attributes:
        age_s: seconds since this attempt began.
        silent_s: seconds since the last heartbeat of its run; from 60 on the run counts as lost.
    """

    id: str
    title: str | None
    stage: str | None
    progress_done: float | None
    progress_total: float | None
    attempt: int
    run_id: str
    age_s: float
    silent_s: float


@dataclass(frozen=True)
class Overview:
    """One reading.

    Attributes:
        counts: number of transcriptions by status.
        oldest_waiting_s: seconds the oldest queued transcription has waited; None if none is.
        running: the longest running first, at most 100.
        failures: by error code, the latest first.
        breakers: circuit breakers of failing sites, the open ones first.
        throttled: sites that bulk work waits for.
        audio_bytes: size of all stored audio.
        disk_free_bytes, disk_total_bytes: of the file system of the home.
    """

    counts: dict[str, int]
    oldest_waiting_s: float | None
    running: tuple[RunningTranscription, ...]
    failures: tuple[FailureCount, ...]
    pauses: tuple[Pause, ...]
    breakers: tuple[Breaker, ...]
    throttled: tuple[ThrottledSite, ...]
    media_count: int
    audio_bytes: int
    disk_free_bytes: int
    disk_total_bytes: int


@dataclass(frozen=True)
class RetryFilter:
    """Which finished transcriptions to retry; a condition that is None is not applied.

    Attributes:
        code: error code.
        channel: name or id of the channel at the source.
        created_after, created_before: time of the first request, inclusive and exclusive bound.
    """

    status: Literal["failed", "canceled"] = "failed"
    code: str | None = None
    channel: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True)
class CancelFilter:
    """Which unfinished transcriptions to cancel; a condition that is None is not applied.

    Attributes:
        owner: who has requested it, such as `local` or `key:` and a key's id. What others have
            requested, too, goes on for them.
        site: where its audio is still to be downloaded from, such as `youtube.com`.
        channel: name or id of the channel at the source.
        created_after, created_before: time of the first request, inclusive and exclusive bound.
    """

    status: Literal["queued", "running"] = "queued"
    owner: str | None = None
    site: str | None = None
    channel: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True)
class Affected:
    """The number of affected transcriptions, and the ids of the first `LISTED`."""

    number: int
    ids: tuple[str, ...]

    @classmethod
    def of(cls, ids: list[str]) -> "Affected":
        """Return the result for these ids."""
        return cls(len(ids), tuple(ids[:LISTED]))


def overview(postgres: Postgres, home: Path) -> Overview:
    """Read the overview.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    report = queue_report(postgres, limit=50)
    counts = status_counts(postgres)
    with postgres.transaction() as connection:
        running = connection.execute(
            f"""
            select t.id, {title_for("m", "null")} as title, t.stage, t.progress_done,
                t.progress_total, t.attempt, t.run_id,
                extract(epoch from now() - coalesce(t.started_at, t.updated_at))::float8 as age_s,
                extract(epoch from now() - t.heartbeat_at)::float8 as silent_s
            from ytcaption.transcription t join ytcaption.media m on m.id = t.media_id
            where t.status = 'running' order by age_s desc limit 100
            """  # noqa: S608
        ).fetchall()
        media = connection.execute(
            "select count(*) as number, coalesce(sum(audio_size_bytes), 0)::bigint as bytes "
            "from ytcaption.media"
        ).fetchone()
    assert media is not None
    disk = shutil.disk_usage(next(path for path in (home, *home.parents) if path.exists()))
    return Overview(
        counts={status.value: number for status, number in counts.items()},
        oldest_waiting_s=report.oldest_waiting_s,
        running=tuple(RunningTranscription(**row) for row in running),
        failures=report.failures,
        pauses=tuple(pauses(postgres)),
        breakers=tuple(breakers(postgres)),
        throttled=report.throttled,
        media_count=media["number"],
        audio_bytes=media["bytes"],
        disk_free_bytes=disk.free,
        disk_total_bytes=disk.total,
    )


def retry_all(postgres: Postgres, chosen: RetryFilter, by: str) -> Affected:
    """Queue all matching transcriptions for a new series of attempts, in batches.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`; batches queued so far stay
            queued.
    """
    ids: list[str] = []
    for batch in _batches(postgres, chosen):
        ids += batch
    logger.info("%d transcriptions queued again by %s: %s", len(ids), by, chosen)
    return Affected.of(ids)


def _batches(postgres: Postgres, chosen: RetryFilter) -> Iterator[list[str]]:
    while True:
        with postgres.transaction() as connection:
            rows = _queue_batch(connection, chosen)
        if not rows:
            return
        yield [row["id"] for row in rows]


def _queue_batch(connection: Connection[DictRow], chosen: RetryFilter) -> list[DictRow]:
    rows = connection.execute(
        f"""
        with chosen as (
            select t.id from ytcaption.transcription t
            join ytcaption.media m on m.id = t.media_id
            where (%(code)s::text is null or t.error_code = %(code)s)
                and {_CHOSEN}
            order by t.created_at, t.id limit %(batch)s
            for update of t skip locked
        )
        update ytcaption.transcription t
        set {REQUEUE}
        from chosen where t.id = chosen.id
        returning t.id, t.media_id, t.run_id, t.traceparent, t.attempt, t.priority
        """,  # noqa: S608
        {**chosen.__dict__, "batch": BATCH},
    ).fetchall()
    data = [{"attempt": row["attempt"], "priority": row["priority"], "by": "admin"} for row in rows]
    add_events(connection, rows, EventType.QUEUED, data)
    with connection.cursor() as cursor:
        cursor.executemany(
            "select pg_notify(%s, %s)", [(PROGRESS_CHANNEL, row["id"]) for row in rows]
        )
    if rows:
        notify(connection, WORK_CHANNEL, "")
    return rows


def cancel_all(postgres: Postgres, chosen: CancelFilter, by: str, *, dry_run: bool) -> Affected:
    """Cancel all matching transcriptions, in batches, or list them. Dagster's sensor ends the runs
    of those that were running.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`; batches canceled so far stay
            canceled.
    """
    ids: list[str] = []
    while batch := _cancel_batch(postgres, chosen, dry_run=dry_run):
        ids += batch
        if dry_run:
            break
    logger.info(
        "%d transcriptions canceled by %s%s: %s", len(ids), by, " (dry run)" * dry_run, chosen
    )
    return Affected.of(ids)


def _cancel_batch(postgres: Postgres, chosen: CancelFilter, *, dry_run: bool) -> list[str]:
    withdrawn: list[str] = []
    with postgres.transaction() as connection:
        rows = connection.execute(
            f"""
            select t.* from ytcaption.transcription t join ytcaption.media m on m.id = t.media_id
            where (%(owner)s::text is null or exists (
                    select from ytcaption.request
                    where transcription_id = t.id and request.owner = %(owner)s))
                and (%(site)s::text is null or t.source_site = %(site)s)
                and {_CHOSEN}
            order by t.created_at, t.id limit %(batch)s {"" if dry_run else "for update of t"}
            """,  # noqa: S608
            {**chosen.__dict__, "batch": None if dry_run else BATCH},
        ).fetchall()
        for row in [] if dry_run else rows:
            if chosen.owner is not None and has_other_requesters(
                connection, row["id"], chosen.owner
            ):
                withdraw(connection, row, chosen.owner)
                withdrawn.append(row["id"])
            else:
                cancel_row(connection, row)
    for id in withdrawn:
        with postgres.transaction() as connection:
            use_remaining_link(connection, id)
    return [row["id"] for row in rows]
