"""Pauses as the API keeps to them and makes them."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate

from resources.orchestration import pauses
from resources.orchestration.orchestrator import Orchestrator
from resources.orchestration.pauses import Part, Pause
from resources.postgres.connection import Postgres
from ytcaption.domain.errors import DatabaseUnavailable, IntakePaused
from ytcaption.settings import Settings

logger = logging.getLogger(__name__)

KNOWN_S = 1.0
"""For so long a process does not ask again whether requests are taken."""

APPLY_S = 5.0


class Operating:
    """What an operator has stopped, on this installation."""

    def __init__(self, settings: Settings, postgres: Postgres, orchestrator: Orchestrator) -> None:
        self._settings = settings
        self._postgres = postgres
        self._orchestrator = orchestrator
        self._paused: frozenset[str] = frozenset()
        self._read_at = -KNOWN_S
        # One: where Dagster's storage hangs, one thread hangs with it.
        self._applying = ThreadPoolExecutor(1, thread_name_prefix="pools")

    def check_intake(self) -> None:
        """Passes while requests are taken. Another process's pause is heeded within `KNOWN_S`.

        Raises:
            IntakePaused: they are not.
        """
        now = time.monotonic()
        if now - self._read_at >= KNOWN_S:
            self._read_at = now  # first: all others go on with what was known meanwhile
            try:
                self._paused = pauses.paused_parts(self._postgres)
            except DatabaseUnavailable:
                return  # whoever asks is told so by what comes next
        if "intake" in self._paused:
            raise IntakePaused("Intake is paused by an operator.")

    def paused(self) -> list[Pause]:
        """All that is stopped."""
        return pauses.pauses(self._postgres)

    def pause(self, part: Part, reason: str, by: str) -> bool:
        """Stop a part; whether Dagster's pools keep to it already. Else the sensor sees to it."""
        pauses.pause(self._postgres, part, reason, by)
        return self._apply()

    def resume(self, part: Part, by: str) -> bool:
        """Let a part go on; whether Dagster's pools do already."""
        pauses.resume(self._postgres, part, by)
        return self._apply()

    def close(self) -> None:
        """Waits for nothing."""
        self._applying.shutdown(wait=False, cancel_futures=True)

    def _apply(self) -> bool:
        paused = self._paused = pauses.paused_parts(self._postgres)
        self._read_at = time.monotonic()
        applied = self._applying.submit(self._orchestrator.follow_pauses, self._settings, paused)
        try:
            return applied.result(APPLY_S)
        except TooLate:
            logger.warning("Dagster's storage hangs: its pools are left to the sensor")
            return False
