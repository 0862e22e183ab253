"""Sensor: adds a partition and starts a run for each queued transcription."""

from functools import partial

import dagster as dg

from resources.channels.store import channels_of
from resources.maintenance.lost_runs import end_lost_runs, settle_unbegun
from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.pauses import follow_pauses, paused_parts
from resources.orchestration.tags import ATTEMPT_TAG, CHANNEL_TAG, TRACE_TAG
from resources.postgres.connection import Postgres
from resources.postgres.database_clock import DATABASE_CLOCK
from resources.sites.circuit_breaker import breakers
from resources.sites.pacing import throttled_sites
from resources.transcriptions.rows import DueTranscription
from resources.transcriptions.store import RequestStore
from sensors.due_runs import queue_size, split_by_run, wait_for_due
from sensors.jobs import transcribe_job
from ytcaption.settings.settings import load_settings

_PRIORITY = {"interactive": 1_000, "bulk": 0}
_LAST_RANK = 999


@dg.sensor(
    target=transcribe_job,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Adds a partition and starts a run for each queued transcription; "
    "ends runs whose process was lost.",
)
def transcription_sensor(
    context: dg.SensorEvaluationContext, request_store: RequestStore, postgres: Postgres
) -> dg.SensorResult | dg.SkipReason:
    """Start runs for the transcriptions that are due. It reads their state and keeps no cursor, so
    that a row which is committed late is not missed."""
    instance = context.instance
    if not DATABASE_CLOCK.was_just_set(postgres):
        end_lost_runs(instance, postgres, load_settings().runs.max_attempts)
    if paused := _paused(instance, postgres):
        return paused
    due, with_run = _due(instance, request_store)
    if not due and _wait(request_store, [each.run_key for each in with_run]):
        if paused := _paused(instance, postgres):
            return paused
        due, _ = _due(instance, request_store)
    if not due:
        return dg.SkipReason(_why_nothing(postgres))
    channels = channels_of(postgres, [each.id for each in due])
    return dg.SensorResult(
        run_requests=[_run_request(each, channels.get(each.id)) for each in due],
        dynamic_partitions_requests=[
            transcription_partitions.build_add_request([each.id for each in due])
        ],
    )


def _paused(instance: dg.DagsterInstance, postgres: Postgres) -> dg.SkipReason | None:
    """Set Dagster's pools to what the operator has paused. Return why no run may start, if none
    may."""
    paused = paused_parts(postgres)
    follow_pauses(instance, load_settings(), paused)
    parts = sorted(paused - {"intake"})
    return dg.SkipReason(f"Paused by an operator: {', '.join(parts)}.") if parts else None


def _due(
    instance: dg.DagsterInstance, request_store: RequestStore
) -> tuple[list[DueTranscription], list[DueTranscription]]:
    """Return the due transcriptions without and with a run in Dagster."""
    settings = load_settings()
    limit = queue_size(settings.concurrent_runs)
    due = request_store.due(limit, settings.runs.downloads_per_site, settings.pacing)
    settle = partial(_settle_unbegun, request_store.postgres, settings.runs.max_attempts)
    return split_by_run(instance, due, settle)


def _settle_unbegun(postgres: Postgres, max_attempts: int, due: DueTranscription) -> None:
    settle_unbegun(postgres, due.id, due.attempt, max_attempts)


def _wait(request_store: RequestStore, known: list[str]) -> bool:
    """Wait for a due transcription without a run; return whether there may be one."""
    settings = load_settings()

    def listen(timeout_s: float) -> bool:
        return request_store.wait_for_work(
            timeout_s, settings.runs.downloads_per_site, known, settings.pacing
        )

    return wait_for_due(len(known), settings.concurrent_runs, listen)


def _why_nothing(postgres: Postgres) -> str:
    waiting = [
        f"{each.waiting} wait: {each.message}"
        for each in breakers(postgres)
        if each.opened_at is not None and each.waiting
    ]
    waiting += [f"{each.waiting} wait: {each.message}" for each in throttled_sites(postgres)]
    return " ".join(waiting) or "Nothing is waiting that has no run."


def _run_request(due: DueTranscription, channel: str | None) -> dg.RunRequest:
    tags = {
        ATTEMPT_TAG: str(due.attempt),
        "ytcaption/media": due.media_id,
        # The fair order holds in Dagster's queue, too, and for slots of its pools.
        "dagster/priority": str(_PRIORITY[due.priority] - min(due.rank, _LAST_RANK)),
    }
    if channel is not None:
        tags[CHANNEL_TAG] = channel
    if due.traceparent is not None:
        tags[TRACE_TAG] = due.traceparent
    return dg.RunRequest(run_key=due.run_key, partition_key=due.id, tags=tags)
