"""Queued transcriptions get partitions and runs; lost runs are settled."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from resources.orchestration.pauses import pause, resume
from resources.orchestration.tags import RUN_KEY_TAG, TRACE_TAG
from resources.sites.circuit_breaker import open_breaker
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.store import RequestStore
from sensors import due_runs
from sensors import transcription_sensor as module
from sensors.transcription_sensor import transcription_sensor
from tests.support.servers.postgres_servers import DatabaseServer
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption_assets.definitions import build_definitions

OPTIONS = TranscriptionOptions(model="base")


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick that finds nothing to do ends soon."""
    monkeypatch.setattr(due_runs, "WAIT_S", 0.2)


def submit(store: RequestStore, name: str, **more) -> str:
    source = MediaSource(f"youtube-{name}", "site", url=f"https://youtu.be/{name}")
    return store.submit(source, OPTIONS, **more).transcription.id


def tick(instance: dg.DagsterInstance, store: RequestStore) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(
        instance=instance, resources={"request_store": store, "postgres": store.postgres}
    )
    with context:
        found = transcription_sensor(context)
    assert isinstance(found, dg.SensorResult | dg.SkipReason)
    return found


def made_run(instance: dg.DagsterInstance, settings, request: dg.RunRequest) -> dg.DagsterRun:
    """The run that Dagster's daemon would start for a request."""
    job = build_definitions(settings).resolve_job_def("transcribe")
    tags = {**request.tags, RUN_KEY_TAG: request.run_key or ""}
    return instance.create_run_for_job(
        job, tags=tags | {"dagster/partition": request.partition_key or ""}
    )


def test_each_queued_transcription_gets_a_partition_and_a_run(instance, request_store):
    """Interactive ones first; the run key names id and attempt."""
    upload = MediaSource("upload-bulk", "upload", title="a.mp3")
    bulk = request_store.submit(upload, OPTIONS, priority="bulk").transcription.id
    first, second = submit(request_store, "first"), submit(request_store, "second")
    result = tick(instance, request_store)
    assert isinstance(result, dg.SensorResult)
    assert [run.partition_key for run in result.run_requests or []] == [first, second, bulk]
    assert [run.run_key for run in result.run_requests or []] == [
        f"{first}:1",
        f"{second}:1",
        f"{bulk}:1",
    ]
    priorities = [run.tags["dagster/priority"] for run in result.run_requests or []]
    assert priorities == ["999", "998", "-1"]
    (partitions,) = result.dynamic_partitions_requests or []
    assert set(partitions.partition_keys) == {first, second, bulk}


@pytest.mark.parametrize("part", ["download", "transcription"])
def test_nothing_is_started_while_a_pool_is_paused(instance, request_store, settings, part):
    """The tick sets the pool's slots to 0; after a resume both are as before."""
    submit(request_store, "waits")
    storage = instance.event_log_storage
    pause(request_store.postgres, part, "", "local")
    skipped = tick(instance, request_store)
    assert isinstance(skipped, dg.SkipReason)
    assert part in (skipped.skip_message or "")
    assert storage.get_concurrency_info(part).slot_count == 0
    resume(request_store.postgres, part, "local")
    assert isinstance(tick(instance, request_store), dg.SensorResult)
    expected = {
        "download": settings.runs.download_slots,
        "transcription": settings.transcriptions_at_once,
    }
    assert storage.get_concurrency_info(part).slot_count == expected[part]


def test_paused_intake_stops_no_run(instance, request_store):
    """Queued work goes on."""
    submit(request_store, "taken")
    pause(request_store.postgres, "intake", "", "local")
    assert isinstance(tick(instance, request_store), dg.SensorResult)


def test_a_pause_while_a_tick_waits_is_heeded(
    instance, request_store, monkeypatch: pytest.MonkeyPatch
):
    """A tick listens for up to 25 s."""

    def wait(store: RequestStore, *_: object) -> bool:
        pause(store.postgres, "download", "", "local")
        submit(store, "late")
        return True

    monkeypatch.setattr(RequestStore, "wait_for_work", wait)
    assert isinstance(tick(instance, request_store), dg.SkipReason)


@pytest.mark.long
def test_a_tick_waits_for_work_that_dagster_has_not(
    instance, request_store, settings, monkeypatch: pytest.MonkeyPatch
):
    """Only what comes meanwhile gets a run."""
    submit(request_store, "once")
    result = tick(instance, request_store)
    assert isinstance(result, dg.SensorResult)
    made_run(instance, settings, (result.run_requests or [])[0])
    monkeypatch.setattr(due_runs, "WAIT_S", 20.0)
    with ThreadPoolExecutor(1) as other:
        late = other.submit(lambda: time.sleep(0.5) or submit(request_store, "late"))
        result = tick(instance, request_store)
    assert isinstance(result, dg.SensorResult)
    assert [run.partition_key for run in result.run_requests or []] == [late.result()]


def test_a_tick_does_not_listen_while_dagsters_queue_is_full(
    instance, request_store, settings, monkeypatch: pytest.MonkeyPatch
):
    """Due work beyond it would wake it again and again."""
    monkeypatch.setattr(module, "queue_size", lambda _: 1)
    monkeypatch.setattr(due_runs, "queue_size", lambda _: 1)
    monkeypatch.setattr(due_runs, "FULL_S", 0.1)
    monkeypatch.setattr(due_runs, "WAIT_S", 20.0)
    first = submit(request_store, "first")
    submit(request_store, "second")
    result = tick(instance, request_store)
    assert isinstance(result, dg.SensorResult)
    assert [run.partition_key for run in result.run_requests or []] == [first]
    made_run(instance, settings, (result.run_requests or [])[0])
    monkeypatch.setattr(RequestStore, "wait_for_work", lambda *_: pytest.fail("it listens"))
    assert isinstance(tick(instance, request_store), dg.SkipReason)


def test_a_run_that_waits_in_dagster_is_not_requested_again(instance, request_store, settings):
    """The row is still queued and its run exists: nothing to do."""
    submit(request_store, "once")
    result = tick(instance, request_store)
    assert isinstance(result, dg.SensorResult)
    made_run(instance, settings, (result.run_requests or [])[0])
    assert isinstance(tick(instance, request_store), dg.SkipReason)


@pytest.mark.long
def test_a_run_that_died_before_it_claimed_is_followed_by_another(
    instance, request_store, settings
):
    """Its attempt counts; the next one is requested under a new key."""
    key = submit(request_store, "dies")
    result = tick(instance, request_store)
    assert isinstance(result, dg.SensorResult)
    run = made_run(instance, settings, (result.run_requests or [])[0])
    instance.report_run_failed(run)
    tick(instance, request_store)
    row = get_transcription(request_store.postgres, key)
    assert (row.status, row.attempt) == (TranscriptionStatus.QUEUED, 2)
    assert row.error_code == "run_not_started"


@pytest.mark.long
def test_a_silent_run_is_ended_and_its_slot_is_freed(
    instance, request_store, run_store, settings, database_server: DatabaseServer
):
    """A killed process leaves a run that Dagster believes to be running."""
    key = submit(request_store, "silent")
    result = tick(instance, request_store)
    assert isinstance(result, dg.SensorResult)
    run = made_run(instance, settings, (result.run_requests or [])[0])
    run_store.claim(key, run.run_id, 1)
    storage = instance.event_log_storage
    storage.set_concurrency_slots("transcription", 1)
    storage.claim_concurrency_slot("transcription", run.run_id, "transcription")
    with request_store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.transcription set heartbeat_at = now() - %s", (timedelta(minutes=2),)
        )
    tick(instance, request_store)
    row = get_transcription(request_store.postgres, key)
    assert (row.status, row.attempt, row.error_code) == (TranscriptionStatus.QUEUED, 2, "run_lost")
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None and ended.status is dg.DagsterRunStatus.FAILURE
    assert storage.get_concurrency_info("transcription").active_slot_count == 0


@pytest.mark.long
def test_a_tick_that_finds_nothing_skips(instance, request_store):
    """The skip has a reason."""
    assert isinstance(tick(instance, request_store), dg.SkipReason)


def test_a_run_carries_the_trace_of_its_request(instance, request_store):
    """As a tag; a request without one makes a run without one."""
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    submit(request_store, "traced", traceparent=traceparent)
    submit(request_store, "untraced")
    result = tick(instance, request_store)
    assert isinstance(result, dg.SensorResult)
    tags = [run.tags.get(TRACE_TAG) for run in result.run_requests or []]
    assert tags == [traceparent, None]


def test_bulk_work_in_quiet_hours_starts_no_run_and_the_tick_says_why(
    instance, request_store, monkeypatch: pytest.MonkeyPatch
):
    """Until they are over; interactive work does."""
    now = datetime.now(UTC)
    hours = f"{now - timedelta(hours=2):%H:%M}-{now + timedelta(hours=2):%H:%M}"
    monkeypatch.setenv("YTCAPTION_QUIET_HOURS", f"youtube.com={hours}")
    submit(request_store, "bulk", priority="bulk")
    skipped = tick(instance, request_store)
    assert isinstance(skipped, dg.SkipReason)
    said = str(skipped.skip_message)
    assert said.startswith(
        "1 wait: These are the quiet hours of youtube.com: bulk work continues at"
    )
    urgent = submit(request_store, "urgent")
    result = tick(instance, request_store)
    assert isinstance(result, dg.SensorResult)
    assert [run.partition_key for run in result.run_requests or []] == [urgent]


def test_work_that_waits_for_a_site_starts_no_run_and_the_tick_says_why(instance, request_store):
    """Work for other sites does. No slot of Dagster's is used by waiting work."""
    submit(request_store, "waits")
    open_breaker(request_store.postgres, "youtube.com", "", "local")
    skipped = tick(instance, request_store)
    assert isinstance(skipped, dg.SkipReason)
    said = skipped.skip_message or ""
    assert "1 wait: An operator has stopped downloads from youtube.com" in said
    source = MediaSource("url-other", "direct", url="https://example.org/a.mp3")
    other = request_store.submit(source, OPTIONS).transcription.id
    result = tick(instance, request_store)
    assert isinstance(result, dg.SensorResult)
    assert [run.partition_key for run in result.run_requests or []] == [other]


@pytest.mark.slow
def test_one_owner_leaves_room_for_another_in_dagsters_queue(instance, request_store, settings):
    """Few runs are started ahead; an owner with fewer is before them."""
    for number in range(20):
        source = MediaSource(f"upload-{number}", "upload", title="a")
        request_store.submit(source, OPTIONS, owner="key:flood")
    first = tick(instance, request_store)
    assert isinstance(first, dg.SensorResult)
    made = list(first.run_requests or [])
    assert len(made) == due_runs.AHEAD * settings.concurrent_runs
    for request in made:
        made_run(instance, settings, request)
    source = MediaSource("upload-few", "upload", title="a")
    few = request_store.submit(source, OPTIONS, owner="key:few").transcription.id
    second = tick(instance, request_store)
    assert isinstance(second, dg.SensorResult)
    (run,) = second.run_requests or []
    assert run.partition_key == few
    before = [int(each.tags["dagster/priority"]) for each in made]
    assert sum(int(run.tags["dagster/priority"]) <= priority for priority in before) == 1
