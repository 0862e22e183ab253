"""States and ticks of sensors and schedules, as Dagster's daemon leaves them."""

import sys
from typing import Any

import dagster as dg

from resources.orchestration.dagster_internals import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
)

_STATES: Any = sys.modules[InstigatorState.__module__]


def sensor_state(name: str, ticked_at: float, cursor: str | None = None) -> InstigatorState:
    """The state of a sensor that ticked then, in seconds since 1970."""
    data = SensorInstigatorData(
        last_tick_timestamp=ticked_at,
        last_tick_start_timestamp=ticked_at,
        last_tick_success_timestamp=ticked_at,
        last_sensor_start_timestamp=ticked_at - 3600,
        cursor=cursor,
    )
    return _state(name, InstigatorType.SENSOR, data)


def schedule_state(name: str, iterated_at: float) -> InstigatorState:
    """The state of a schedule that was looked at then."""
    data = ScheduleInstigatorData("23 3 * * *", iterated_at - 3600, iterated_at)
    return _state(name, InstigatorType.SCHEDULE, data)


def schedule_tick(instance: dg.DagsterInstance, state: InstigatorState, at: float) -> Any:
    """Store a successful tick of a schedule, for this time."""
    return instance.create_tick(
        _STATES.TickData(
            instigator_origin_id=state.instigator_origin_id,
            instigator_name=state.instigator_name,
            instigator_type=InstigatorType.SCHEDULE,
            status=_STATES.TickStatus.SUCCESS,
            timestamp=at,
            selector_id=state.selector_id,
            run_ids=[],
        )
    )


def _state(name: str, kind: Any, data: Any) -> InstigatorState:
    origins: Any = sys.modules[_STATES.RemoteInstigatorOrigin.__module__]
    location = origins.RegisteredCodeLocationOrigin("ytcaption")
    repository = origins.RemoteRepositoryOrigin(location, "__repository__")
    origin = origins.RemoteInstigatorOrigin(repository, name)
    return InstigatorState(origin, kind, InstigatorStatus.RUNNING, data)
