"""Waiting for transcriptions to change: one LISTEN connection a process, any number of waiters."""

import asyncio
import logging
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager, suppress
from types import FrameType
from typing import TypeVar

import anyio
import anyio.to_thread
from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from resources.postgres.connection import Postgres
from resources.postgres.notify import PROGRESS_CHANNEL
from resources.transcriptions.listing import TranscriptionDetail
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import RateLimited, YtcaptionError

logger = logging.getLogger(__name__)

MAX_WAIT_S = 60
"""The longest long poll."""

POLL_S = 5.0
"""Between two polls while notifications arrive: NOTIFY is a hint, not a guarantee."""

DISCONNECTED_POLL_S = 1.0
"""Between two polls while the LISTEN connection is down."""

RECONNECT_S = 1.0
BUSY_RETRY_S = 5.0
MAX_QUERIES = 8
"""Queries at the same time: a connection pool has ten connections."""

T = TypeVar("T")


class Changes:
    """The changes of one transcription from now on."""

    def __init__(self, watcher: "Watcher") -> None:
        self._watcher = watcher
        self._changed = asyncio.Event()

    async def next(self, timeout_s: float) -> bool:
        """Wait for a change.

        Returns:
            True: something may have changed, so read again. False: the time is up, or the server
            is stopping. A change between two calls is reported by the second one.
        """
        watcher = self._watcher
        if watcher.closing:
            return False
        wait_s = min(timeout_s, POLL_S if watcher.listening else DISCONNECTED_POLL_S)
        try:
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
        except TimeoutError:
            return wait_s < timeout_s
        self._changed.clear()
        return not watcher.closing

    def notify(self) -> None:
        """Wake the waiter in `next`, or let its following call return at once."""
        self._changed.set()


class Watcher:
    """Passes each NOTIFY of progress to those who wait for that transcription. A waiter occupies no
    thread and no connection, only an event of the loop that started the watcher.

    Attributes:
        listening: notifications arrive; otherwise waiters poll about once a second.
        closing: the server is stopping, so waiting ends.
    """

    def __init__(self, postgres: Postgres, streams_per_caller: int) -> None:
        self.listening = False
        self.closing = False
        self._postgres = postgres
        self._streams_per_caller = streams_per_caller
        self._waiting: dict[str, set[Changes]] = {}
        self._open_streams: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._unhook = ExitStack()
        self._query_limiter = anyio.CapacityLimiter(MAX_QUERIES)

    def start(self) -> None:
        """Start to listen, and end all waiting as soon as the process gets a signal to stop."""
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._listen(), name="watcher")
        if threading.current_thread() is threading.main_thread():
            self._hook_signals(loop)

    def stop_waiting(self) -> None:
        """End all waiting, now and in future."""
        self.closing = True
        self._notify_all()

    async def close(self) -> None:
        """End all waiting and release the connection."""
        self.stop_waiting()
        self._unhook.close()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @asynccontextmanager
    async def changes(self, id: str) -> AsyncIterator[Changes]:
        """Yield the changes of a transcription. Read its row inside, so that none is missed."""
        changes = Changes(self)
        waiting = self._waiting.setdefault(id, set())
        waiting.add(changes)
        try:
            yield changes
        finally:
            waiting.discard(changes)
            if not waiting and self._waiting.get(id) is waiting:
                del self._waiting[id]

    @contextmanager
    def stream_slot(self, caller: Caller) -> Iterator[None]:
        """Occupy one of the streams, long polls and uploads that a caller may have open in this
        process.

        Raises:
            RateLimited: all of them are open.
        """
        if self._open_streams[caller.owner] >= self._streams_per_caller:
            raise RateLimited(
                f"{self._streams_per_caller} event streams, long polls and uploads are open "
                "already. Close one, or wait until one has ended.",
                BUSY_RETRY_S,
            )
        self._open_streams[caller.owner] += 1
        try:
            yield
        finally:
            self._open_streams[caller.owner] -= 1
            if not self._open_streams[caller.owner]:
                del self._open_streams[caller.owner]

    async def query(self, function: Callable[[], T]) -> T:
        """Return the result of a function that queries the database. All waiters share a few
        threads: if the database hangs, other requests still find free ones."""
        return await anyio.to_thread.run_sync(function, limiter=self._query_limiter)

    async def _listen(self) -> None:
        while True:
            try:
                async with aclosing(self._postgres.notifications(PROGRESS_CHANNEL)) as ids:
                    async for id in ids:
                        if id is None:  # connected: waiters read what they may have missed
                            self.listening = True
                            self._notify_all()
                        for changes in self._waiting.get(id or "", ()):
                            changes.notify()
            except YtcaptionError as error:
                if self.listening:
                    logger.warning("notifications stopped, polling instead: %s", error)
            except Exception:
                logger.exception("notifications stopped, polling instead")
            self.listening = False
            self._notify_all()
            await asyncio.sleep(RECONNECT_S)

    def _notify_all(self) -> None:
        for waiting in self._waiting.values():
            for changes in waiting:
                changes.notify()

    def _hook_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """End all waiting before the server handles a signal to stop: it waits for open responses
        before it shuts the app down, so responses that wait for the app would never end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            previous = signal.getsignal(number)
            if not callable(previous):
                continue

            def handle(number: int, frame: FrameType | None, previous=previous) -> None:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(self.stop_waiting)
                previous(number, frame)

            signal.signal(number, handle)
            self._unhook.callback(signal.signal, number, previous)


async def wait_until_final(
    request: Request,
    watcher: Watcher,
    caller: Caller,
    read: Callable[[], TranscriptionDetail],
    wait_s: float,
) -> TranscriptionDetail:
    """Return a transcription once it has ended, or as it is after `wait_s`.

    Args:
        read: queries the transcription.

    Raises:
        RateLimited: the caller has too many streams, long polls and uploads open.
        and as `read`.
    """
    detail = await run_in_threadpool(read)
    if not wait_s or detail.transcription.status.is_final:
        return detail
    deadline = time.monotonic() + wait_s
    with watcher.stream_slot(caller):
        async with watcher.changes(detail.transcription.id) as changes:
            while True:
                detail = await watcher.query(read)
                if detail.transcription.status.is_final:
                    return detail
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not await changes.next(left_s) or await request.is_disconnected():
                    return detail
