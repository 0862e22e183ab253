"""Run outcome -> transcription: what ended outside the assets' own code is settled here."""

from contextlib import suppress

import dagster as dg

from resources.channels.runs import ChannelRuns
from resources.orchestration.run_end import clean_up
from resources.orchestration.runs import PARTITION_TAG, lists_channel
from resources.orchestration.trace import ATTEMPT_TAG
from resources.transcriptions.store import RequestStore
from ytcaption.domain.errors import ClaimLost
from ytcaption.settings import load_settings

MAX_RUNTIME = "maximum runtime"
"""What Dagster's run monitoring says in its reasons."""

LOST = ("run_lost", "The run's process was lost.")


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.FAILURE,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
def run_failed_sensor(context: dg.RunStatusSensorContext, request_store: RequestStore) -> None:
    """A run that failed without saying so in Postgres: killed, timed out, or never started."""
    run = context.dagster_run
    if lists_channel(run):
        ChannelRuns(postgres=request_store.postgres).settle_run(run.run_id, *LOST)
        return
    settle_failed_run(request_store, run, context.dagster_event.message)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
def run_canceled_sensor(context: dg.RunStatusSensorContext, request_store: RequestStore) -> None:
    """A run that was terminated in the UI: its transcription is canceled."""
    run = context.dagster_run
    if lists_channel(run):
        ChannelRuns(postgres=request_store.postgres).postpone(run.run_id)
        return
    reason = _why_canceled(context.instance, run)
    if MAX_RUNTIME in reason:  # by Dagster, not by a person; the run was quicker than its verdict
        settle_failed_run(request_store, run, reason)
        return
    key = run.tags.get(PARTITION_TAG)
    if request_store.cancel_run(run.run_id, key, _attempt(run)) and key is not None:
        row = request_store.get_many([key]).get(key)
        if row is not None:
            clean_up(request_store, row)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
def run_succeeded_sensor(context: dg.RunStatusSensorContext, request_store: RequestStore) -> None:
    """A run of some of the assets only: its transcription is given back."""
    key = context.dagster_run.tags.get(PARTITION_TAG)
    if key is not None and not lists_channel(context.dagster_run):
        with suppress(ClaimLost):  # as a rule it has completed, and there is nothing to give back
            request_store.release(key, context.dagster_run.run_id)


def settle_failed_run(request_store: RequestStore, run: dg.DagsterRun, reason: str | None) -> None:
    """Counts the attempt of a run that is over; no-op where the assets have done so."""
    key, attempt = run.tags.get(PARTITION_TAG), _attempt(run)
    if reason and MAX_RUNTIME in reason:
        # Dagster counts waits for slots. What was worked on for too long has failed by our own
        # limits; anything else has done nothing wrong.
        request_store.give_back_run(run.run_id, key, attempt)
        return
    (code, message), allowed = LOST, load_settings().max_attempts
    request_store.settle_run(run.run_id, code, message, True, allowed)
    if key is not None and attempt is not None:
        request_store.settle_attempt(key, attempt, code, message, True, allowed)


def _attempt(run: dg.DagsterRun) -> int | None:
    """The one that it was made for."""
    attempt = run.tags.get(ATTEMPT_TAG)
    return int(attempt) if attempt else None


def _why_canceled(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    records = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.RUN_CANCELING
    ).records
    said = (record.event_log_entry.dagster_event for record in records)
    return " ".join(event.message or "" for event in said if event is not None)
