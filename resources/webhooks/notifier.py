"""Sends what the outbox holds: any number of notifiers may do so side by side.

NOTIFY wakes it within milliseconds of an event; it also looks by itself every `POLL_S`, since a
NOTIFY is a hint (rule 31). Deliveries run beside each other, each lane and owner with places of its
own, so that a slow receiver delays nobody else.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import TypeVar

import anyio
import anyio.to_thread

from resources.alerts import Alerts, Operators
from resources.channels.digest import ChannelDigests
from resources.postgres.connection import Postgres
from resources.webhooks.message import Writer
from resources.webhooks.outbox import DELIVERY_CHANNEL, LEASE_S, Attempt, Claimed, Outbox
from resources.webhooks.sender import Sender
from ytcaption.domain.errors import SecretUnreadable, SetupError, YtcaptionError
from ytcaption.settings import Settings

logger = logging.getLogger(__name__)

MARK = "notifier"
"""File of the runtime directory that is touched at each look: it says that one is at work."""

PLACES = 64
"""Deliveries under way in one process."""

POLL_S = 5.0
RECONNECT_S = 1.0
STOP_S = 2.0
"""How long deliveries under way may still take once it is to stop."""

DIGESTS_EVERY_S = 60.0
_FORGET_EVERY_S = 3600.0
_STATEMENTS = 8  # at the same time: a pool has ten connections

T = TypeVar("T")


class Notifier:
    """One process's."""

    def __init__(self, settings: Settings, on_look: Callable[[], None] = lambda: None) -> None:
        """`on_look` is called each time that the outbox has answered.

        Raises:
            SetupError: the settings cannot be used.
        """
        self._postgres = Postgres.from_settings(settings, "api")
        self._outbox = Outbox(self._postgres)
        self._writer = Writer(settings, self._postgres)
        self._sender = Sender(settings.allowed_networks)
        operators = Operators(settings)
        self._alerts = Alerts(operators, self._postgres)
        self._digests = ChannelDigests(operators, self._postgres, settings.public_url)
        self._days = settings.delivery_days
        self._on_look = on_look
        self._wake = asyncio.Event()
        self._sending: dict[asyncio.Task[None], Claimed] = {}
        self._statements = anyio.CapacityLimiter(_STATEMENTS)

    async def run(self) -> None:
        """Until it is canceled; what is under way then has `STOP_S`, and is given back after."""
        loop = asyncio.get_running_loop()
        # Looking up a host may hang: no thread of others is held by it.
        loop.set_default_executor(ThreadPoolExecutor(2 * PLACES, thread_name_prefix="lookup"))
        chores = (self._listen(), self._tell(), self._digest(), self._forget())
        beside = [loop.create_task(each) for each in chores]
        async with self._sender:
            try:
                await self._deliver()
            finally:
                for task in beside:
                    task.cancel()
                await self._stop()

    async def _deliver(self) -> None:
        while True:
            try:
                self._wake.clear()  # first: what comes while it looks is seen by the next look
                claimed = await self._look()
                self._on_look()
                if claimed == 0:
                    await self._wait()
            except YtcaptionError as error:
                logger.warning("deliveries wait: %s", error)
                await asyncio.sleep(RECONNECT_S)

    async def _look(self) -> int:
        places = PLACES - len(self._sending)
        if places == 0:
            return 0
        claimed = await self._thread(lambda: self._outbox.claim(places))
        for each in claimed:
            task = asyncio.create_task(self._send(each))
            self._sending[task] = each
            task.add_done_callback(self._sent)
        return len(claimed)

    async def _wait(self) -> None:
        due_in_s = await self._thread(self._outbox.next_due_in_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S if due_in_s is None else min(POLL_S, due_in_s)):
                await self._wake.wait()

    async def _send(self, claimed: Claimed) -> None:
        try:
            attempt = await self._attempt(claimed)
        except YtcaptionError as error:
            logger.warning("a delivery waits: %s", error)
            return  # until the lease ends
        await self._settle(claimed, attempt)

    async def _attempt(self, claimed: Claimed) -> Attempt:
        try:
            letter = await self._thread(lambda: self._writer.write(claimed.message))
        except (SecretUnreadable, SetupError) as error:
            logger.error("a delivery cannot be signed: %s", error)
            return Attempt("secret_unreadable", 0.0)
        return await self._sender.send(claimed.url, letter)

    async def _settle(self, claimed: Claimed, attempt: Attempt) -> None:
        """As long as the lease lasts: what is not written down is sent again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEASE_S / 2):
                while True:
                    try:
                        return await self._thread(lambda: self._outbox.settle(claimed, attempt))
                    except YtcaptionError as error:
                        logger.warning("a delivery is not settled yet: %s", error)
                        await asyncio.sleep(RECONNECT_S)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.pop(task, None)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a delivery was not sent", exc_info=error)

    async def _stop(self) -> None:
        if not self._sending:
            return
        _, pending = await asyncio.wait(list(self._sending), timeout=STOP_S)
        left = [self._sending[task] for task in pending]
        for task in pending:
            task.cancel()
        if left:
            with suppress(YtcaptionError):
                await self._thread(lambda: self._outbox.release(left))

    async def _listen(self) -> None:
        while True:
            try:
                async with aclosing(self._postgres.notifications(DELIVERY_CHANNEL)) as told:
                    async for _ in told:
                        self._wake.set()
            except YtcaptionError as error:
                logger.warning("looking by itself: %s", error)
            await asyncio.sleep(RECONNECT_S)

    async def _tell(self) -> None:
        await self._every(POLL_S, self._alerts.send_due_alerts)

    async def _digest(self) -> None:
        await self._every(DIGESTS_EVERY_S, self._digests.send_due_alerts)

    async def _forget(self) -> None:
        await self._every(_FORGET_EVERY_S, lambda: self._outbox.forget_old(self._days))

    async def _every(self, seconds: float, function: Callable[[], object]) -> None:
        while True:
            try:
                await self._thread(function)
            except YtcaptionError as error:
                logger.debug("later: %s", error)  # `_deliver` says so, too
            except Exception:
                logger.exception("it is tried again in %.0f s", seconds)
            await asyncio.sleep(seconds)

    async def _thread(self, function: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(function, limiter=self._statements)
