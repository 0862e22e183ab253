"""CPU time of processes by Linux' own clock for each, and of runs while they come and go."""

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
"""What Dagster starts beside a run, to show in the terminal what it has written."""


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has taken with all its threads, without its children.

    Raises:
        OSError: there is no such process.
    """
    return time.clock_gettime((~pid << 3) | 2)  # CPUCLOCK_SCHED of a process, as glibc makes it


def with_children_s(pid: int) -> float:
    """The same, and what its children that have ended have taken.

    Raises:
        OSError: there is no such process.
    """
    stat = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return cpu_s(pid) + (int(stat[13]) + int(stat[14])) / _TICKS


def below_s(pid: int) -> float:
    """Seconds of CPU of all that a process has started, whether it has ended or not.

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
    """Seconds of CPU of an installation's embedded server with all its processes."""
    pid_file = home / "postgres" / "data" / "postmaster.pid"
    pid = int(pid_file.read_text().split()[0])
    return cpu_s(pid) + below_s(pid)


@dataclass
class Curve:
    """What a process has taken, by time.

    Attributes:
        at_s: seconds since 1970.
        taken_s: CPU until then.
    """

    at_s: list[float] = field(default_factory=lambda: [0.0])
    taken_s: list[float] = field(default_factory=lambda: [0.0])

    @property
    def total_s(self) -> float:
        """All of it, but for the last 5 ms."""
        return self.taken_s[-1]

    def between_s(self, start_s: float, end_s: float) -> float:
        """CPU seconds between two times."""
        return self._until(end_s) - self._until(start_s)

    def _until(self, moment_s: float) -> float:
        right = bisect_left(self.at_s, moment_s)
        if right == len(self.at_s):
            return self.taken_s[-1]
        if right == 0:
            return 0.0
        before, after = self.at_s[right - 1], self.at_s[right]
        share = (moment_s - before) / (after - before)
        return self.taken_s[right - 1] + share * (self.taken_s[right] - self.taken_s[right - 1])


class ChildCurves:
    """Samples the children that some processes start, and Dagster's helpers below these."""

    def __init__(
        self,
        parents: list[int],
        sample_s: float = SAMPLE_S,
        taken_s: Callable[[int], float] = cpu_s,
    ) -> None:
        self._parents = parents
        self._sample_s, self._taken_s = sample_s, taken_s
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
                    self._look(pid)

    def _look(self, pid: int) -> None:
        with suppress(OSError):
            taken_s = self._taken_s(pid)
            curve = self.curves.setdefault(pid, Curve())
            curve.at_s.append(time.time())
            curve.taken_s.append(taken_s)
        for helper in _children(pid):
            with suppress(OSError):
                command = Path(f"/proc/{helper}/cmdline").read_text().split("\0")
                if any(Path(part).name in HELPERS for part in command):
                    self.helpers_s.setdefault(pid, {})[helper] = cpu_s(helper)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _sum_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:  # it has ended, and counts as its parent's
        return 0.0
    return times.user + times.system + times.children_user + times.children_system
