"""Collects the window jobs of all callers and decodes them in groups, one thread per worker."""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from resources.transcribe.window_job import WindowJob

_IDLE_S = 60.0
"""A worker thread without work ends after this: an unused model can be unloaded."""

_EXIT_S = 20.0
"""At the end of the process, worker threads have this long to return from native code."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchShape:
    """How many windows are decoded together on a device.

    Attributes:
        workers: groups decoded in parallel.
        decode_batch: most jobs in a group.
        encode_batch: windows that the encoder takes at once.
        wait_s: longest wait of a job for others to share its group.
    """

    workers: int
    decode_batch: int
    encode_batch: int
    wait_s: float = 0.5


@dataclass(frozen=True)
class _WaitingJob:
    """A job, its key, and since when it waits on the monotonic clock."""

    since_s: float
    key: tuple[Any, ...]
    job: WindowJob


class Callers:
    """The threads that are preparing jobs: groups wait for them for a short time.

    Attributes:
        change: notified when a thread has queued all its jobs, and when jobs are queued.
    """

    def __init__(self) -> None:
        self.change = threading.Condition()
        self._preparing: set[int] = set()

    def enter(self) -> None:
        """Register this thread as preparing jobs."""
        with self.change:
            self._preparing.add(threading.get_ident())

    def leave(self) -> None:
        """Unregister this thread: it has queued its jobs. May be called twice."""
        with self.change:
            self._preparing.discard(threading.get_ident())
            self.change.notify_all()

    def __bool__(self) -> bool:
        return bool(self._preparing)


CALLERS = Callers()
"""Those of this process."""

_WORKERS: set[threading.Thread] = set()
"""The worker threads of all queues."""

_ENDING = threading.Event()


@atexit.register
def _end_workers() -> None:
    """Wait until no worker thread is in native code.

    Python ends the threads that are left by unwinding their stacks. CTranslate2's C++ does not
    permit that, and the process would end by SIGABRT instead of its exit status.
    """
    _ENDING.set()
    with CALLERS.change:
        CALLERS.change.notify_all()
    deadline = time.monotonic() + _EXIT_S
    for worker in list(_WORKERS):
        worker.join(max(0.0, deadline - time.monotonic()))


class BatchQueue:
    """Groups jobs with equal keys, those of similar length first.

    A free worker waits for a full group, but not once every caller has queued all its jobs, and
    never longer than the shape says.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[WindowJob]], None],
        key: Callable[[WindowJob], tuple[Any, ...]],
        shape: BatchShape,
    ) -> None:
        """Create the queue of one model. Worker threads start with the first job and end when idle.

        Args:
            decode: makes one try of each job of a group.
            key: equal for jobs that can be decoded together.
        """
        self._decode, self._key, self._shape = decode, key, shape
        self._batch = shape.decode_batch
        self._waiting: list[_WaitingJob] = []
        self._workers = 0

    def put(self, jobs: Sequence[WindowJob]) -> None:
        """Queue jobs; each comes back through its `finished` queue."""
        now = time.monotonic()
        new = [_WaitingJob(now, self._key(job), job) for job in jobs]
        with CALLERS.change:
            self._waiting += new
            while new and self._workers < self._shape.workers:
                self._workers += 1
                worker = threading.Thread(target=self._run, name="whisper", daemon=True)
                _WORKERS.add(worker)
                worker.start()
            CALLERS.change.notify_all()

    def _run(self) -> None:
        try:
            self._work()
        finally:
            _WORKERS.discard(threading.current_thread())

    def _work(self) -> None:
        while group := self._next_group():
            try:
                self._decode(group)
                self.put([job for job in group if not job.is_finished])
            except BaseException as error:  # the callers raise it
                unfinished = [job for job in group if not job.is_finished]
                if self._halve_batch(error, group):
                    self.put(unfinished)
                    continue
                for job in unfinished:
                    job.finish(error)

    def _halve_batch(self, error: BaseException, group: Sequence[WindowJob]) -> bool:
        """Halve the group size if the device ran out of memory; return whether it was halved."""
        if "out of memory" not in str(error).lower() or len(group) == 1:
            return False
        self._batch = max(1, len(group) // 2)
        logger.warning(
            "the device is out of memory with %d windows at once: %d from now on",
            len(group),
            self._batch,
        )
        return True

    def _next_group(self) -> list[WindowJob]:
        """Wait for the next group; return an empty one when the worker is to end."""
        idle_since_s = time.monotonic()
        with CALLERS.change:
            while True:
                if _ENDING.is_set():
                    return []
                self._waiting = [each for each in self._waiting if not each.job.is_canceled]
                remaining_s = self._remaining_wait_s(idle_since_s)
                if remaining_s <= 0:
                    break
                CALLERS.change.wait(remaining_s)
            if not self._waiting:
                self._workers -= 1
                return []
            return self._take_group()

    def _remaining_wait_s(self, idle_since_s: float) -> float:
        """Return how long a worker still waits for more jobs, or for the first one."""
        if not self._waiting:
            return idle_since_s + _IDLE_S - time.monotonic()
        if not CALLERS or len(self._waiting) >= self._batch * self._shape.workers:
            return 0.0
        return self._waiting[0].since_s + self._shape.wait_s - time.monotonic()

    def _take_group(self) -> list[WindowJob]:
        """Remove and return the job that waits longest and those most similar in length."""
        first = self._waiting[0]
        fitting = sorted(
            (each.job for each in self._waiting if each.key == first.key),
            key=lambda job: job.next_frames,
        )
        rounds = ceil(len(self._waiting) / (self._batch * self._shape.workers))
        size = ceil(len(self._waiting) / (rounds * self._shape.workers))
        group = _most_similar(fitting, fitting.index(first.job), size)
        removed = set(map(id, group))
        self._waiting = [each for each in self._waiting if id(each.job) not in removed]
        return group


def _most_similar(jobs: Sequence[WindowJob], at: int, size: int) -> list[WindowJob]:
    """Return up to `size` jobs, `jobs[at]` among them, that differ least in length.

    Args:
        jobs: sorted by length.
    """
    size = min(size, len(jobs))
    starts = range(max(0, at - size + 1), min(at, len(jobs) - size) + 1)
    groups = (jobs[start : start + size] for start in starts)
    return list(min(groups, key=lambda group: group[-1].next_frames - group[0].next_frames))
