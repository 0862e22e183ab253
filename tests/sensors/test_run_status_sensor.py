"""Run outcomes that the assets could not record."""

import dagster as dg
import pytest

from resources.orchestration.tags import ATTEMPT_TAG
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from sensors.run_status_sensor import (
    run_canceled_sensor,
    run_failed_sensor,
    run_succeeded_sensor,
)
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption_assets.definitions import build_definitions


@pytest.fixture
def key(request_store: RequestStore) -> str:
    source = MediaSource("youtube-x", "site", url="https://youtu.be/x")
    return request_store.submit(source, TranscriptionOptions(model="base")).transcription.id


@pytest.fixture
def run(instance: dg.DagsterInstance, settings, key: str) -> dg.DagsterRun:
    job = build_definitions(settings).resolve_job_def("transcribe")
    return instance.create_run_for_job(job, tags={"dagster/partition": key, ATTEMPT_TAG: "1"})


def report(sensor, instance, store: RequestStore, run: dg.DagsterRun, message: str = "") -> None:
    """Call the sensor as the daemon does once the run is over."""
    kinds = {
        "run_failed_sensor": dg.DagsterEventType.RUN_FAILURE,
        "run_canceled_sensor": dg.DagsterEventType.RUN_CANCELED,
        "run_succeeded_sensor": dg.DagsterEventType.RUN_SUCCESS,
    }
    event = dg.DagsterEvent(kinds[sensor.name].value, run.job_name, message=message)
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_event=event,
        dagster_instance=instance,
        dagster_run=run,
        resources={"postgres": store.postgres, "run_store": RunStore(postgres=store.postgres)},
    )
    with context:
        sensor(context)


def test_a_failed_run_counts_as_an_attempt(instance, request_store, run_store, key, run):
    """Claimed and then killed: the next attempt is queued."""
    run_store.claim(key, run.run_id, 1)
    report(run_failed_sensor, instance, request_store, run)
    row = get_transcription(request_store.postgres, key)
    assert (row.status, row.attempt, row.error_code) == (TranscriptionStatus.QUEUED, 2, "run_lost")


def test_a_run_that_never_claimed_counts_as_an_attempt(instance, request_store, key, run):
    """It failed to start."""
    report(run_failed_sensor, instance, request_store, run)
    assert get_transcription(request_store.postgres, key).attempt == 2


@pytest.mark.parametrize("claimed", [True, False])
@pytest.mark.parametrize("sensor", [run_failed_sensor, run_canceled_sensor])
def test_a_run_ended_by_dagster_for_its_length_keeps_its_attempts(
    instance, request_store, run_store, key, run, claimed: bool, sensor
):
    """Dagster counts waits for slots; our own limits do not. Whichever outcome Dagster saw first,
    the transcription is queued again with the same attempts."""
    if claimed:
        run_store.claim(key, run.run_id, 1)
    instance.report_run_canceling(run, "Canceling due to exceeding maximum runtime of 60 seconds.")
    reason = "Exceeded maximum runtime of 60 seconds."
    report(sensor, instance, request_store, run, reason)
    row = get_transcription(request_store.postgres, key)
    assert (row.status, row.attempt, row.try_number) == (TranscriptionStatus.QUEUED, 2, 1)


def test_a_terminated_run_cancels_its_transcription(instance, request_store, run_store, key, run):
    """A person pressed Terminate in the UI."""
    run_store.claim(key, run.run_id, 1)
    report(run_canceled_sensor, instance, request_store, run)
    assert get_transcription(request_store.postgres, key).status is TranscriptionStatus.CANCELED


def test_another_runs_transcription_is_not_touched(instance, request_store, run_store, key, run):
    """A late event of an old run changes nothing."""
    run_store.claim(key, "another", None)
    for sensor in (run_failed_sensor, run_canceled_sensor, run_succeeded_sensor):
        report(sensor, instance, request_store, run)
    row = get_transcription(request_store.postgres, key)
    assert (row.status, row.run_id) == (TranscriptionStatus.RUNNING, "another")


def test_a_run_of_some_assets_releases_its_transcription(
    instance, request_store, run_store, key, run
):
    """A transcription it left running is queued for the other assets."""
    run_store.claim(key, run.run_id, 1)
    report(run_succeeded_sensor, instance, request_store, run)
    assert get_transcription(request_store.postgres, key).status is TranscriptionStatus.QUEUED
