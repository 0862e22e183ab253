"""Sends the deliveries of the outbox; several notifiers may run at once.

NOTIFY wakes a notifier within milliseconds of an event. It also polls every `POLL_S`, since a
NOTIFY is only a hint (docs/adr/security-rules.md#rule-31). Deliveries run in parallel, with a limit
for each lane and owner, so that a slow receiver delays no other.
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
from resources.webhooks.message import Signer
from resources.webhooks.outbox import DELIVERY_CHANNEL, LEASE_S, Attempt, ClaimedDelivery, Outbox
from resources.webhooks.sender import Sender
from ytcaption.domain.errors import SecretUnreadable, SetupError, YtcaptionError
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

MARK = "notifier"
"""File of the runtime directory that is touched at each poll: its age shows whether one works."""

MAX_DELIVERIES = 64
"""Most deliveries in progress in one process."""

POLL_S = 5.0
RECONNECT_S = 1.0
STOP_S = 2.0
"""Time that deliveries in progress get when the notifier stops."""

WATCH_EVERY_S = 30.0
DIGESTS_EVERY_S = 60.0
_DELETE_EVERY_S = 3600.0
_STATEMENTS = 8  # at the same time: a pool has ten connections

T = TypeVar("T")


class Notifier:
    """The notifier of one process.

    Args:
        on_poll: called each time that the outbox has answered.
        watch: called every `WATCH_EVERY_S`, to look whether the pipeline works.

    Raises:
        SetupError: the settings cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        on_poll: Callable[[], None] = lambda: None,
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self._postgres = Postgres.from_settings(settings, "api")
        self._outbox = Outbox(self._postgres)
        self._signer = Signer(settings, self._postgres)
        self._sender = Sender(settings.download.allowed_networks)
        operators = Operators(settings)
        self._alerts = Alerts(operators, self._postgres)
        self._digests = ChannelDigests(operators, self._postgres, settings.api.public_url)
        self._days = settings.retention.delivery_days
        self._on_poll = on_poll
        self._watch = watch
        self._wake = asyncio.Event()
        self._sending: dict[asyncio.Task[None], ClaimedDelivery] = {}
        self._statements = anyio.CapacityLimiter(_STATEMENTS)

    async def run(self) -> None:
        """Send deliveries until the task is canceled.

        Deliveries in progress then get `STOP_S`; those that have not ended are released.
        """
        loop = asyncio.get_running_loop()
        # The lookup of a host may hang, and must not hold a thread of other work.
        executor = ThreadPoolExecutor(2 * MAX_DELIVERIES, thread_name_prefix="lookup")
        loop.set_default_executor(executor)
        work = (
            *(self._listen(), self._send_alerts(), self._send_digests(), self._delete_old()),
            self._every(WATCH_EVERY_S, self._watch),
        )
        background = [loop.create_task(each) for each in work]
        async with self._sender:
            try:
                await self._deliver()
            finally:
                for task in background:
                    task.cancel()
                await self._stop()

    async def _deliver(self) -> None:
        while True:
            try:
                self._wake.clear()  # before the poll: the next one covers what arrives during it
                claimed = await self._poll()
                self._on_poll()
                if claimed == 0:
                    await self._wait()
            except YtcaptionError as error:
                logger.warning("deliveries wait: %s", error)
                await asyncio.sleep(RECONNECT_S)

    async def _poll(self) -> int:
        """Claim due deliveries and start to send them; return their number."""
        slots = MAX_DELIVERIES - len(self._sending)
        if slots == 0:
            return 0
        claimed = await self._thread(lambda: self._outbox.claim(slots))
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

    async def _send(self, claimed: ClaimedDelivery) -> None:
        try:
            attempt = await self._attempt(claimed)
        except YtcaptionError as error:
            logger.warning("a delivery waits: %s", error)
            return  # the delivery waits until its lease ends
        await self._settle(claimed, attempt)

    async def _attempt(self, claimed: ClaimedDelivery) -> Attempt:
        try:
            request = await self._thread(lambda: self._signer.sign(claimed.message))
        except (SecretUnreadable, SetupError) as error:
            logger.error("a delivery cannot be signed: %s", error)
            return Attempt("secret_unreadable", 0.0)
        return await self._sender.send(claimed.url, request)

    async def _settle(self, claimed: ClaimedDelivery, attempt: Attempt) -> None:
        """Record the attempt; retry while the lease lasts, since an unrecorded one is repeated."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEASE_S / 2):
                while True:
                    try:
                        return await self._thread(lambda: self._outbox.settle(claimed, attempt))
                    except YtcaptionError as error:
                        logger.warning("an attempt is not recorded yet: %s", error)
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
        unsent = [self._sending[task] for task in pending]
        for task in pending:
            task.cancel()
        if unsent:
            with suppress(YtcaptionError):
                await self._thread(lambda: self._outbox.release(unsent))

    async def _listen(self) -> None:
        while True:
            try:
                listening = self._postgres.notifications(DELIVERY_CHANNEL)
                async with aclosing(listening) as notifications:
                    async for _ in notifications:
                        self._wake.set()
            except YtcaptionError as error:
                logger.warning("polling without notifications: %s", error)
            await asyncio.sleep(RECONNECT_S)

    async def _send_alerts(self) -> None:
        await self._every(POLL_S, self._alerts.send_due_alerts)

    async def _send_digests(self) -> None:
        await self._every(DIGESTS_EVERY_S, self._digests.send_due_alerts)

    async def _delete_old(self) -> None:
        await self._every(_DELETE_EVERY_S, lambda: self._outbox.delete_old(self._days))

    async def _every(self, seconds: float, function: Callable[[], object]) -> None:
        while True:
            try:
                await self._thread(function)
            except YtcaptionError as error:
                logger.debug("tried again later: %s", error)  # `_deliver` logs it as a warning
            except Exception:
                logger.exception("background work failed; next attempt in %.0f s", seconds)
            await asyncio.sleep(seconds)

    async def _thread(self, function: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(function, limiter=self._statements)
