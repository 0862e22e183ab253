"""Ticks of our sensors and schedules: their age, and their repair after a clock was set back.

Dagster's daemon notes when a sensor or schedule ticked, and lets it tick again when the clock has
passed that time by its interval. After the clock was set back, that is when it has caught up: an
hour later, or a day, and restarts do not help.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg

from resources.embeddings.embedder import has_embeddings
from resources.orchestration.dagster_internals import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
)
from resources.processes.clock_step import TOLERANCE_S
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

STILL_S = 60.0
"""A sensor whose last tick is older than its interval and this stands still."""

SENSORS: dict[str, float] = {
    "transcription_sensor": 1,
    "channel_sensor": 1,
    "run_end_sensor": 1,
    "run_failed_sensor": 5,
    "run_canceled_sensor": 5,
    "run_succeeded_sensor": 5,
    "maintenance_sensor": 60,
    "embedding_sensor": 60,
}
"""Our sensors with their intervals in seconds; `tests/test_definitions.py` compares them."""

SCHEDULES = ("maintenance_schedule", "library_schedule")

Problem = Literal["stopped", "still", "ahead", "never"]


@dataclass(frozen=True)
class Tick:
    """The last tick of a sensor, or the state of a schedule.

    Attributes:
        age_s: seconds since it, negative if its time has not come yet; None if it never ticked, and
            for schedules.
        problem: `stopped` by a person, `still`: it does not tick, `ahead`: it waits for the clock
            to catch up, `never`: it has not ticked yet. None: all is well.
    """

    name: str
    age_s: float | None
    problem: Problem | None

    @property
    def reason(self) -> str:
        """Return the problem in words, with its remedy; empty if there is none."""
        if self.problem == "stopped":
            return f"{self.name} is stopped: start it on Dagster's page, or by `doctor --repair`."
        if self.problem == "ahead":
            return f"{self.name} waits for the clock, which was set back: run `doctor --repair`."
        if self.problem == "still":
            return f"{self.name} has not ticked for {self.age_s or 0:.0f} s: is the daemon running?"
        if self.problem == "never":
            return f"{self.name} has never ticked: is the daemon running?"
        return ""


def ticks(instance: dg.DagsterInstance, settings: Settings) -> list[Tick]:
    """Return the last tick of each of our sensors, and the state of each schedule, by name.

    Raises:
        Exception: Dagster's storage does not answer; its errors share no base class.
    """
    now = time.time()
    states = {state.instigator_name: state for state in instance.all_instigator_state()}
    names = [name for name in SENSORS if name != "embedding_sensor" or has_embeddings(settings)]
    found = [_sensor_tick(name, states.get(name), now) for name in names]
    return [*found, *(_schedule_tick(name, states.get(name), now) for name in SCHEDULES)]


def reset_ticks(instance: dg.DagsterInstance) -> list[str]:
    """Let sensors and schedules that wait for the clock to catch up tick now; safe to repeat.

    Returns:
        Their names.
    """
    now, reset = time.time(), []
    for state in instance.all_instigator_state():
        if _is_ahead(state, now):
            data = state.instigator_data
            assert data is not None
            instance.update_instigator_state(state.with_data(_not_after(data, now)))
            reset.append(state.instigator_name)
        if state.instigator_type is InstigatorType.SCHEDULE and _reset_history(
            instance, state, now
        ):
            reset.append(state.instigator_name)
    for name in dict.fromkeys(reset):
        logger.warning("the clock was set back: %s ticks now instead of later", name)
    return list(dict.fromkeys(reset))


def start_stopped(instance: dg.DagsterInstance, name: str) -> bool:
    """Let a stopped sensor or schedule of ours tick again; return whether it was stopped."""
    for state in instance.all_instigator_state():
        if state.instigator_name == name and not state.is_running:
            data = state.instigator_data
            if isinstance(data, ScheduleInstigatorData):  # what it missed is not made up for
                state = state.with_data(data._replace(start_timestamp=time.time()))
            instance.update_instigator_state(state.with_status(InstigatorStatus.RUNNING))
            return True
    return False


def _sensor_tick(name: str, state: InstigatorState | None, now: float) -> Tick:
    if state is None:
        return Tick(name, None, "never")
    age_s = now - _last_time(state) if _last_time(state) else None
    if not state.is_running:
        return Tick(name, age_s, "stopped")
    if age_s is None:
        return Tick(name, None, "never")
    if age_s < -TOLERANCE_S:
        return Tick(name, age_s, "ahead")
    return Tick(name, age_s, "still" if age_s > SENSORS[name] + STILL_S else None)


def _schedule_tick(name: str, state: InstigatorState | None, now: float) -> Tick:
    if state is None:
        return Tick(name, None, "never")
    if not state.is_running:
        return Tick(name, None, "stopped")
    return Tick(name, None, "ahead" if _is_ahead(state, now) else None)


def _times(data: Any) -> dict[str, float]:
    """Return what an instigator has noted of the time, by field."""
    names = (name for name in data._fields if name.endswith("timestamp"))
    return {name: at for name in names if (at := getattr(data, name)) is not None}


def _last_time(state: InstigatorState) -> float:
    data = state.instigator_data
    if not isinstance(data, SensorInstigatorData):
        return 0.0
    # Not when the sensor was started, which is before its first tick.
    times = {name: at for name, at in _times(data).items() if "tick" in name}
    return max(times.values(), default=0.0)


def _is_ahead(state: InstigatorState, now: float) -> bool:
    data = state.instigator_data
    if not isinstance(data, SensorInstigatorData | ScheduleInstigatorData):
        return False
    return any(at > now + TOLERANCE_S for at in _times(data).values())


def _not_after(data: Any, now: float) -> Any:
    return data._replace(**{name: min(at, now) for name, at in _times(data).items()})


def _reset_history(instance: dg.DagsterInstance, state: InstigatorState, now: float) -> bool:
    """Move the ticks of a schedule that are in the future: it never ticks before its last tick."""
    ahead = instance.get_ticks(
        state.instigator_origin_id, state.selector_id, after=now + TOLERANCE_S
    )
    for tick in ahead:
        instance.update_tick(tick._replace(tick_data=tick.tick_data._replace(timestamp=now)))
    return bool(ahead)
