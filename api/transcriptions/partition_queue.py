"""A queue of partitions for Dagster, emptied outside of the requests that fill it."""

import logging
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

logger = logging.getLogger(__name__)

MAX_QUEUED = 10_000

GATHER_S = 0.25
"""Keys are collected this long: one partition takes Dagster 8 ms of processor time, and a hundred
at once hardly more."""


class PartitionTarget(Protocol):
    """What this queue needs of `resources.orchestration.orchestrator.Orchestrator`."""

    def add_partitions(self, keys: Sequence[str]) -> bool:
        """Return whether Dagster has the partitions now."""
        ...


class PartitionQueue:
    """Adds keys to Dagster on a thread of its own, those of a short time together.

    If Dagster's storage hangs, this thread hangs with it and no request does. Keys that do not fit
    or are lost with the process are added by the sensor, which reads the rows.
    """

    def __init__(self, orchestrator: PartitionTarget) -> None:
        self._orchestrator = orchestrator
        self._keys: queue.Queue[str] = queue.Queue(MAX_QUEUED)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="partition-queue", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, key: str) -> None:
        """Enqueue a key; never waits and never raises."""
        try:
            self._keys.put_nowait(key)
        except queue.Full:
            logger.warning("partition %s is left to the sensor: %d are queued", key, MAX_QUEUED)

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop when the queue is empty, or after `timeout_s` if Dagster's storage hangs."""
        self._closing.set()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while not self._closing.wait(GATHER_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        keys: dict[str, None] = {}
        with suppress(queue.Empty):
            while True:
                keys[self._keys.get_nowait()] = None
        if keys:
            self._orchestrator.add_partitions(list(keys))
