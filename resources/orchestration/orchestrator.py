"""Dagster's instance, as the API needs it: add a partition, answer whether its storage is there."""

import logging
import threading
from collections.abc import Collection, Sequence

import dagster as dg

from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.pauses import follow_pauses
from resources.orchestration.runs import end_runs, erase_runs
from ytcaption.domain.errors import DagsterUnavailable
from ytcaption.settings import Settings

logger = logging.getLogger(__name__)

RUN_ENDS_S = 15.0
"""How long a run whose transcription is erased may take to write its last events."""


class Orchestrator:
    """What the API has Dagster do.

    Adding partitions never raises: the sensor adds what is missing here.

    A partition is shown in the Dagster UI from the moment it is asked for, not from the next sensor
    tick on. The instance is opened at the first use, from DAGSTER_HOME, unless it is given.
    """

    def __init__(self, instance: dg.DagsterInstance | None = None) -> None:
        self._lock = threading.Lock()
        self._instance = instance

    def add_partitions(self, keys: Sequence[str]) -> bool:
        """Whether Dagster knows the partitions now; False when its storage is away."""
        try:
            self._opened().add_dynamic_partitions(transcription_partitions.name or "", keys)
        except Exception as error:  # Dagster and SQLAlchemy share no root; none may reach a caller
            logger.warning("%d partitions left to the sensor: %s", len(keys), type(error).__name__)
            return False
        return True

    def end_runs(self, id: str, attempt: int, run_id: str | None) -> bool:
        """Terminate the run of a canceled attempt; False when Dagster's storage is away. Then the
        run itself hears of the cancel, and one that has not begun finds nothing to do."""
        try:
            end_runs(self._opened(), id, attempt, run_id)
        except Exception as error:
            logger.warning("runs of %s end by themselves: %s", id, type(error).__name__)
            return False
        return True

    def erase(self, id: str, run_ids: Collection[str]) -> None:
        """Leave nothing of the partition and its runs.

        Raises:
            DagsterUnavailable: its storage is away; repeat it.
        """
        try:
            erase_runs(self._opened(), id, run_ids, wait_s=RUN_ENDS_S)
        except Exception as error:
            raise DagsterUnavailable(
                "Dagster's storage did not answer. Check that Postgres runs; what failed can be "
                "repeated."
            ) from error

    def problem(self) -> str | None:
        """Why Dagster's storage cannot be used, in words; None when it can."""
        try:
            self._opened().get_runs(limit=1)
        except Exception as error:
            logger.warning("Dagster's storage: %s", type(error).__name__)
            return "Dagster's storage does not answer"
        return None

    def follow_pauses(self, settings: Settings, paused: Collection[str]) -> bool:
        """Whether Dagster's pools are now as pauses want them; False when its storage is away."""
        try:
            follow_pauses(self._opened(), settings, paused)
        except Exception as error:
            logger.warning("pools left to the sensor: %s", type(error).__name__)
            return False
        return True

    def close(self) -> None:
        """Gives its connections back."""
        with self._lock:
            if self._instance is not None:
                self._instance.dispose()
                self._instance = None

    def _opened(self) -> dg.DagsterInstance:
        with self._lock:
            if self._instance is None:
                self._instance = dg.DagsterInstance.get()
            return self._instance
