"""Due channels get partitions and runs; late and lost ones are reported."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import cast

import dagster as dg
import pytest

from resources.channels.due import DUE_TAG
from resources.channels.intake import ChannelIntake
from resources.channels.runs import ChannelRuns
from resources.channels.store import ChannelStore
from resources.orchestration.partitions import channel_partitions
from resources.orchestration.pauses import pause, resume
from resources.orchestration.tags import CHANNEL_TAG, RUN_KEY_TAG
from resources.postgres.connection import Postgres
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from sensors import due_runs
from sensors.channel_freshness_check import NAME
from sensors.channel_sensor import channel_sensor
from sensors.run_end_sensor import end_runs
from sensors.run_status_sensor import run_canceled_sensor, run_failed_sensor, run_succeeded_sensor
from sensors.transcription_sensor import transcription_sensor
from tests.support.channel_lists import page, plan, source
from tests.support.patience import wait_for
from ytcaption.settings.settings import Settings
from ytcaption_assets.definitions import build_definitions

PARTITIONS = cast(str, channel_partitions.name)


@pytest.fixture(autouse=True)
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick that finds nothing to do ends soon."""
    monkeypatch.setattr(due_runs, "WAIT_S", 0.2)


@pytest.fixture
def store(settings: Settings) -> ChannelStore:
    """With all rights."""
    return ChannelStore.from_settings(settings, "admin")


@pytest.fixture
def runs(postgres: Postgres) -> ChannelRuns:
    """With the rights of a run."""
    return ChannelRuns(postgres=postgres)


def tick(
    instance: dg.DagsterInstance, runs: ChannelRuns, cursor: str | None = None
) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"channel_runs": runs}
    )
    with context:
        found = channel_sensor(context)
    assert isinstance(found, dg.SensorResult | dg.SkipReason)
    return found


def requested(result: dg.SensorResult | dg.SkipReason) -> list[dg.RunRequest]:
    return list(result.run_requests or []) if isinstance(result, dg.SensorResult) else []


def made_run(
    instance: dg.DagsterInstance, settings: Settings, request: dg.RunRequest
) -> dg.DagsterRun:
    """The run that Dagster's daemon would start for a request."""
    job = build_definitions(settings).resolve_job_def("list_channel")
    tags = {**request.tags, RUN_KEY_TAG: request.run_key or ""}
    return instance.create_run_for_job(
        job, tags=tags | {"dagster/partition": request.partition_key or ""}
    )


@pytest.mark.long
def test_each_due_channel_gets_a_partition_and_a_run(instance, runs, store, settings):
    """Once per due time; partitions of deleted channels are deleted."""
    ids = sorted(store.create(source(name), plan())[0].id for name in ("a", "b"))
    instance.add_dynamic_partitions(PARTITIONS, ["gone"])
    result = tick(instance, runs)
    assert isinstance(result, dg.SensorResult)
    assert sorted(each.partition_key or "" for each in requested(result)) == ids
    added, deleted = result.dynamic_partitions_requests or []
    assert (list(added.partition_keys), list(deleted.partition_keys)) == (ids, ["gone"])
    for request in requested(result):
        assert request.run_key == f"{request.partition_key}:{request.tags[DUE_TAG]}"
        assert request.tags[CHANNEL_TAG] == request.partition_key
        made_run(instance, settings, request)
    instance.add_dynamic_partitions(PARTITIONS, ids)
    instance.delete_dynamic_partition(PARTITIONS, "gone")
    assert isinstance(tick(instance, runs), dg.SkipReason)


def test_dagsters_queue_is_bounded(instance, runs, store, settings):
    """The rest waits in Postgres."""
    for number in range(7):
        store.create(source(f"c{number}"), plan())
    assert len(requested(tick(instance, runs))) == 2 * settings.channels.listing_slots


def test_paused_intake_lists_no_channel(instance, runs, store):
    """Listing would request transcriptions."""
    store.create(source(), plan())
    pause(store.postgres, "intake", "", "local")
    assert isinstance(tick(instance, runs), dg.SkipReason)
    resume(store.postgres, "intake", "local")
    assert len(requested(tick(instance, runs))) == 1


def test_a_tick_wakes_up_for_a_new_channel(instance, runs, store, monkeypatch):
    """The channel does not wait for the next tick, and its run has a partition."""
    monkeypatch.setattr(due_runs, "WAIT_S", 20.0)
    with ThreadPoolExecutor(1) as pool:
        ticking = pool.submit(tick, instance, runs)
        listening = "select from pg_stat_activity where query like 'listen ytcaption_channels%%'"
        wait_for(lambda: store.postgres.rows(listening, {}), 15)
        id = store.create(source(), plan())[0].id
        result = ticking.result(15)
    assert isinstance(result, dg.SensorResult)
    assert [each.partition_key for each in requested(result)] == [id]
    [added] = result.dynamic_partitions_requests or []
    assert list(added.partition_keys) == [id]


def test_a_run_that_ended_before_it_claimed_is_followed_by_another(instance, runs, store, settings):
    """With another due time: its run key is used up."""
    id = store.create(source(), plan())[0].id
    [request] = requested(tick(instance, runs))
    instance.report_run_failed(made_run(instance, settings, request), "It did not start.")
    tick(instance, runs)
    assert store.get(id).error_code == "run_not_started"
    store.run_now(id)
    [another] = requested(tick(instance, runs))
    assert another.run_key != request.run_key


@pytest.mark.long
def test_a_silent_run_loses_its_channel(instance, runs, store, settings, postgres):
    """And its slots; the run is reported as failed."""
    id = store.create(source(), plan())[0].id
    [request] = requested(tick(instance, runs))
    run = made_run(instance, settings, request)
    runs.claim(id, run.run_id, request.tags[DUE_TAG])
    with postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.channel set heartbeat_at = now() - %s", (timedelta(seconds=61),)
        )
    tick(instance, runs)
    assert store.get(id).error_code == "run_lost"
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE


@pytest.mark.long
def test_late_channels_are_reported_when_they_change(instance, runs, store, postgres):
    """As an evaluation of the asset's check, which the UI shows, without a run."""
    id = store.create(source(), plan())[0].id
    store.pause(id)
    instance.add_dynamic_partitions(PARTITIONS, [id])
    assert isinstance(tick(instance, runs), dg.SkipReason)
    with postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.channel set paused_at = null, next_listing_at = now() - %s",
            (timedelta(hours=2),),
        )
    late = tick(instance, runs)
    assert isinstance(late, dg.SensorResult)
    [said] = late.asset_events
    assert isinstance(said, dg.AssetCheckEvaluation)
    assert (said.check_name, said.passed, said.severity) == (
        NAME,
        False,
        dg.AssetCheckSeverity.WARN,
    )
    assert id in str(said.metadata["channels"].value)
    again = tick(instance, runs, late.cursor)
    assert isinstance(again, dg.SensorResult)
    assert not again.asset_events
    runs.claim(id, "run")
    runs.complete(id, "run")
    well = tick(instance, runs, late.cursor)
    assert isinstance(well, dg.SensorResult)
    assert [each.passed for each in well.asset_events] == [True]  # pyright: ignore


@pytest.mark.parametrize("end", ["failed", "canceled", "succeeded"])
def test_the_channel_of_an_ended_run_is_freed(instance, runs, store, settings, request_store, end):
    """A run that was ended from outside frees its channel; no transcription is searched for."""
    id = store.create(source(), plan())[0].id
    [request] = requested(tick(instance, runs))
    run = made_run(instance, settings, request)
    runs.claim(id, run.run_id, request.tags[DUE_TAG])
    sensor, report, code = {
        "failed": (run_failed_sensor, instance.report_run_failed, "run_lost"),
        "canceled": (run_canceled_sensor, instance.report_run_canceled, None),
        "succeeded": (run_succeeded_sensor, instance.report_run_failed, None),
    }[end]
    event = report(run, "As it is.")
    context = dg.build_run_status_sensor_context(
        sensor_name="s",
        dagster_event=event,
        dagster_instance=instance,
        dagster_run=run,
        resources={
            "postgres": request_store.postgres,
            "run_store": RunStore(postgres=request_store.postgres),
        },
    )
    with context:
        sensor(context)
    row = store.get(id)
    assert row.run_id == (run.run_id if end == "succeeded" else None)
    assert row.error_code == code


def test_listing_runs_are_not_treated_as_transcription_runs(
    instance, runs, store, settings, request_store: RequestStore
):
    """The sensor that ends runs without a transcription does not touch them."""
    store.create(source(), plan())
    run = made_run(instance, settings, requested(tick(instance, runs))[0])
    started = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    instance.report_dagster_event(started, run_id=run.run_id)
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.STARTED
    ended, _ = end_runs(instance, request_store.postgres, {run.run_id: 0.0}, 1e9)
    assert ended == 0


def test_five_hundred_bulk_items_do_not_delay_a_person(
    instance, runs, store, postgres, request_store: RequestStore
):
    """An interactive request is next, and runs of items carry their channel."""
    id = store.create(source(), plan())[0].id
    intake = ChannelIntake(postgres=postgres)
    runs.claim(id, "run")
    intake.add_page(id, "run", page(range(500, 0, -1)))
    assert intake.enqueue_new(id, "run").queued == 300
    person = request_store.submit(
        page([999]).items[0].source, plan().options, owner="key:person"
    ).transcription.id
    context = dg.build_sensor_context(
        instance=instance,
        resources={"request_store": request_store, "postgres": request_store.postgres},
    )
    with context:
        result = transcription_sensor(context)
    assert isinstance(result, dg.SensorResult)
    first, *others = requested(result)
    assert first.partition_key == person
    assert CHANNEL_TAG not in first.tags
    assert others
    assert {each.tags[CHANNEL_TAG] for each in others} == {id}
    assert int(first.tags["dagster/priority"]) > max(
        int(each.tags["dagster/priority"]) for each in others
    )
