"""Runs that are over and go on: ended from outside, as a run that hangs cannot do it itself."""

import logging
import time
from collections.abc import MutableMapping

import dagster as dg

from resources.orchestration.run_end import RunEnd, clean_up
from resources.orchestration.runs import PARTITION_TAG, kill_run, lists_channel
from resources.orchestration.trace import ATTEMPT_TAG
from resources.postgres.notify import ENDS_CHANNEL
from resources.transcriptions.rows import TranscriptionRow
from resources.transcriptions.store import RequestStore
from resources.transcriptions.time_limits import TimeLimits, fail_overdue, next_overdue_in_s
from ytcaption.domain.errors import TookTooLong
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings import load_settings

WAIT_S = 25.0
"""How long a tick listens for ends; it looks at the clock meanwhile."""

LATER_S = 0.5
"""Runs end themselves; only what is later than that by so much is ended here."""

OTHERS_S = 60.0
"""Patience with a run that only has its last events to write."""

_UNFINISHED = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

logger = logging.getLogger(__name__)

_over_since: dict[str, float] = {}
"""By run id: when this process saw first that it is over. A restart has more patience."""


@dg.sensor(
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Holds the time limits, and ends the processes of runs that do not end themselves.",
)
def run_end_sensor(
    context: dg.SensorEvaluationContext, request_store: RequestStore
) -> dg.SkipReason:
    """Makes no runs. One tick listens for as long as `transcription_sensor`'s."""
    ended, deadline = 0, time.monotonic() + WAIT_S
    with request_store.postgres.own_connection() as connection:
        connection.execute(f"listen {ENDS_CHANNEL}")
        while True:
            found, again_in_s = end_runs(
                context.instance, request_store, _over_since, time.monotonic()
            )
            ended += found
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return dg.SkipReason(f"{ended} runs were ended." if ended else "Nothing to end.")
            wait_s = left_s if again_in_s is None else min(left_s, max(again_in_s, 0.1))
            for _ in connection.notifies(timeout=wait_s, stop_after=1):
                pass


def end_runs(
    instance: dg.DagsterInstance,
    store: RequestStore,
    over_since: MutableMapping[str, float],
    now_s: float,
) -> tuple[int, float | None]:
    """Fails what took too long, and ends what goes on although it is over.

    Args:
        over_since: by run id, when it was first seen to be over; kept from call to call.
        now_s: on the clock of `over_since`.

    Returns:
        How many runs it has ended, and seconds until there may be something to do.
    """
    limits = TimeLimits.from_settings(load_settings())
    with store.postgres.transaction() as connection:
        fail_overdue(connection, limits)
        next_in_s = next_overdue_in_s(connection, limits)
    runs = [
        run
        for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
        if PARTITION_TAG in run.tags and not lists_channel(run)
    ]
    rows = store.get_many([run.tags[PARTITION_TAG] for run in runs]) if runs else {}
    over = [(run, row) for run in runs if _is_over(run, row := rows.get(run.tags[PARTITION_TAG]))]
    for run_id in over_since.keys() - {run.run_id for run, _ in over}:
        del over_since[run_id]
    moments, ended = [next_in_s], 0
    for run, row in over:
        left_s = over_since.setdefault(run.run_id, now_s) + _patience_s(row) - now_s
        if left_s > 0:
            moments.append(left_s)
            continue
        logger.warning("run %s does not end by itself; it is ended", run.run_id)
        _end(instance, store, run, row)
        ended += 1
    return ended, min((each for each in moments if each is not None), default=None)


def _is_over(run: dg.DagsterRun, row: TranscriptionRow | None) -> bool:
    """Whether a run has nothing left to do."""
    if row is None:
        return True
    if row.status is TranscriptionStatus.RUNNING:
        return row.run_id != run.run_id
    is_to_claim = run.tags.get(ATTEMPT_TAG) in (None, str(row.attempt))
    return row.status is not TranscriptionStatus.QUEUED or not is_to_claim


def _end_of(row: TranscriptionRow | None) -> RunEnd | None:
    if row is None or row.status is TranscriptionStatus.CANCELED:
        return RunEnd.WITHDRAWN
    return RunEnd.TOOK_TOO_LONG if row.error_code == TookTooLong.code else None


def _patience_s(row: TranscriptionRow | None) -> float:
    end = _end_of(row)
    return OTHERS_S if end is None else end.patience_s + LATER_S


def _end(
    instance: dg.DagsterInstance,
    store: RequestStore,
    run: dg.DagsterRun,
    row: TranscriptionRow | None,
) -> None:
    end = _end_of(row)
    reason = end.reason if end is not None else "Its transcription is no longer its own."
    kill_run(instance, run, reason, canceled=end is RunEnd.WITHDRAWN)
    if row is not None and end is not None:
        clean_up(store, row)
