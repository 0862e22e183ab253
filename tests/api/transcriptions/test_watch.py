"""Waiting for changes: told at once, polled without the database, ended with the server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from api.transcriptions import watch
from api.transcriptions.watch import Watcher
from resources.postgres.connection import Postgres
from tests.api.conftest import RUN_ID, UNKNOWN_ID, DatabaseSwitch, World
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import RateLimited
from ytcaption.settings import Settings


@asynccontextmanager
async def watching(settings: Settings, places: int = 20) -> AsyncIterator[Watcher]:
    """A watcher that listens."""
    watcher = Watcher(Postgres.from_settings(settings, "api"), places)
    watcher.start()
    await until(lambda: watcher.listening)
    try:
        yield watcher
    finally:
        await watcher.close()


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_a_change_is_told_at_once_to_those_who_wait_for_it(
    settings: Settings, world: World
) -> None:
    """A hundred waiters hear of it within a fraction of a poll; others' waiters do not."""
    id = world.running()

    async def scene() -> None:
        async with watching(settings) as watcher, watcher.changes(UNKNOWN_ID) as others:

            async def wait() -> float:
                async with watcher.changes(id) as changes:
                    assert await changes.next(4)
                    return time.perf_counter()

            waiters = [asyncio.create_task(wait()) for _ in range(100)]
            await asyncio.sleep(0.1)
            told_at = time.perf_counter()
            await asyncio.to_thread(world.run_store.progress, id, RUN_ID, "transcription", 1.0, 2.0)
            assert max(await asyncio.gather(*waiters)) - told_at < 0.5
            assert not await others.next(0.1)

    asyncio.run(scene())


def test_a_change_between_two_looks_is_not_missed(settings: Settings, world: World) -> None:
    """It is told by the next call, once."""
    id = world.running()

    async def scene() -> None:
        async with watching(settings) as watcher, watcher.changes(id) as changes:
            await asyncio.to_thread(world.request_store.cancel, id)
            await asyncio.sleep(0.2)
            assert await changes.next(0.0)
            assert not await changes.next(0.0)

    asyncio.run(scene())


def test_waiters_look_for_themselves(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """NOTIFY is a hint: without any, it is time to look again after a while."""
    monkeypatch.setattr(watch, "POLL_S", 0.1)

    async def scene() -> None:
        async with watching(settings) as watcher, watcher.changes(UNKNOWN_ID) as changes:
            began = time.monotonic()
            assert await changes.next(10)
            assert time.monotonic() - began < 2
            assert not await changes.next(0.05)

    asyncio.run(scene())


def test_a_database_that_restarts_is_listened_to_again(
    database_switch: DatabaseSwitch, world: World
) -> None:
    """Away: waiters poll about each second. Back: they are woken at once, and told of changes."""
    id = world.running()

    async def scene() -> None:
        async with (
            watching(database_switch.settings) as watcher,
            watcher.changes(id) as changes,
        ):
            await asyncio.to_thread(database_switch.off)
            await until(lambda: not watcher.listening)
            assert await changes.next(10)  # that it is away
            began = time.monotonic()
            assert await changes.next(10)
            assert time.monotonic() - began < 2
            database_switch.on()
            await until(lambda: watcher.listening)
            assert await changes.next(10)  # what was missed
            began = time.monotonic()
            await asyncio.to_thread(world.request_store.cancel, id)
            assert await changes.next(10)
            assert time.monotonic() - began < 4  # before a look of its own

    asyncio.run(scene())


def test_the_end_of_the_server_ends_all_waiting(settings: Settings) -> None:
    """Nobody waits for the rest of his time."""

    async def scene() -> None:
        async with watching(settings) as watcher, watcher.changes(UNKNOWN_ID) as changes:
            waiting = asyncio.create_task(changes.next(60))
            await asyncio.sleep(0.05)
            watcher.stop_waiting()
            assert not await asyncio.wait_for(waiting, 1)
            assert not await changes.next(60)

    asyncio.run(scene())


def test_one_caller_takes_only_so_many_places(settings: Settings) -> None:
    """The next one is refused, another caller is not, and a place that is left is free."""
    mine, yours = Caller("key:a", frozenset({"read"})), Caller("key:b", frozenset({"read"}))
    watcher = Watcher(Postgres.from_settings(settings, "api"), 2)
    with watcher.place(mine), watcher.place(mine), watcher.place(yours):
        with pytest.raises(RateLimited) as refused, watcher.place(mine):
            raise AssertionError
        assert refused.value.retry_after_s > 0
    with watcher.place(mine), watcher.place(mine):
        pass
