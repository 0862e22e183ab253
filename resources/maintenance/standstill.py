"""What stands still: work that nothing holds back and that nobody does.

Processes that answer and daemons that send heartbeats prove little. So health is judged by work
done (docs/adr/security-rules.md#rule-56): sensors tick, and each queue's oldest item that is due
and has a free slot is young.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from resources.channels.due import late_channels
from resources.orchestration.pauses import pauses
from resources.orchestration.ticks import Tick
from resources.postgres.connection import Postgres
from resources.transcriptions.fair_queue import due
from ytcaption.domain.events import EventType
from ytcaption.settings.settings import Settings

PAUSE = "pause"

_WORK = (
    *(EventType.STARTED, EventType.TRANSCRIPTION_COMPLETED, EventType.TRANSCRIPTION_FAILED),
    *(EventType.RETRIED, EventType.GIVEN_BACK, EventType.RELEASED, EventType.CANCELED),
)
"""Events of a claim or of the end of a run."""

_LATEST = 2_000
"""Events among which the last work is looked for: without any, the oldest of them counts."""

_QUEUE = """
with latest as (
    select event_type, "timestamp" from ytcaption.event order by event_id desc limit %(latest)s
)
select
    (select count(*) from ytcaption.transcription
        where status = 'running' and heartbeat_at > now() - interval '1 min') as running,
    extract(epoch from now() - greatest(
        (select min(greatest(queued_at, next_attempt_at)) from ytcaption.transcription
            where id = any(%(ids)s)),
        coalesce(
            (select max("timestamp") from latest where event_type = any(%(work)s)),
            (select min("timestamp") from latest))
    ))::float8 as still_s
"""

_DELIVERIES = """
select count(*) as number, extract(epoch from now() - min(next_attempt_at))::float8 as still_s
from ytcaption.delivery
where status = 'waiting' and next_attempt_at < now() - make_interval(secs => %(seconds)s)
    and not exists (
        select from ytcaption.delivery
        where leased_until > now() - make_interval(secs => %(seconds)s))
having count(*) > 0
"""

_PAUSED_S = """
select part, extract(epoch from now() - paused_at)::float8 as paused_s from ytcaption.pause
where paused_at < now() - make_interval(secs => %(seconds)s) order by paused_at
"""


@dataclass(frozen=True)
class Standstill:
    """A part that does no work although there is some.

    Attributes:
        part: `sensors`, `transcriptions`, `channels` or `deliveries`; `pause`: an operator's pause
            that is old enough to have been forgotten.
        reason: a sentence for operators.
        since_s: seconds; None: unknown.
    """

    part: str
    reason: str
    since_s: float | None = None

    @property
    def is_fault(self) -> bool:
        """Whether something is broken; an old pause is only worth a reminder."""
        return self.part != PAUSE


def standstills(
    settings: Settings, postgres: Postgres, ticks: Sequence[Tick] | None
) -> list[Standstill]:
    """Return what stands still.

    Args:
        ticks: of the sensors; None: unknown, since Dagster's storage does not answer.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    paused = {each.part for each in pauses(postgres)}
    found = list(_still_sensors(ticks or ()))
    if not paused & {"download", "transcription"}:
        found += _still_queue(settings, postgres)
    if "intake" not in paused:
        found += _still_channels(postgres)
    return [*found, *_still_deliveries(settings, postgres), *_forgotten(settings, postgres)]


def _still_sensors(ticks: Sequence[Tick]) -> list[Standstill]:
    wrong = [tick for tick in ticks if tick.problem is not None]
    if not wrong:
        return []
    age_s = max((abs(tick.age_s) for tick in wrong if tick.age_s is not None), default=None)
    return [Standstill("sensors", " ".join(tick.reason for tick in wrong), age_s)]


def _still_queue(settings: Settings, postgres: Postgres) -> list[Standstill]:
    limit_s = settings.operation.standstill_s
    with postgres.transaction() as connection:
        runs = settings.runs
        waiting = due(
            connection, settings.concurrent_runs, runs.downloads_per_site, settings.pacing
        )
        if not waiting:
            return []
        row = connection.execute(
            _QUEUE,
            {
                "ids": [each.id for each in waiting],
                "latest": _LATEST,
                "work": [each.value for each in _WORK],
            },
        ).fetchone()
    assert row is not None
    if row["running"] >= settings.concurrent_runs or (row["still_s"] or 0.0) < limit_s:
        return []
    reason = (
        f"Transcriptions are due and slots are free, but no run has started for "
        f"{row['still_s']:.0f} s: see the run queue on Dagster's page, and whether the daemon runs."
    )
    return [Standstill("transcriptions", reason, row["still_s"])]


def _still_channels(postgres: Postgres) -> list[Standstill]:
    late = [each for each in late_channels(postgres) if not each.failures]
    if not late:
        return []
    reason = f"{len(late):,} channels have been due for an hour and are not listed."
    return [Standstill("channels", reason)]


def _still_deliveries(settings: Settings, postgres: Postgres) -> list[Standstill]:
    rows = postgres.rows(_DELIVERIES, {"seconds": settings.operation.standstill_s})
    reason = "{number:,} webhook deliveries are due, and no notifier sends them."
    return [
        Standstill("deliveries", reason.format(number=row["number"]), row["still_s"])
        for row in rows
    ]


def _forgotten(settings: Settings, postgres: Postgres) -> list[Standstill]:
    rows = postgres.rows(_PAUSED_S, {"seconds": settings.operation.pause_reminder_s})
    return [
        Standstill(
            PAUSE,
            f"{row['part']} has been paused by an operator for {row['paused_s'] / 3600:,.0f} h: "
            f"`ytcaption admin resume {row['part']}` ends that.",
            row["paused_s"],
        )
        for row in rows
    ]
