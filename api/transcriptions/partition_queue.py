"""Partitions on their way to Dagster, added beside the requests and never inside one."""

import logging
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

logger = logging.getLogger(__name__)

MAX_WAITING = 10_000

GATHER_S = 0.25
"""For which the first of several waits for the others: a partition alone takes Dagster 8 ms of the
processor, a hundred at once hardly more."""


class AddsPartitions(Protocol):
    """What `resources.orchestration.orchestrator.Orchestrator` is to this queue."""

    def add_partitions(self, keys: Sequence[str]) -> bool:
        """Whether Dagster knows the partitions now."""
        ...


class PartitionQueue:
    """Hands keys to Dagster, those of a moment together, on a thread of its own.

    Where Dagster's storage hangs, one thread hangs with it and no request does (rule 15). What does
    not fit or is lost with the process is added by the sensor, which reads the rows.
    """

    def __init__(self, orchestrator: AddsPartitions) -> None:
        self._orchestrator = orchestrator
        self._keys: queue.Queue[str] = queue.Queue(MAX_WAITING)
        self._closing = threading.Event()
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
        self._closing.set()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while not self._closing.wait(GATHER_S):
            self._hand_over()
        self._hand_over()

    def _hand_over(self) -> None:
        keys: dict[str, None] = {}
        with suppress(queue.Empty):
            while True:
                keys[self._keys.get_nowait()] = None
        if keys:
            self._orchestrator.add_partitions(list(keys))
