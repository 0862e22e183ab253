"""Watches the pipeline from a process that is not part of it, and tells operators if it stands.

A sensor cannot report that sensors stand still. The notifier looks every half minute, repairs what
a clock that was set back has stopped, and raises an alert for what remains.
"""

import logging
import time

from resources.alerts import QUIET_S, raise_alert
from resources.maintenance.standstill import PAUSE, standstills
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

CONFIRMED_S = 55.0
"""A standstill is reported when it was seen for so long: a system that starts needs a while."""


class PipelineWatch:
    """The watch of one process.

    Args:
        postgres: with the rights of the API.
    """

    def __init__(
        self, settings: Settings, postgres: Postgres, orchestrator: Orchestrator | None = None
    ) -> None:
        self._settings = settings
        self._postgres = postgres
        self._orchestrator = orchestrator or Orchestrator()
        self._seen_at: dict[str, float] = {}
        self._raised_at: dict[str, float] = {}

    def look(self) -> None:
        """Look once.

        Raises:
            DatabaseUnavailable, SetupError: as `Postgres.transaction`.
        """
        ticks = self._orchestrator.ticks(self._settings)
        if ticks and any(tick.problem == "ahead" for tick in ticks):
            self._orchestrator.reset_ticks()
        now = time.monotonic()
        found = {each.part: each for each in standstills(self._settings, self._postgres, ticks)}
        self._seen_at = {part: self._seen_at.get(part, now) for part in found}
        for part, seen_at in self._seen_at.items():
            is_due = now - self._raised_at.get(part, -QUIET_S) >= QUIET_S
            if now - seen_at < CONFIRMED_S or not is_due:
                continue
            logger.warning("%s: %s", part, found[part].reason)
            code = "pause_forgotten" if part == PAUSE else "standstill"
            with self._postgres.transaction() as connection:
                raise_alert(connection, code, part)
            self._raised_at[part] = now
