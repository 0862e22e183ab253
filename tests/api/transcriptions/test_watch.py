"""Waiting for changes: notified at once, polled without the database, ended with the server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.transcriptions import watch
from api.transcriptions.watch import Watcher
from resources.postgres.connection import Postgres
from tests.api.conftest import RUN_ID, UNKNOWN_ID, DatabaseSwitch, World
from tests.support.patience import patience, wait_for
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import RateLimited
from ytcaption.settings.settings import Settings


@asynccontextmanager
async def watching(settings: Settings, places: int = 20) -> AsyncIterator[Watcher]:
    """Yield a watcher that listens."""
    watcher = Watcher(Postgres.from_settings(settings, "api"), places)
    watcher.start()
    await asyncio.to_thread(wait_for, lambda: watcher.listening)
    try:
        yield watcher
    finally:
        await watcher.close()


def test_a_change_wakes_those_who_wait_for_it(settings: Settings, world: World) -> None:
    """A hundred waiters wake within a fraction of a polling interval; others do not."""
    id = world.running()

    async def scene() -> None:
        async with watching(settings) as watcher, watcher.changes(UNKNOWN_ID) as others:

            async def wait() -> float:
                async with watcher.changes(id) as changes:
                    assert await changes.next(4)
                    return time.perf_counter()

            waiters = [asyncio.create_task(wait()) for _ in range(100)]
            await asyncio.sleep(0.1)
            notified_at = time.perf_counter()
            await asyncio.to_thread(world.run_store.progress, id, RUN_ID, "transcription", 1.0, 2.0)
            assert max(await asyncio.gather(*waiters)) - notified_at < 0.5
            assert not await others.next(0.1)

    asyncio.run(scene())


def test_a_change_between_two_calls_is_not_missed(settings: Settings, world: World) -> None:
    """The next call reports it, once."""
    id = world.running()

    async def scene() -> None:
        async with watching(settings) as watcher, watcher.changes(id) as changes:
            await asyncio.to_thread(world.request_store.cancel, id)
            await asyncio.sleep(0.2)
            assert await changes.next(0.0)
            assert not await changes.next(0.0)

    asyncio.run(scene())


def test_waiters_poll(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """NOTIFY is a hint: without one, `next` returns after a while."""
    monkeypatch.setattr(watch, "POLL_S", 0.1)

    async def scene() -> None:
        async with watching(settings) as watcher, watcher.changes(UNKNOWN_ID) as changes:
            began = time.monotonic()
            assert await changes.next(10)
            assert time.monotonic() - began < 2 * patience()
            assert not await changes.next(0.05)

    asyncio.run(scene())


@pytest.mark.long
def test_a_database_that_restarts_is_listened_to_again(
    database_switch: DatabaseSwitch, world: World
) -> None:
    """Meanwhile waiters poll about each second; then they are woken at once and notified again."""
    id = world.running()

    async def scene() -> None:
        async with (
            watching(database_switch.settings) as watcher,
            watcher.changes(id) as changes,
        ):
            await asyncio.to_thread(database_switch.off)
            await asyncio.to_thread(wait_for, lambda: not watcher.listening)
            assert await changes.next(10)  # that it is away
            began = time.monotonic()
            assert await changes.next(10)
            assert time.monotonic() - began < 2 * patience()
            database_switch.on()
            await asyncio.to_thread(wait_for, lambda: watcher.listening)
            assert await changes.next(10)  # what was missed
            began = time.monotonic()
            await asyncio.to_thread(world.request_store.cancel, id)
            assert await changes.next(10)
            assert time.monotonic() - began < 4 * patience()  # before a look of its own

    asyncio.run(scene())


def test_the_end_of_the_server_ends_all_waiting(settings: Settings) -> None:
    """Nobody waits until their timeout."""

    async def scene() -> None:
        async with watching(settings) as watcher, watcher.changes(UNKNOWN_ID) as changes:
            waiting = asyncio.create_task(changes.next(60))
            await asyncio.sleep(0.05)
            watcher.stop_waiting()
            assert not await asyncio.wait_for(waiting, 1)
            assert not await changes.next(60)

    asyncio.run(scene())


def test_streams_per_caller_are_limited(settings: Settings) -> None:
    """The next one is refused, another caller is not, and a freed slot can be used."""
    mine, yours = Caller("key:a", frozenset({"read"})), Caller("key:b", frozenset({"read"}))
    watcher = Watcher(Postgres.from_settings(settings, "api"), 2)
    with watcher.stream_slot(mine), watcher.stream_slot(mine), watcher.stream_slot(yours):
        with pytest.raises(RateLimited) as refused, watcher.stream_slot(mine):
            raise AssertionError
        assert refused.value.retry_after_s > 0
    with watcher.stream_slot(mine), watcher.stream_slot(mine):
        pass
