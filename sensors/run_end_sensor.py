"""Sensor: ends runs that are over but go on, such as a run that hangs."""

import logging
import time
from collections.abc import MutableMapping

import dagster as dg

from resources.orchestration.run_end import RunEnd, is_over, run_end
from resources.orchestration.run_stop import clean_up
from resources.orchestration.runs import kill_run, lists_channel
from resources.orchestration.tags import PARTITION_TAG
from resources.postgres.connection import Postgres
from resources.postgres.database_clock import DATABASE_CLOCK, SETTLED_S
from resources.postgres.notify import ENDS_CHANNEL
from resources.transcriptions.reads import get_transcriptions
from resources.transcriptions.rows import TranscriptionRow
from resources.transcriptions.time_limits import TimeLimits, fail_overdue, next_overdue_in_s
from ytcaption.settings.settings import load_settings

WAIT_S = 25.0
"""Seconds a tick listens for canceled transcriptions; it checks the time limits meanwhile."""

GRACE_S = 0.5
"""Runs end themselves; only a run that is later than its patience by this is ended here."""

OTHERS_PATIENCE_S = 60.0
"""Patience with a run that is over for no known reason: it may have its last events to write."""

_UNFINISHED = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

logger = logging.getLogger(__name__)

_over_since: dict[str, float] = {}
"""By run id: when this process first saw that it is over. A restart begins a new count."""


@dg.sensor(
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Enforces the time limits, and ends the processes of runs that do not end "
    "themselves.",
)
def run_end_sensor(context: dg.SensorEvaluationContext, postgres: Postgres) -> dg.SkipReason:
    """Start no run: the skip reason says how many were ended. A tick listens for `WAIT_S`."""
    ended, deadline = 0, time.monotonic() + WAIT_S
    with postgres.own_connection() as connection:
        connection.execute(f"listen {ENDS_CHANNEL}")
        while True:
            number, again_in_s = 0, SETTLED_S
            if not DATABASE_CLOCK.was_just_set(postgres):
                number, again_in_s = end_runs(
                    context.instance, postgres, _over_since, time.monotonic()
                )
            ended += number
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return dg.SkipReason(f"{ended} runs were ended." if ended else "Nothing to end.")
            wait_s = left_s if again_in_s is None else min(left_s, max(again_in_s, 0.1))
            for _ in connection.notifies(timeout=wait_s, stop_after=1):
                pass


def end_runs(
    instance: dg.DagsterInstance,
    postgres: Postgres,
    over_since: MutableMapping[str, float],
    now_s: float,
) -> tuple[int, float | None]:
    """Fail the transcriptions that took too long, and end the runs that are over and go on.

    Args:
        over_since: by run id, when it was first seen to be over; kept from call to call.
        now_s: by the clock of `over_since`.

    Returns:
        The number of runs ended, and the seconds until there may be something to do.
    """
    limits = TimeLimits.from_settings(load_settings())
    with postgres.transaction() as connection:
        fail_overdue(connection, limits)
        next_in_s = next_overdue_in_s(connection, limits)
    runs = [
        run
        for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
        if PARTITION_TAG in run.tags and not lists_channel(run)
    ]
    rows = get_transcriptions(postgres, [run.tags[PARTITION_TAG] for run in runs]) if runs else {}
    over = [(run, row) for run in runs if is_over(run, row := rows.get(run.tags[PARTITION_TAG]))]
    for run_id in over_since.keys() - {run.run_id for run, _ in over}:
        del over_since[run_id]
    waits_s, ended = [next_in_s], 0
    for run, row in over:
        end = run_end(row)
        left_s = over_since.setdefault(run.run_id, now_s) + _patience_s(end) - now_s
        if left_s > 0:
            waits_s.append(left_s)
            continue
        logger.warning("run %s does not end by itself; it is ended", run.run_id)
        _end(instance, postgres, run, row, end)
        ended += 1
    return ended, min((each for each in waits_s if each is not None), default=None)


def _patience_s(end: RunEnd | None) -> float:
    return OTHERS_PATIENCE_S if end is None else end.patience_s + GRACE_S


def _end(
    instance: dg.DagsterInstance,
    postgres: Postgres,
    run: dg.DagsterRun,
    row: TranscriptionRow | None,
    end: RunEnd | None,
) -> None:
    reason = end.reason if end is not None else "The run no longer holds its transcription."
    kill_run(instance, run, reason, canceled=end is RunEnd.WITHDRAWN)
    if row is not None and end is not None:
        clean_up(postgres, row)
