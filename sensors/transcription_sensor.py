"""Queued transcriptions -> partitions and runs."""

import time

import dagster as dg

from resources.channels.store import channels_of
from resources.maintenance.lost_runs import end_lost_runs, runs_by_key, settle_unbegun
from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.pauses import follow_pauses, paused_parts
from resources.orchestration.tags import CHANNEL_TAG
from resources.orchestration.trace import ATTEMPT_TAG, TRACE_TAG
from resources.sites.circuit_breaker import breakers
from resources.sites.pacing import throttled_sites
from resources.transcriptions.rows import DueTranscription
from resources.transcriptions.store import RequestStore
from sensors.jobs import transcribe_job
from ytcaption.domain.request import run_key
from ytcaption.settings import load_settings

AHEAD = 2
"""Runs in Dagster's queue, at most, by those that work at once: it looks through all of them each
second, and the rest waits in Postgres, its order decided anew each tick."""

FULL_S = 2.0
"""How long a tick waits where that queue is full."""

WAIT_S = 25.0
"""How long a tick that finds nothing listens: the daemon would not come back for 5 s."""

_PRIORITY = {"interactive": 1_000, "bulk": 0}
_LAST_TURN = 999


@dg.sensor(
    target=transcribe_job,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes a partition and a run of each queued transcription; "
    "ends what a lost process left.",
)
def transcription_sensor(
    context: dg.SensorEvaluationContext, request_store: RequestStore
) -> dg.SensorResult | dg.SkipReason:
    """Reads by state, never by a cursor: a late commit is found like any other (rule 32)."""
    end_lost_runs(context.instance, request_store, load_settings().max_attempts)
    if held := _held(context.instance, request_store):
        return held
    waiting, known = _without_run(context.instance, request_store)
    if not waiting and _there_is_more(request_store, known):
        if held := _held(context.instance, request_store):
            return held
        waiting, _ = _without_run(context.instance, request_store)
    if not waiting:
        return dg.SkipReason(_why_nothing(request_store))
    channels = channels_of(request_store.postgres, [due.id for due in waiting])
    return dg.SensorResult(
        run_requests=[_run_request(due, channels.get(due.id)) for due in waiting],
        dynamic_partitions_requests=[
            transcription_partitions.build_add_request([due.id for due in waiting])
        ],
    )


def _held(instance: dg.DagsterInstance, request_store: RequestStore) -> dg.SkipReason | None:
    """Makes Dagster's pools what the operator wants; why no run may start, if none may."""
    paused = paused_parts(request_store.postgres)
    follow_pauses(instance, load_settings(), paused)
    held = sorted(paused - {"intake"})
    return dg.SkipReason(f"Paused by an operator: {', '.join(held)}.") if held else None


def _there_is_more(request_store: RequestStore, known: list[str]) -> bool:
    """Waits for what Dagster has no run of yet; whether there is some."""
    if len(known) < _window():
        settings = load_settings()
        return request_store.wait_for_work(
            WAIT_S, settings.downloads_per_site, known, settings.pacing
        )
    time.sleep(FULL_S)
    return True


def _why_nothing(request_store: RequestStore) -> str:
    waiting = [
        f"{each.waiting} wait: {each.message}"
        for each in breakers(request_store.postgres)
        if each.opened_at is not None and each.waiting
    ]
    waiting += [
        f"{each.waiting} wait: {each.message}" for each in throttled_sites(request_store.postgres)
    ]
    return " ".join(waiting) or "Nothing is waiting that has no run."


def _window() -> int:
    """Most runs in Dagster's queue."""
    return AHEAD * load_settings().concurrent_runs


def _without_run(
    instance: dg.DagsterInstance, request_store: RequestStore
) -> tuple[list[DueTranscription], list[str]]:
    """Those due that Dagster has no run of, and run keys of those that it has. Runs that ended
    before they claimed are settled."""
    settings = load_settings()
    due = request_store.due(_window(), settings.downloads_per_site, settings.pacing)
    if not due:
        return [], []
    keys = [run_key(each.id, each.attempt) for each in due]
    runs = {key: record.dagster_run for key, record in runs_by_key(instance, keys).items()}
    waiting = []
    for each in due:
        run = runs.get(run_key(each.id, each.attempt))
        if run is None:
            waiting.append(each)
        elif run.is_finished:
            settle_unbegun(request_store, each.id, each.attempt, settings.max_attempts)
    return waiting, list(runs)


def _run_request(due: DueTranscription, channel: str | None) -> dg.RunRequest:
    tags = {
        ATTEMPT_TAG: str(due.attempt),
        "ytcaption/media": due.media_id,
        # Whose turn it is holds in Dagster's queue, too, and for its slots.
        "dagster/priority": str(_PRIORITY[due.priority] - min(due.turn, _LAST_TURN)),
    }
    if channel is not None:
        tags[CHANNEL_TAG] = channel
    if due.traceparent is not None:
        tags[TRACE_TAG] = due.traceparent
    return dg.RunRequest(run_key=run_key(due.id, due.attempt), partition_key=due.id, tags=tags)
