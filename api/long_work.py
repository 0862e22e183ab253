"""Threads for work that takes long, so that it leaves those which all other routes share free.

Each kind of work has threads of its own, and one caller occupies only some of them: the others'
work does not wait behind all of a caller's. What finds no thread waits in the event loop, without a
thread or a connection to the database.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread

from ytcaption.domain.caller import Caller

T = TypeVar("T")


class SlotsByKey:
    """A number of slots for each key, which are taken in the order of arrival."""

    def __init__(self, per_key: int) -> None:
        self._per_key = per_key
        self._slots: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, key: str) -> asyncio.Semaphore:
        """Return the slots of a key; they exist while somebody uses them."""
        return self._slots.setdefault(key, asyncio.Semaphore(self._per_key))


class WorkThreads:
    """The threads of one kind of work in this process."""

    def __init__(self, total: int, per_caller: int) -> None:
        self._limiter = anyio.CapacityLimiter(total)
        self._callers = SlotsByKey(per_caller)

    async def run(self, caller: Caller, work: Callable[[], T]) -> T:
        """Return the result of a function, once a thread is free for this caller."""
        async with self._callers.of(caller.owner):
            return await anyio.to_thread.run_sync(work, limiter=self._limiter)


class LongWork:
    """The kinds of long work.

    Attributes:
        results: captions and transcripts are read and rendered.
        dry_runs: sources of channels are listed.
        erasures: each occupies up to four connections outside the pool.
        searches: of the library.
        bulk: changes to many transcriptions.
    """

    def __init__(self) -> None:
        self.results = WorkThreads(total=16, per_caller=4)
        self.dry_runs = WorkThreads(total=8, per_caller=3)
        self.erasures = WorkThreads(total=4, per_caller=2)
        self.searches = WorkThreads(total=8, per_caller=4)
        self.bulk = WorkThreads(total=4, per_caller=2)
