"""Checks of what stands still: sensors, schedules and queues."""

from collections.abc import Sequence

from resources.maintenance.check import Check, Installation, Repaired, one_by_one
from resources.maintenance.standstill import standstills
from resources.orchestration.ticks import Problem, Tick, reset_ticks, start_stopped, ticks
from resources.processes.clock_step import age_s
from ytcaption.domain.errors import DagsterUnavailable

_DAEMON_S = 120.0  # each of the daemon's threads sends a heartbeat every 30 s


def _ticks(installation: Installation) -> list[Tick]:
    try:
        return ticks(installation.instance, installation.settings)
    except Exception as error:  # Dagster's and SQLAlchemy's errors share no base class
        raise DagsterUnavailable("Dagster's storage does not answer.") from error


def _with(installation: Installation, problem: Problem) -> list[str]:
    return [tick.name for tick in _ticks(installation) if tick.problem == problem]


def _reset(installation: Installation, _names: Sequence[str]) -> Repaired:
    return Repaired(done=reset_ticks(installation.instance))


def _start(installation: Installation, name: str) -> bool:
    return start_stopped(installation.instance, name)


def _still(installation: Installation) -> list[str]:
    """Return what stands still, with the reason. Without a daemon nothing is expected to move."""
    try:
        heartbeats = installation.instance.get_daemon_heartbeats().values()
    except Exception as error:
        raise DagsterUnavailable("Dagster's storage does not answer.") from error
    if not any(age_s(each.timestamp) < _DAEMON_S for each in heartbeats):
        return []
    still = [tick for tick in _ticks(installation) if tick.problem in ("still", "never")]
    found = standstills(installation.settings, installation.postgres, still)
    return [f"{each.part}: {each.reason}" for each in found if each.is_fault]


def _leave(installation: Installation, names: Sequence[str]) -> Repaired:
    return Repaired(left=dict.fromkeys(names, "start `ytcaption up` again."))


TICK_CHECKS = (
    Check(
        "tick_ahead",
        "sensors and schedules that wait for a clock that was set back",
        "they tick now",
        lambda installation: _with(installation, "ahead"),
        _reset,
    ),
    Check(
        "tick_stopped",
        "sensors and schedules that were stopped",
        "started",
        lambda installation: _with(installation, "stopped"),
        one_by_one(_start),
    ),
    Check(
        "standstill",
        "queues and sensors that stand still while the daemon runs",
        "none by itself",
        _still,
        _leave,
    ),
)
