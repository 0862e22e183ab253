"""Clients that ask one search after the other, and how long each took."""

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

LEAST = 20
"""Searches of one measurement, however long they take; the first of each client does not count."""

LONGEST_S = 60.0


@dataclass(frozen=True)
class Took:
    """Of all clients together.

    Attributes:
        cpu_ms: of all processors for one search, at the client and in Postgres.
    """

    p50_ms: float
    p95_ms: float
    rate: float
    cpu_ms: float


def timed(ask: Callable[[str], object], asked: Sequence[str], clients: int, seconds: float) -> Took:
    """So many clients at the same time, each in a thread, without a pause."""
    took: list[float] = []
    lock = threading.Lock()

    def client(number: int) -> None:
        turns = itertools.islice(itertools.cycle(asked), number * 7, None)
        with contextlib.suppress(SearchTooBroad):
            ask(next(turns))
        began = time.perf_counter()
        for text in turns:
            sent = time.perf_counter()
            with contextlib.suppress(SearchTooBroad):  # which has taken its time
                ask(text)
            ended = time.perf_counter()
            with lock:
                took.append(ended - sent)
                is_enough = len(took) >= LEAST * min(clients, 4)
            if (is_enough and ended - began > seconds) or ended - began > LONGEST_S:
                return

    cpu_began = _cpu_s()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_s = time.perf_counter() - began
    quantiles = statistics.quantiles(took, n=20)
    return Took(
        statistics.median(took) * 1e3,
        quantiles[18] * 1e3,
        len(took) / wall_s,
        sum(s - cpu_began.get(pid, 0.0) for pid, s in _cpu_s().items())
        / (len(took) + clients)
        * 1e3,
    )


def _cpu_s() -> dict[int, float]:
    """By process: of this one, and of the Postgres server that it has started with its backends."""
    times = {os.getpid(): psutil.Process().cpu_times()}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "postgres" and _is_ours(process):
                times[process.pid] = process.cpu_times()
    return {pid: time.user + time.system for pid, time in times.items()}


def _is_ours(process: psutil.Process) -> bool:
    return "ytc-search-" in " ".join((process.parent() or process).cmdline() + process.cmdline())
