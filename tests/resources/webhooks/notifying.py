"""A notifier at work in a thread, its outbox and a receiver: fixtures of several files."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from resources.postgres.connection import Postgres
from resources.transcriptions.store import RequestStore
from resources.webhooks.notifier import Notifier
from tests.resources.webhooks.outboxes import Box
from tests.support.patience import wait_for
from tests.support.servers.webhook_receiver import WebhookReceiver
from ytcaption.settings.settings import Settings


@pytest.fixture
def here(settings: Settings) -> Settings:
    """Loopback may be reached, on any port."""
    return settings.changed(allowed_networks=("127.0.0.0/8",))


@pytest.fixture
def box(here: Settings, request_store: RequestStore) -> Box:
    """Empty."""
    return Box(here, request_store, Postgres.from_settings(here, "api"))


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """Answers 204."""
    with WebhookReceiver() as receiver:
        yield receiver


@contextmanager
def notifying(settings: Settings) -> Iterator[None]:
    """A notifier at work, in a thread."""
    looked = threading.Event()
    loop = asyncio.new_event_loop()

    async def work() -> None:
        await Notifier(settings, on_poll=looked.set).run()

    task = loop.create_task(work())

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_default_executor())

    thread = threading.Thread(target=run)
    thread.start()
    assert looked.wait(30)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def settled(box: Box, number: int, timeout_s: float = 30) -> list:
    """Return the deliveries once `number` attempts were made."""
    wait_for(lambda: sum(row["attempt"] for row in box.rows()) >= number, timeout_s, box.rows)
    return box.rows()
