"""Steps of the database's clock, as a process notices them that goes on all the time.

When the clock is put forward, or the machine wakes up, every heartbeat is old at once, and all work
seems to have taken the time between. A process that judges by the database's clock checks first
whether it was set a moment ago.
"""

import logging
import threading
import time

from resources.postgres.connection import Postgres
from resources.processes.clock_step import TOLERANCE_S

logger = logging.getLogger(__name__)

SETTLED_S = 15.0
"""Seconds after a step in which nothing is judged: heartbeats come every second."""


class DatabaseClock:
    """Compares the database's clock with the monotonic clock of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset_s: float | None = None
        self._set_at = float("-inf")

    def forget(self) -> None:
        """Take the next time as the first."""
        with self._lock:
            self._offset_s, self._set_at = None, float("-inf")

    def step_s(self, at_s: float) -> float:
        """Take a time of the database; return by how many seconds its clock was set since the last.

        Args:
            at_s: seconds since 1970.
        """
        with self._lock:
            now = time.monotonic()
            before, self._offset_s = self._offset_s, at_s - now
            step_s = 0.0 if before is None else self._offset_s - before
            if abs(step_s) <= TOLERANCE_S:
                return 0.0
            self._set_at = now
            return step_s

    def was_just_set(self, postgres: Postgres) -> bool:
        """Return whether the clock was set in the last `SETTLED_S`.

        Raises:
            DatabaseUnavailable, SetupError: as `Postgres.transaction`.
        """
        [row] = postgres.rows("select extract(epoch from now())::float8 as at_s", {})
        if step_s := self.step_s(row["at_s"]):
            logger.warning("the database's clock was set by %.0f s, or its machine slept", step_s)
        with self._lock:
            return time.monotonic() - self._set_at < SETTLED_S


DATABASE_CLOCK = DatabaseClock()
"""Shared by the sensors of a process."""
