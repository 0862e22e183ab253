"""CPU time of processes by Linux's per-process clock, and of short-lived runs."""

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

SAMPLE_S = 0.005
_TICKS = os.sysconf("SC_CLK_TCK")
HELPERS = ("watch_orphans.py", "tail")
"""Processes that Dagster starts beside a run, to show its output in the terminal."""


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process with all its threads, without its children.

    Raises:
        OSError: there is no such process.
    """
    return time.clock_gettime((~pid << 3) | 2)  # CPUCLOCK_SCHED of a process, as glibc makes it


def with_children_s(pid: int) -> float:
    """Return the CPU seconds of a process and of its children that have ended.

    Raises:
        OSError: there is no such process.
    """
    stat = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return cpu_s(pid) + (int(stat[13]) + int(stat[14])) / _TICKS


def below_s(pid: int) -> float:
    """Return the CPU seconds of all descendants of a process, running or ended.

    Raises:
        psutil.Error: there is no such process.
    """
    process = psutil.Process(pid)
    times = process.cpu_times()
    return (
        times.children_user
        + times.children_system
        + sum(map(_sum_s, process.children(recursive=True)))
    )


def postgres_s(home: Path) -> float:
    """Return the CPU seconds of an installation's embedded Postgres with all its processes."""
    pid_file = home / "postgres" / "data" / "postmaster.pid"
    pid = int(pid_file.read_text().split()[0])
    return cpu_s(pid) + below_s(pid)


@dataclass
class Curve:
    """The CPU time of a process over time.

    Attributes:
        at_s: seconds since 1970.
        cpu_s: CPU seconds until then.
    """

    at_s: list[float] = field(default_factory=lambda: [0.0])
    cpu_s: list[float] = field(default_factory=lambda: [0.0])

    @property
    def total_s(self) -> float:
        """All CPU seconds, except the last 5 ms."""
        return self.cpu_s[-1]

    def between_s(self, start_s: float, end_s: float) -> float:
        """Return the CPU seconds between two times."""
        return self._until(end_s) - self._until(start_s)

    def _until(self, time_s: float) -> float:
        right = bisect_left(self.at_s, time_s)
        if right == len(self.at_s):
            return self.cpu_s[-1]
        if right == 0:
            return 0.0
        before, after = self.at_s[right - 1], self.at_s[right]
        share = (time_s - before) / (after - before)
        return self.cpu_s[right - 1] + share * (self.cpu_s[right] - self.cpu_s[right - 1])


class ChildCurves:
    """Samples the children of some processes, and Dagster's helpers below them."""

    def __init__(
        self,
        parents: list[int],
        sample_s: float = SAMPLE_S,
        clock: Callable[[int], float] = cpu_s,
    ) -> None:
        self._parents = parents
        self._sample_s, self._clock = sample_s, clock
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="cpu", daemon=True)
        self.curves: dict[int, Curve] = {}
        self.helpers_s: dict[int, dict[int, float]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(self._sample_s):
            for parent in self._parents:
                for pid in _children(parent):
                    self._sample_process(pid)

    def _sample_process(self, pid: int) -> None:
        with suppress(OSError):
            seconds = self._clock(pid)
            curve = self.curves.setdefault(pid, Curve())
            curve.at_s.append(time.time())
            curve.cpu_s.append(seconds)
        for helper in _children(pid):
            with suppress(OSError):
                command = Path(f"/proc/{helper}/cmdline").read_text().split("\0")
                if any(Path(part).name in HELPERS for part in command):
                    self.helpers_s.setdefault(pid, {})[helper] = cpu_s(helper)


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (task / "children").read_text().split())
    return children


def _sum_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:  # it has ended, and is counted with its parent
        return 0.0
    return times.user + times.system + times.children_user + times.children_system
