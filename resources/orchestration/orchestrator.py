"""Dagster's instance for the API: adds partitions, ends and erases runs, checks the storage."""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future

import dagster as dg

from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.pauses import follow_pauses
from resources.orchestration.runs import end_runs, erase_runs
from resources.orchestration.ticks import Tick, reset_ticks, ticks
from ytcaption.domain.errors import DagsterUnavailable
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

RUN_ENDS_S = 15.0
"""Seconds a run whose transcription is erased has to write its last events."""

ERASED_S = RUN_ENDS_S + 15.0
"""Longest time that erasing its runs takes."""


def _ended(function: Callable[[], None], within_s: float) -> None:
    """Run a function on a thread of its own, and wait for its end.

    Raises:
        TimeoutError: it takes longer.
    """
    done: Future[None] = Future()

    def run() -> None:
        try:
            done.set_result(function())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="erase-runs", daemon=True).start()
    done.result(within_s)


class Orchestrator:
    """Dagster as the API uses it. Unless one is given, the instance is opened from
    DAGSTER_HOME at the first use."""

    def __init__(self, instance: dg.DagsterInstance | None = None) -> None:
        self._lock = threading.Lock()
        self._instance = instance

    def add_partitions(self, keys: Sequence[str]) -> bool:
        """Add partitions, so that the Dagster UI shows them before the next tick of the sensor.
        Return False if the storage is unavailable; the sensor adds them then."""
        try:
            self._opened().add_dynamic_partitions(transcription_partitions.name or "", keys)
        except Exception as error:  # Dagster and SQLAlchemy share no root; none may reach a caller
            logger.warning("%d partitions left to the sensor: %s", len(keys), type(error).__name__)
            return False
        return True

    def end_runs(self, id: str, attempt: int, run_id: str | None) -> bool:
        """Terminate the run of a canceled attempt. Return False if the storage is unavailable: the
        run then notices the cancel itself, and a run that has not begun finds nothing to do."""
        try:
            end_runs(self._opened(), id, attempt, run_id)
        except Exception as error:
            logger.warning("runs of %s end by themselves: %s", id, type(error).__name__)
            return False
        return True

    def erase(self, id: str, run_ids: Collection[str]) -> None:
        """Erase the partition and its runs.

        Raises:
            DagsterUnavailable: the storage is unavailable; call it again.
        """
        try:
            # On a thread: the storage may hang, and the caller must not.
            _ended(lambda: erase_runs(self._opened(), id, run_ids, wait_s=RUN_ENDS_S), ERASED_S)
        except Exception as error:
            raise DagsterUnavailable(
                "Dagster's storage did not answer. Check that Postgres runs; what failed can be "
                "repeated."
            ) from error

    def problem(self) -> str | None:
        """Return why Dagster's storage cannot be used, for people; None if it can."""
        try:
            self._opened().get_runs(limit=1)
        except Exception as error:
            logger.warning("Dagster's storage: %s", type(error).__name__)
            return "Dagster's storage does not answer"
        return None

    def ticks(self, settings: Settings) -> list[Tick] | None:
        """Return the last ticks of sensors and schedules; None if the storage is unavailable."""
        try:
            return ticks(self._opened(), settings)
        except Exception as error:
            logger.debug("ticks are unknown: %s", type(error).__name__)
            return None

    def reset_ticks(self) -> list[str]:
        """Let sensors tick that wait for a clock which was set back. Return their names; none if
        the storage is unavailable."""
        try:
            return reset_ticks(self._opened())
        except Exception as error:
            logger.warning("ticks cannot be reset: %s", type(error).__name__)
            return []

    def follow_pauses(self, settings: Settings, paused: Collection[str]) -> bool:
        """Set Dagster's pools to the pauses. Return False if the storage is unavailable."""
        try:
            follow_pauses(self._opened(), settings, paused)
        except Exception as error:
            logger.warning("pools left to the sensor: %s", type(error).__name__)
            return False
        return True

    def close(self) -> None:
        """Close the instance and its connections."""
        with self._lock:
            if self._instance is not None:
                self._instance.dispose()
                self._instance = None

    def _opened(self) -> dg.DagsterInstance:
        with self._lock:
            if self._instance is None:
                self._instance = dg.DagsterInstance.get()
            return self._instance
