"""Waiting for a transcription to change: one LISTEN connection a process, any number of waiters."""

import asyncio
import logging
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager, suppress
from types import FrameType
from typing import TypeVar

import anyio
import anyio.to_thread

from resources.postgres.connection import Postgres
from resources.postgres.notify import PROGRESS_CHANNEL
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import RateLimited, YtcaptionError

logger = logging.getLogger(__name__)

POLL_S = 5.0
"""A look of one's own while the database tells of changes: NOTIFY is a hint (rule 31)."""

AWAY_POLL_S = 1.0
"""The same while it does not."""

RECONNECT_S = 1.0
BUSY_RETRY_S = 5.0
LOOKS = 8
"""Looks at the same time: a pool has ten connections."""

T = TypeVar("T")


class Changes:
    """What happens to one transcription from the moment on that this was made."""

    def __init__(self, watcher: "Watcher") -> None:
        self._watcher = watcher
        self._told = asyncio.Event()

    async def next(self, timeout_s: float) -> bool:
        """True: something may have changed, look again. False: the time is up, or the server stops.

        A change between two calls is told by the second one.
        """
        watcher = self._watcher
        if watcher.closing:
            return False
        wait_s = min(timeout_s, POLL_S if watcher.listening else AWAY_POLL_S)
        try:
            async with asyncio.timeout(wait_s):
                await self._told.wait()
        except TimeoutError:
            return wait_s < timeout_s
        self._told.clear()
        return not watcher.closing

    def tell(self) -> None:
        """Wakes who waits in `next`, or lets their next call return at once."""
        self._told.set()


class Watcher:
    """Hands each NOTIFY of progress to those who wait for that transcription. Waiters are no
    threads and no connections, only events of the app's loop, which is the one that starts this.

    Attributes:
        listening: the database tells of changes; otherwise waiters look about each second.
        closing: the server stops, so nobody waits any longer.
    """

    def __init__(self, postgres: Postgres, streams_per_caller: int) -> None:
        self.listening = False
        self.closing = False
        self._postgres = postgres
        self._streams_per_caller = streams_per_caller
        self._waiting: dict[str, set[Changes]] = {}
        self._open: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._unhook = ExitStack()
        self._looking = anyio.CapacityLimiter(LOOKS)

    def start(self) -> None:
        """Listens from now on, and notices a signal to stop as soon as the server does."""
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._listen(), name="watcher")
        if threading.current_thread() is threading.main_thread():
            self._hear_signals(loop)

    def stop_waiting(self) -> None:
        """Ends all waiting, now and from now on."""
        self.closing = True
        self._tell_all()

    async def close(self) -> None:
        """Ends all waiting and gives the connection back."""
        self.stop_waiting()
        self._unhook.close()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @asynccontextmanager
    async def changes(self, id: str) -> AsyncIterator[Changes]:
        """What happens to a transcription. Enter first, then read its row: no change is missed."""
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
    def place(self, caller: Caller) -> Iterator[None]:
        """One of the streams and long polls that a caller may have open in this process.

        Raises:
            RateLimited: all of them are open.
        """
        if self._open[caller.owner] >= self._streams_per_caller:
            raise RateLimited(
                f"{self._streams_per_caller} event streams and long polls are open already. "
                "Close one, or look without waiting.",
                BUSY_RETRY_S,
            )
        self._open[caller.owner] += 1
        try:
            yield
        finally:
            self._open[caller.owner] -= 1
            if not self._open[caller.owner]:
                del self._open[caller.owner]

    async def look(self, function: Callable[[], T]) -> T:
        """What a function gives that asks the database. All who wait share a few threads: should
        the database be away, other requests still find free ones."""
        return await anyio.to_thread.run_sync(function, limiter=self._looking)

    async def _listen(self) -> None:
        while True:
            try:
                async with aclosing(self._postgres.notifications(PROGRESS_CHANNEL)) as ids:
                    async for id in ids:
                        if id is None:  # connected: what was missed meanwhile is looked up
                            self.listening = True
                            self._tell_all()
                        for changes in self._waiting.get(id or "", ()):
                            changes.tell()
            except YtcaptionError as error:
                if self.listening:
                    logger.warning("watching by polling: %s", error)
            except Exception:
                logger.exception("watching by polling")
            self.listening = False
            self._tell_all()
            await asyncio.sleep(RECONNECT_S)

    def _tell_all(self) -> None:
        for waiting in self._waiting.values():
            for changes in waiting:
                changes.tell()

    def _hear_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """The server waits for open answers before it tells the app that it stops: too late for
        those that wait themselves. So its signal handlers are ours first."""
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)
            if not callable(before):
                continue

            def handle(number: int, frame: FrameType | None, before=before) -> None:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(self.stop_waiting)
                before(number, frame)

            signal.signal(number, handle)
            self._unhook.callback(signal.signal, number, before)
