"""Due work that Dagster has no run of yet: shared by the transcription and the channel sensor."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import dagster as dg

from resources.maintenance.lost_runs import runs_by_key

AHEAD = 2
"""Maximum number of runs in Dagster's queue, per run that can work at once. Dagster reads all of
its queue each second; further work waits in Postgres, and its order is decided at each tick."""

FULL_S = 2.0
"""Seconds a tick waits while Dagster's queue is full."""

WAIT_S = 25.0
"""Seconds a tick listens while nothing is due: the daemon would not tick again for 5 s."""


class Due(Protocol):
    """Work that a run can be started for."""

    @property
    def run_key(self) -> str:
        """Dagster starts at most one run per key."""
        ...


AnyDue = TypeVar("AnyDue", bound=Due)


def queue_size(slots: int) -> int:
    """Return the maximum number of runs in Dagster's queue.

    Args:
        slots: runs that can work at once.
    """
    return AHEAD * slots


def split_by_run(
    instance: dg.DagsterInstance, due: Sequence[AnyDue], settle_unbegun: Callable[[AnyDue], object]
) -> tuple[list[AnyDue], list[AnyDue]]:
    """Split due work into that without and that with a run in Dagster.

    Args:
        settle_unbegun: called for work whose run ended before it claimed it.
    """
    runs = runs_by_key(instance, [each.run_key for each in due]) if due else {}
    for each in due:
        record = runs.get(each.run_key)
        if record is not None and record.dagster_run.is_finished:
            settle_unbegun(each)
    without_run = [each for each in due if each.run_key not in runs]
    return without_run, [each for each in due if each.run_key in runs]


def wait_for_due(queued: int, slots: int, listen: Callable[[float], bool]) -> bool:
    """Wait until there may be work without a run; return whether there may be.

    Args:
        queued: due work that has a run already.
        slots: as `queue_size`.
        listen: waits for at most the given seconds; returns whether work is due.
    """
    if queued < queue_size(slots):
        return listen(WAIT_S)
    time.sleep(FULL_S)
    return True
