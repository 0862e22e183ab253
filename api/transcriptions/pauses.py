"""Pauses: the API observes them when it accepts requests, and sets them for operators."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate

from resources.orchestration import pauses
from resources.orchestration.orchestrator import Orchestrator
from resources.orchestration.pauses import Part, Pause
from resources.postgres.connection import Postgres
from ytcaption.domain.errors import DatabaseUnavailable, IntakePaused
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

CACHED_S = 1.0
"""A process trusts what it last read of the pauses for this long."""

APPLY_TIMEOUT_S = 5.0


class PauseControl:
    """Reads and sets what operators have paused on this installation."""

    def __init__(self, settings: Settings, postgres: Postgres, orchestrator: Orchestrator) -> None:
        self._settings = settings
        self._postgres = postgres
        self._orchestrator = orchestrator
        self._paused: frozenset[str] = frozenset()
        self._read_at = -CACHED_S
        # One thread: if Dagster's storage hangs, only this one hangs with it.
        self._applying = ThreadPoolExecutor(1, thread_name_prefix="pools")

    def check_intake(self) -> None:
        """Check that requests are accepted; another process's pause is seen within `CACHED_S`.

        Raises:
            IntakePaused: the intake is paused.
        """
        now = time.monotonic()
        if now - self._read_at >= CACHED_S:
            self._read_at = now  # set first: other requests use the old state meanwhile
            try:
                self._paused = pauses.paused_parts(self._postgres)
            except DatabaseUnavailable:
                return  # the query that follows raises it to the caller
        if "intake" in self._paused:
            raise IntakePaused("Intake is paused by an operator.")

    def paused(self) -> list[Pause]:
        """Return everything that is paused."""
        return pauses.pauses(self._postgres)

    def pause(self, part: Part, reason: str, by: str) -> bool:
        """Pause a part; return whether Dagster's pools apply it already, else the sensor will."""
        pauses.pause(self._postgres, part, reason, by)
        return self._apply()

    def resume(self, part: Part, by: str) -> bool:
        """Resume a part; return whether Dagster's pools apply it already."""
        pauses.resume(self._postgres, part, by)
        return self._apply()

    def close(self) -> None:
        """Shut down without waiting."""
        self._applying.shutdown(wait=False, cancel_futures=True)

    def _apply(self) -> bool:
        paused = self._paused = pauses.paused_parts(self._postgres)
        self._read_at = time.monotonic()
        applied = self._applying.submit(self._orchestrator.follow_pauses, self._settings, paused)
        try:
            return applied.result(APPLY_TIMEOUT_S)
        except TooLate:
            logger.warning("Dagster's storage hangs: the sensor will apply the pause to its pools")
            return False
