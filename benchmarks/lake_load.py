"""Clients that repeat one query of the lake, with its times."""

import os
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ytcaption.domain.errors import QueryError

MIN_RESULTS = 3
"""Minimum results per client; one result before them does not count."""


@dataclass(frozen=True)
class Timing:
    """Times over all clients.

    Attributes:
        cpu_ms: of all processors per result, in this process and its children.
        refused: why there was no result.
    """

    p50_ms: float = 0.0
    p95_ms: float = 0.0
    cpu_ms: float = 0.0
    refused: str | None = None


def timed(query: Callable[[], object], clients: int, seconds: float) -> Timing:
    """Run a query by several clients at once, each a thread without pauses."""
    times_s: list[float] = []
    refused: list[str] = []

    def client() -> None:
        try:
            began, results = time.perf_counter(), 0
            while results < MIN_RESULTS or time.perf_counter() - began < seconds:
                started = time.perf_counter()
                query()
                times_s.append(time.perf_counter() - started)
                results += 1
        except QueryError as error:
            refused.append(error.message)

    with suppress(QueryError):
        query()
    cpu_s = _cpu_s()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refused:
        return Timing(refused=refused[0])
    return Timing(
        statistics.median(times_s) * 1e3,
        statistics.quantiles(times_s, n=20, method="inclusive")[18] * 1e3,
        (_cpu_s() - cpu_s) / len(times_s) * 1e3,
    )


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
