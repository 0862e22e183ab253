"""Run outcome -> transcription: what ended outside the assets' own code is settled here."""

from contextlib import suppress

import dagster as dg

from resources.dagster_runs import PARTITION_TAG
from resources.pauses import paused_parts
from resources.request_store import RequestStore
from ytcaption_assets.domain.errors import ClaimLost
from ytcaption_assets.run_trace import ATTEMPT_TAG
from ytcaption_assets.settings import load_settings

MAX_RUNTIME = "Exceeded maximum runtime"
"""How Dagster's run monitoring begins its reason."""


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.FAILURE,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
def run_failed_sensor(context: dg.RunStatusSensorContext, request_store: RequestStore) -> None:
    """A run that failed without saying so in Postgres: killed, timed out, or never started."""
    settle_failed_run(request_store, context.dagster_run, context.dagster_event.message)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
def run_canceled_sensor(context: dg.RunStatusSensorContext, request_store: RequestStore) -> None:
    """A run that was terminated in the UI: its transcription is canceled."""
    run = context.dagster_run
    attempt = run.tags.get(ATTEMPT_TAG)
    request_store.cancel_run(
        run.run_id, run.tags.get(PARTITION_TAG), int(attempt) if attempt else None
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
def run_succeeded_sensor(context: dg.RunStatusSensorContext, request_store: RequestStore) -> None:
    """A run of some of the assets only: its transcription is given back."""
    key = context.dagster_run.tags.get(PARTITION_TAG)
    if key is not None:
        with suppress(ClaimLost):  # as a rule it has completed, and there is nothing to give back
            request_store.release(key, context.dagster_run.run_id)


def settle_failed_run(request_store: RequestStore, run: dg.DagsterRun, reason: str | None) -> None:
    """Counts the attempt of a run that is over; no-op where the assets have done so."""
    if reason and MAX_RUNTIME in reason:
        # A run that waited for a slot of a paused pool has done nothing wrong.
        retryable = bool(paused_parts(request_store.postgres) - {"intake"})
        code, message = "timeout", "Processing took too long."
    else:
        code, message, retryable = "run_lost", "The run's process was lost.", True
    allowed = load_settings().max_attempts
    request_store.settle_run(run.run_id, code, message, retryable, allowed)
    key, attempt = run.tags.get(PARTITION_TAG), run.tags.get(ATTEMPT_TAG)
    if key is not None and attempt is not None:
        request_store.settle_attempt(key, int(attempt), code, message, retryable, allowed)
