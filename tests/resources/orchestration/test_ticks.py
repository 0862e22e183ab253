"""Ticks of sensors and schedules: what stands still, and its repair."""

import time
from collections.abc import Iterator

import dagster as dg
import pytest

from resources.orchestration.dagster_internals import InstigatorStatus
from resources.orchestration.ticks import (
    SENSORS,
    STILL_S,
    Problem,
    reset_ticks,
    start_stopped,
    ticks,
)
from tests.support.instigators import schedule_state, schedule_tick, sensor_state
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_instance

pytestmark = pytest.mark.postgres

HOUR_S = 3_600.0


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Without sensors that ever ticked."""
    with dagster_instance(settings) as found:
        for state in found.all_instigator_state():
            found.delete_instigator_state(state.instigator_origin_id, state.selector_id)
        yield found


def problems(instance: dg.DagsterInstance, settings: Settings) -> dict[str, Problem | None]:
    return {tick.name: tick.problem for tick in ticks(instance, settings)}


def data_of(instance: dg.DagsterInstance, name: str):
    [state] = [each for each in instance.all_instigator_state() if each.instigator_name == name]
    return state.instigator_data


def test_each_sensor_is_judged_by_its_last_tick(instance, settings):
    """Young, too old, in the future, stopped by a person, and never ticked."""
    now = time.time()
    for name, age_s in (
        ("transcription_sensor", 20.0),
        ("channel_sensor", SENSORS["channel_sensor"] + STILL_S + 5),
        ("run_end_sensor", -HOUR_S),
        ("maintenance_sensor", SENSORS["maintenance_sensor"] + STILL_S - 20),
    ):
        instance.add_instigator_state(sensor_state(name, now - age_s))
    stopped = sensor_state("run_failed_sensor", now).with_status(InstigatorStatus.STOPPED)
    instance.add_instigator_state(stopped)

    found = problems(instance, settings)

    assert found["transcription_sensor"] is None
    assert found["maintenance_sensor"] is None
    assert found["channel_sensor"] == "still"
    assert found["run_end_sensor"] == "ahead"
    assert found["run_failed_sensor"] == "stopped"
    assert found["run_canceled_sensor"] == "never"
    assert all(tick.reason for tick in ticks(instance, settings) if tick.problem)


def test_what_waits_for_the_clock_ticks_now(instance, settings):
    """A sensor keeps its cursor and its last run key; nothing else is touched."""
    now = time.time()
    ahead = sensor_state("channel_sensor", now + 24 * HOUR_S, cursor="a cursor")
    instance.add_instigator_state(ahead)
    instance.add_instigator_state(sensor_state("run_end_sensor", now - 20))

    assert reset_ticks(instance) == ["channel_sensor"]

    data = data_of(instance, "channel_sensor")
    assert data.cursor == "a cursor"
    assert data.last_tick_start_timestamp <= time.time()
    assert data.last_tick_timestamp <= time.time()
    assert data_of(instance, "run_end_sensor").last_tick_timestamp == now - 20
    assert reset_ticks(instance) == []


def test_a_schedule_that_ticked_tomorrow_ticks_tonight(instance, settings):
    """Dagster counts from the latest tick, so those of the future are moved, too."""
    now = time.time()
    state = schedule_state("maintenance_schedule", now + 24 * HOUR_S)
    instance.add_instigator_state(state)
    tomorrow = schedule_tick(instance, state, now + 23 * HOUR_S)
    assert problems(instance, settings)["maintenance_schedule"] == "ahead"

    assert reset_ticks(instance) == ["maintenance_schedule"]

    assert problems(instance, settings)["maintenance_schedule"] is None
    assert data_of(instance, "maintenance_schedule").last_iteration_timestamp <= time.time()
    [latest] = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
    assert latest.tick_id == tomorrow.tick_id
    assert latest.timestamp <= time.time()


def test_a_stopped_sensor_is_started_and_keeps_its_cursor(instance, settings):
    """A stopped schedule does not make up for what it missed."""
    now = time.time()
    sensor = sensor_state("run_failed_sensor", now, cursor="a cursor")
    instance.add_instigator_state(sensor.with_status(InstigatorStatus.STOPPED))
    schedule = schedule_state("library_schedule", now - 100 * HOUR_S)
    instance.add_instigator_state(schedule.with_status(InstigatorStatus.STOPPED))

    assert start_stopped(instance, "run_failed_sensor")
    assert start_stopped(instance, "library_schedule")
    assert not start_stopped(instance, "library_schedule")

    assert data_of(instance, "run_failed_sensor").cursor == "a cursor"
    assert data_of(instance, "library_schedule").start_timestamp >= now
    assert problems(instance, settings)["run_failed_sensor"] is None
