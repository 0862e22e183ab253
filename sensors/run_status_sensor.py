"""Sensors on the outcome of runs: settle transcriptions and channels of runs that ended."""

from contextlib import suppress

import dagster as dg

from resources.channels.runs import ChannelRuns
from resources.orchestration.run_end import LOST, settle_canceled_run, settle_failed_run
from resources.orchestration.run_stop import clean_up
from resources.orchestration.runs import lists_channel
from resources.orchestration.tags import PARTITION_TAG
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_transcriptions
from resources.transcriptions.run_store import RunStore
from ytcaption.domain.errors import ClaimLost
from ytcaption.settings.settings import load_settings


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.FAILURE,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
def run_failed_sensor(context: dg.RunStatusSensorContext, postgres: Postgres) -> None:
    """Settle a run that failed without recording it: killed, timed out, or never started."""
    run = context.dagster_run
    if lists_channel(run):
        ChannelRuns(postgres=postgres).settle_run(run.run_id, *LOST)
        return
    settle_failed_run(
        postgres, run, context.dagster_event.message, load_settings().runs.max_attempts
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
def run_canceled_sensor(context: dg.RunStatusSensorContext, postgres: Postgres) -> None:
    """Cancel the transcription of a run that was terminated in the UI."""
    run = context.dagster_run
    if lists_channel(run):
        ChannelRuns(postgres=postgres).postpone(run.run_id)
        return
    reason = _cancel_reason(context.instance, run)
    key = run.tags.get(PARTITION_TAG)
    is_canceled = settle_canceled_run(postgres, run, reason, load_settings().runs.max_attempts)
    if is_canceled and key is not None:
        row = get_transcriptions(postgres, [key]).get(key)
        if row is not None:
            clean_up(postgres, row)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
def run_succeeded_sensor(context: dg.RunStatusSensorContext, run_store: RunStore) -> None:
    """Release the transcription of a run that made only some of the assets."""
    key = context.dagster_run.tags.get(PARTITION_TAG)
    if key is not None and not lists_channel(context.dagster_run):
        with suppress(ClaimLost):  # usually it is completed, and there is nothing to release
            run_store.release(key, context.dagster_run.run_id)


def _cancel_reason(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Return the messages of the run's cancellation events."""
    records = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.RUN_CANCELING
    ).records
    events = (record.event_log_entry.dagster_event for record in records)
    return " ".join(event.message or "" for event in events if event is not None)
