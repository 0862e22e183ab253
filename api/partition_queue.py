"""Partitions on their way to Dagster, added beside the requests and never inside one."""

import logging
import queue
import threading
from typing import Protocol

logger = logging.getLogger(__name__)

MAX_WAITING = 1_000


class AddsPartitions(Protocol):
    """What `resources.orchestrator.Orchestrator` is to this queue."""

    def add_partition(self, key: str) -> bool:
        """Whether Dagster knows the partition now."""
        ...


class PartitionQueue:
    """Hands keys to Dagster one by one on a thread of its own.

    Where Dagster's storage hangs, one thread hangs with it and no request does (rule 15). What does
    not fit or is lost with the process is added by the sensor, which reads the rows.
    """

    def __init__(self, orchestrator: AddsPartitions) -> None:
        self._orchestrator = orchestrator
        self._keys: queue.Queue[str | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._work, name="partition-queue", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def add(self, key: str) -> None:
        """Takes a key on; never waits and never raises."""
        try:
            self._keys.put_nowait(key)
        except queue.Full:
            logger.warning("partition %s left to the sensor: %d wait", key, MAX_WAITING)

    def close(self, timeout_s: float = 2.0) -> None:
        """Ends after what is queued, or after `timeout_s` where Dagster's storage hangs."""
        try:
            self._keys.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while (key := self._keys.get()) is not None:
            self._orchestrator.add_partition(key)
