"""Steps of the wall clock: NTP, a person or a suspended machine sets it, in either direction."""

import time
from collections.abc import Callable

TOLERANCE_S = 5.0
"""Smaller steps are corrections, after which everything continues within seconds by itself."""


class StepDetector:
    """Compares the wall clock with the monotonic clock, which nothing sets.

    Args:
        wall: the clock that may be set; returns seconds.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._offset_s = wall() - time.monotonic()

    def step_s(self) -> float:
        """Return by how many seconds the clock was set since the last call; 0 if it was not.

        While a machine sleeps its monotonic clock stands still: waking up is a step forward.
        """
        offset_s = self._wall() - time.monotonic()
        step_s, self._offset_s = offset_s - self._offset_s, offset_s
        return step_s if abs(step_s) > TOLERANCE_S else 0.0


def age_s(at: float) -> float:
    """Return the seconds between a time since 1970 and now, in either direction.

    A time in the future was noted before the clock was set back, and is old.
    """
    return abs(time.time() - at)
