"""Clients that run one search after the other, with the time of each."""

import contextlib
import itertools
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from ytcaption.domain.errors import SearchTooBroad

MIN_SEARCHES = 20
"""Minimum searches per measurement; the first of each client does not count."""

MAX_S = 60.0


@dataclass(frozen=True)
class Timing:
    """Times over all clients.

    Attributes:
        cpu_ms: of all processors per search, in the client and in Postgres.
    """

    p50_ms: float
    p95_ms: float
    rate: float
    cpu_ms: float


def timed(
    search: Callable[[str], object], queries: Sequence[str], clients: int, seconds: float
) -> Timing:
    """Run searches by several clients at once, each a thread without pauses."""
    times_s: list[float] = []
    lock = threading.Lock()

    def client(number: int) -> None:
        own_queries = itertools.islice(itertools.cycle(queries), number * 7, None)
        with contextlib.suppress(SearchTooBroad):
            search(next(own_queries))
        began = time.perf_counter()
        for text in own_queries:
            started = time.perf_counter()
            with contextlib.suppress(SearchTooBroad):  # its time counts, too
                search(text)
            ended = time.perf_counter()
            with lock:
                times_s.append(ended - started)
                is_enough = len(times_s) >= MIN_SEARCHES * min(clients, 4)
            if (is_enough and ended - began > seconds) or ended - began > MAX_S:
                return

    cpu_began = _cpu_s()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_s = time.perf_counter() - began
    quantiles = statistics.quantiles(times_s, n=20)
    return Timing(
        statistics.median(times_s) * 1e3,
        quantiles[18] * 1e3,
        len(times_s) / wall_s,
        sum(s - cpu_began.get(pid, 0.0) for pid, s in _cpu_s().items())
        / (len(times_s) + clients)
        * 1e3,
    )


def _cpu_s() -> dict[int, float]:
    """Return CPU seconds of this process and of its Postgres server's processes."""
    times = {os.getpid(): psutil.Process().cpu_times()}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "postgres" and _is_ours(process):
                times[process.pid] = process.cpu_times()
    return {pid: time.user + time.system for pid, time in times.items()}


def _is_ours(process: psutil.Process) -> bool:
    return "ytc-search-" in " ".join((process.parent() or process).cmdline() + process.cmdline())
