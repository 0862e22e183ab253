"""Runs that take too long or do not end: time limits by the database's clock."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC

import dagster as dg
import pytest

from resources.download.workspace import Workspace
from resources.object_store.store import ObjectStore, document_key
from resources.orchestration.run_end import RunEnd
from resources.orchestration.tags import ATTEMPT_TAG, PARTITION_TAG
from resources.processes.process_identity import FRESH_PROCESS_TAG, RunProcess
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.rows import Callback
from resources.transcriptions.run_settlement import settle_run
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from resources.transcriptions.time_limits import TimeLimits
from sensors import run_end_sensor as module
from sensors.run_end_sensor import end_runs, run_end_sensor
from tests.support.clock import Clock, clock  # noqa: F401 - a fixture
from tests.support.patience import patience
from ytcaption.domain.errors import ClaimLost, TookTooLong
from ytcaption.domain.media.media import MediaInfo, MediaSource, StoredAudio
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption.settings.settings import Settings
from ytcaption_assets.definitions import build_definitions

AUDIO = StoredAudio("audio/url-x.mp3", "ab", 1, 60.0, "mp3", "mp3", 44_100, 2)
OPTIONS = TranscriptionOptions(model="base")
MEDIA = "url-x"
HOUR, MINUTE = 3600.0, 60.0

HANGS = "import ctypes; print(1, flush=True); ctypes.PyDLL(None).sleep(600)"
"""Python code that holds the interpreter's lock: no thread and no signal handler runs."""


@pytest.fixture
def hung() -> Iterator[subprocess.Popen[bytes]]:
    """A run's process that ignores everything."""
    process = subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def submit(store: RequestStore, **more) -> str:
    source = MediaSource(MEDIA, "direct", "https://example.org/x.mp3", "Generic")
    return store.submit(source, OPTIONS, **more).transcription.id


def made_run(
    instance: dg.DagsterInstance,
    settings: Settings,
    key: str,
    process: subprocess.Popen[bytes] | None = None,
) -> dg.DagsterRun:
    """A running run that has a slot."""
    tags = {PARTITION_TAG: key, ATTEMPT_TAG: "1"}
    if process is not None:
        tags[FRESH_PROCESS_TAG] = f"{socket.gethostname()}/{RunProcess.of(process.pid)}"
    job = build_definitions(settings).resolve_job_def("transcribe")
    run = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    storage = instance.event_log_storage
    storage.set_concurrency_slots("transcription", 1)
    storage.claim_concurrency_slot("transcription", run.run_id, "transcription")
    return run


def slots(instance: dg.DagsterInstance) -> int:
    return instance.event_log_storage.get_concurrency_info("transcription").active_slot_count


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def deliveries(store: RequestStore) -> list[str]:
    rows = store.postgres.rows("select event_type, status from ytcaption.delivery", {})
    return [f"{row['event_type']} {row['status']}" for row in rows]


@pytest.mark.long
def test_the_timeline_of_a_job_that_hangs(
    clock: Clock, request_store: RequestStore, run_store: RunStore, instance, settings, hung
):
    """Created 14:30, downloaded 14:35, transcribing from 14:45, when it got a slot: nothing happens
    until 15:45. Then it is failed without a retry, its webhook is queued, and its process, slot and
    partial files are gone, though it could do none of that itself."""

    def at(time_of_day: str) -> None:
        """Set the clock, which goes on while the test's statements run."""
        now = request_store.postgres.rows("select now() as now", {})[0]["now"].astimezone(UTC)
        hours, minutes, seconds = (int(part) for part in time_of_day.split(":"))
        then = now.replace(hour=hours, minute=minutes, second=seconds, microsecond=0)
        clock.forward((then - now).total_seconds() % (24 * HOUR))

    def look(after_s: float = 0.0) -> float | None:
        nonlocal now_s
        now_s += after_s
        return end_runs(instance, request_store.postgres, seen, now_s)[1]

    seen: dict[str, float] = {}
    now_s = 0.0
    at("14:30:00")
    callback = Callback("https://example.org/hook")
    key = submit(request_store, callback=callback)
    run = made_run(instance, settings, key, hung)
    run_store.claim(key, run.run_id, 1)
    run_store.progress(key, run.run_id, "audio_download", 0, None)
    at("14:35:00")
    run_store.audio_stored(key, run.run_id, MediaInfo(), AUDIO)
    run_store.wait_for_slot(key, run.run_id)
    look()
    at("14:45:00")
    run_store.claim(key, run.run_id, 1)
    run_store.progress(key, run.run_id, "transcription", 0, None)
    workspace = Workspace.from_settings(settings)
    with workspace.download_directory(MEDIA) as folder:
        (folder / "media.part").write_bytes(b"half")
    objects = ObjectStore.from_settings(settings)
    assert objects.folder is not None
    document = objects.folder / document_key(key)
    temporary = document.with_name(f".{document.name}.tmp")
    temporary.parent.mkdir(parents=True)
    temporary.write_bytes(b"half")
    at("15:44:50")
    left_s = look()
    assert left_s is not None and 0 < left_s <= 15
    assert get_transcription(request_store.postgres, key).status is TranscriptionStatus.RUNNING
    assert deliveries(request_store) == [] and slots(instance) == 1
    at("15:45:10")
    look()
    row = get_transcription(request_store.postgres, key)
    assert (row.status, row.error_code) == (TranscriptionStatus.FAILED, "timeout")
    assert row.error_message == "Processing took too long."
    assert f"{row.updated_at.astimezone(UTC):%H:%M}" == "15:45"
    assert deliveries(request_store) == ["transcription.failed waiting"]
    with pytest.raises(ClaimLost):  # whatever it still does comes to nothing
        run_store.complete(key, run.run_id)
    assert hung.poll() is None
    look(after_s=11)
    assert hung.wait(5) == -9
    assert status(instance, run) is dg.DagsterRunStatus.FAILURE
    assert slots(instance) == 0
    assert not folder.exists() and not temporary.exists()
    at("20:00:00")
    assert look() is None
    assert request_store.due(10) == []  # nothing tries it again
    assert get_transcription(request_store.postgres, key).attempt == 1


@pytest.mark.slow
def test_a_canceled_run_that_hangs_is_ended_within_seconds(
    request_store: RequestStore, run_store: RunStore, instance, settings, hung
):
    """By a sensor that listens: it wakes up at the cancel."""
    key = submit(request_store)
    run = made_run(instance, settings, key, hung)
    run_store.claim(key, run.run_id, 1)
    ended: list[dg.SkipReason] = []
    context = dg.build_sensor_context(
        instance=instance, resources={"postgres": request_store.postgres}
    )
    canceled_at = time.monotonic()
    request_store.cancel(key)
    with pytest.MonkeyPatch.context() as patch, context:
        patch.setattr(module, "WAIT_S", 4.5)
        ended.append(run_end_sensor(context))  # pyright: ignore[reportArgumentType]
    assert "1 runs" in (ended[0].skip_message or "")
    assert hung.wait(0.5) == -9 and time.monotonic() - canceled_at < 5.5 * patience()
    assert status(instance, run) is dg.DagsterRunStatus.CANCELED
    assert slots(instance) == 0


def test_a_download_that_another_transcription_needs_stays(
    request_store: RequestStore, run_store: RunStore, instance, settings
):
    """If another transcription of the same media item is not finished."""
    key = submit(request_store)
    source = MediaSource(MEDIA, "direct", "https://example.org/x.mp3", "Generic")
    request_store.submit(source, TranscriptionOptions(model="tiny"))
    run = made_run(instance, settings, key)
    run_store.claim(key, run.run_id, 1)
    with Workspace.from_settings(settings).download_directory(MEDIA) as folder:
        (folder / "media.part").write_bytes(b"half")
    request_store.cancel(key)
    seen: dict[str, float] = {}
    end_runs(instance, request_store.postgres, seen, 0.0)
    assert end_runs(instance, request_store.postgres, seen, 4.0) == (1, None)
    assert folder.exists()


@pytest.mark.parametrize("begin", ["waits", "claims", "gone"])
def test_runs_with_work_are_not_ended(
    request_store: RequestStore, run_store: RunStore, instance, settings, begin: str
):
    """Those that are to claim, or have; one whose transcription goes to the next attempt has a
    minute for its last events."""
    key = submit(request_store)
    run = made_run(instance, settings, key)
    if begin != "waits":
        run_store.claim(key, run.run_id, 1)
    if begin == "gone":
        settle_run(request_store.postgres, run.run_id, "run_lost", "Lost.", True, 4)
    seen: dict[str, float] = {}
    end_runs(instance, request_store.postgres, seen, 0.0)
    assert end_runs(instance, request_store.postgres, seen, 59.0)[0] == 0
    assert end_runs(instance, request_store.postgres, seen, 61.0)[0] == int(begin == "gone")


def test_all_attempts_count_and_waiting_does_not(
    clock: Clock, request_store: RequestStore, run_store: RunStore
):
    """Two attempts of 40 minutes, hours apart, exceed the limit of an hour; a new request starts a
    new count."""
    limits = TimeLimits(transcription_s=HOUR, job_s=HOUR)
    key = submit(request_store)
    run_store.claim(key, "first", 1)
    clock.forward(40 * MINUTE)
    run_store.heartbeat(key, "first", limits)
    run_store.fail(key, "first", "model_unavailable", "Away.", True, 4)
    clock.forward(5 * HOUR)
    run_store.claim(key, "second", 2)
    run_store.progress(key, "second", "audio_download", 0, None)
    clock.forward(19 * MINUTE)
    run_store.heartbeat(key, "second", limits)
    clock.forward(MINUTE)
    with pytest.raises(TookTooLong):
        run_store.heartbeat(key, "second", limits)
    assert get_transcription(request_store.postgres, key).error_code == "timeout"
    assert submit(request_store) == key
    run_store.claim(key, "third", 3)
    clock.forward(59 * MINUTE)
    run_store.heartbeat(key, "third", limits)


def test_the_transcriptions_own_limit_is_for_each_attempt(
    clock: Clock, request_store: RequestStore, run_store: RunStore
):
    """Its download has no limit of its own."""
    limits = TimeLimits(transcription_s=MINUTE, job_s=HOUR)
    key = submit(request_store)
    run_store.claim(key, "run", 1)
    run_store.progress(key, "run", "audio_download", 0, None)
    clock.forward(30 * MINUTE)
    run_store.heartbeat(key, "run", limits)
    run_store.claim(key, "run", 1)
    run_store.progress(key, "run", "transcription", 0, None)
    clock.forward(59)
    run_store.heartbeat(key, "run", limits)
    clock.forward(1)
    with pytest.raises(TookTooLong):
        run_store.heartbeat(key, "run", limits)


def test_patience_is_within_the_promised_times():
    """Five seconds for a cancel, ten for a time limit."""
    assert RunEnd.WITHDRAWN.patience_s + module.GRACE_S < 5
    assert RunEnd.TOOK_TOO_LONG.patience_s == 10
