"""Partitions are added to Dagster outside of requests."""

import threading
import time
from collections.abc import Sequence

import pytest

from api.transcriptions.partition_queue import PartitionQueue
from tests.support.patience import patience


class Hanging:
    """An orchestrator whose storage does not answer until it is released."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        self.release = threading.Event()

    def add_partitions(self, keys: Sequence[str]) -> bool:
        """Wait, then add."""
        self.release.wait(10)
        self.seen.append(list(keys))
        return True


def test_a_hanging_storage_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adding never waits; the sensor adds what does not fit, and closing gives up in time."""
    monkeypatch.setattr("api.transcriptions.partition_queue.MAX_QUEUED", 3)
    orchestrator = Hanging()
    partitions = PartitionQueue(orchestrator)
    partitions.start()
    before = time.monotonic()

    for number in range(50):
        partitions.add(f"key-{number}")
    partitions.close(timeout_s=0.1)

    assert time.monotonic() - before < 2 * patience()
    orchestrator.release.set()


def test_keys_are_added_together_in_order_and_before_the_end() -> None:
    """Closing waits for queued keys; Dagster is called once, and for each key once."""
    orchestrator = Hanging()
    orchestrator.release.set()
    partitions = PartitionQueue(orchestrator)
    partitions.start()
    for key in "abca":
        partitions.add(key)
    partitions.close()

    assert orchestrator.seen == [["a", "b", "c"]]
