"""Jobs of any number of callers, done in groups by one thread a worker."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from resources.transcribe.window_job import Job

_IDLE_S = 60.0
"""A worker without work ends after this: a model that is not used is given back."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shape:
    """How a device is kept busy.

    Attributes:
        workers: groups that are decoded side by side.
        decode_batch: jobs in a group, at most.
        encode_batch: windows that the encoder takes at once.
        wait_s: for company, at most.
    """

    workers: int
    decode_batch: int
    encode_batch: int
    wait_s: float = 0.5


@dataclass(frozen=True)
class _Waiting:
    """A job, its key, and since when it waits on the monotonic clock."""

    since_s: float
    key: tuple[Any, ...]
    job: Job


class Callers:
    """Which threads may still hand in jobs at once: groups wait for them a little.

    Attributes:
        change: told when one has handed in all it has, and when jobs come.
    """

    def __init__(self) -> None:
        self.change = threading.Condition()
        self._bringing: set[int] = set()

    def enter(self) -> None:
        """This thread is preparing jobs."""
        with self.change:
            self._bringing.add(threading.get_ident())

    def leave(self) -> None:
        """This thread has handed in what it has; may be said twice."""
        with self.change:
            self._bringing.discard(threading.get_ident())
            self.change.notify_all()

    def __bool__(self) -> bool:
        return bool(self._bringing)


CALLERS = Callers()
"""Of this process."""


class BatchQueue:
    """Groups jobs that fit together, those of nearly one length first.

    A worker that is free waits for a full group, but never once every caller has handed in all it
    has, and never longer than the shape says.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[Job]], None],
        key: Callable[[Job], tuple[Any, ...]],
        shape: Shape,
    ) -> None:
        """Of a model. Workers start with the first job and end when none came for a while.

        Args:
            decode: one try of each job of a group.
            key: of jobs that fit together.
        """
        self._decode, self._key, self._shape = decode, key, shape
        self._batch = shape.decode_batch
        self._waiting: list[_Waiting] = []
        self._workers = 0

    def put(self, jobs: Sequence[Job]) -> None:
        """Hands in jobs; each comes back through its `finished`."""
        now = time.monotonic()
        new = [_Waiting(now, self._key(job), job) for job in jobs]
        with CALLERS.change:
            self._waiting += new
            while new and self._workers < self._shape.workers:
                self._workers += 1
                threading.Thread(target=self._work, name="whisper", daemon=True).start()
            CALLERS.change.notify_all()

    def _work(self) -> None:
        while group := self._next_group():
            try:
                self._decode(group)
                self.put([job for job in group if not job.is_finished])
            except BaseException as error:  # the callers raise it
                left = [job for job in group if not job.is_finished]
                if self._halve(error, group):
                    self.put(left)
                    continue
                for job in left:
                    job.finish(error)

    def _halve(self, error: BaseException, group: Sequence[Job]) -> bool:
        """Whether a smaller group may do: the memory of the device is what lacks."""
        if "out of memory" not in str(error).lower() or len(group) == 1:
            return False
        self._batch = max(1, len(group) // 2)
        logger.warning("the device has no memory for %d windows: %d now", len(group), self._batch)
        return True

    def _next_group(self) -> list[Job]:
        """What to do now; nothing when the worker is to end."""
        idle_since_s = time.monotonic()
        with CALLERS.change:
            while True:
                self._waiting = [each for each in self._waiting if not each.job.is_canceled]
                left_s = self._patience_s(idle_since_s)
                if left_s <= 0:
                    break
                CALLERS.change.wait(left_s)
            if not self._waiting:
                self._workers -= 1
                return []
            return self._take()

    def _patience_s(self, idle_since_s: float) -> float:
        """How long a worker still waits for company, or for anything at all."""
        if not self._waiting:
            return idle_since_s + _IDLE_S - time.monotonic()
        if not CALLERS or len(self._waiting) >= self._batch * self._shape.workers:
            return 0.0
        return self._waiting[0].since_s + self._shape.wait_s - time.monotonic()

    def _take(self) -> list[Job]:
        """The job that waits longest, and those that fit it best."""
        first = self._waiting[0]
        fitting = sorted(
            (each.job for each in self._waiting if each.key == first.key),
            key=lambda job: job.next_frames,
        )
        rounds = ceil(len(self._waiting) / (self._batch * self._shape.workers))
        size = ceil(len(self._waiting) / (rounds * self._shape.workers))
        group = _nearest(fitting, fitting.index(first.job), size)
        taken = set(map(id, group))
        self._waiting = [each for each in self._waiting if id(each.job) not in taken]
        return group


def _nearest(jobs: Sequence[Job], at: int, size: int) -> list[Job]:
    """Up to `size` jobs with this one among them, that differ least in length.

    Args:
        jobs: by length.
    """
    size = min(size, len(jobs))
    starts = range(max(0, at - size + 1), min(at, len(jobs) - size) + 1)
    groups = (jobs[start : start + size] for start in starts)
    return list(min(groups, key=lambda group: group[-1].next_frames - group[0].next_frames))
