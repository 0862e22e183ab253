"""Clients that ask the lake one question again and again, and how long it took."""

import os
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ytcaption.domain.errors import QueryError

LEAST = 3
"""Answers of one client, however long they take; one before them does not count."""


@dataclass(frozen=True)
class Took:
    """Of all clients together.

    Attributes:
        cpu_ms: of all processors for one answer, in this process and those it has started.
        refused: why there was no answer.
    """

    p50_ms: float = 0.0
    p95_ms: float = 0.0
    cpu_ms: float = 0.0
    refused: str | None = None


def timed(ask: Callable[[], object], clients: int, seconds: float) -> Took:
    """So many clients at the same time, each in a thread, without a pause."""
    took: list[float] = []
    refused: list[str] = []

    def client() -> None:
        try:
            began, answers = time.perf_counter(), 0
            while answers < LEAST or time.perf_counter() - began < seconds:
                sent = time.perf_counter()
                ask()
                took.append(time.perf_counter() - sent)
                answers += 1
        except QueryError as error:
            refused.append(error.message)

    with suppress(QueryError):
        ask()
    cpu_s = _cpu_s()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refused:
        return Took(refused=refused[0])
    return Took(
        statistics.median(took) * 1e3,
        statistics.quantiles(took, n=20, method="inclusive")[18] * 1e3,
        (_cpu_s() - cpu_s) / len(took) * 1e3,
    )


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
