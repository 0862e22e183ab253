"""Who may read events, how many streams at once, and what ends a stream early."""

import asyncio
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from api.events import sse as event_answer
from api.events import stream as event_stream
from resources.auth.api_keys import ApiKeys
from tests.api.conftest import UNKNOWN_ID, DatabaseSwitch, World, serving
from tests.api.keys import Keys
from tests.support.patience import patience, wait_for
from tests.support.servers.live_api import (
    TEXTS,
    FakeRun,
    Reader,
    events_of,
    stream,
)
from tests.support.transcripts import transcript_of
from ytcaption.domain.errors import DatabaseUnavailable
from ytcaption.settings.settings import Settings

PATH = "/api/v1/transcriptions"
ALL = list(range(len(TEXTS)))


def stream_status(url: str) -> int:
    """Return the status of the answer to a reader, which leaves at once."""
    with stream(url) as source:
        return source.response.status_code


def test_only_requesters_may_stream(keys: Keys, client: TestClient, world: World) -> None:
    """To others it does not exist; without a key it is 401."""
    id = world.completed()
    path = f"{PATH}/{id}/events"
    assert client.get(path).status_code == 401
    assert client.get(path, headers=keys.header("clara")).status_code == 404
    assert client.get(path, headers=keys.header("admin")).status_code == 200
    unknown = client.get(f"{PATH}/{UNKNOWN_ID}/events", headers=keys.header("admin"))
    assert unknown.json()["code"] == "transcription_not_found"


@pytest.mark.slow
def test_revoking_a_key_ends_its_streams(
    keys: Keys, settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is checked every 15 s; here more often."""
    monkeypatch.setattr(event_stream, "CHECK_EVERY_S", 0.2)
    id = world.running()
    token = keys.header("admin")["Authorization"].split()[1]
    with (
        serving(settings) as url,
        stream(f"{url}{PATH}/{id}/events", keys.header("admin")) as source,
    ):
        events = events_of(source)
        assert next(events).name == "state"
        ApiKeys.from_settings(settings).revoke(token.split("_")[1])
        assert list(events) == []


@pytest.mark.long
def test_open_streams_are_limited(settings: Settings, world: World) -> None:
    """The next one is told when to retry; a freed slot can be used."""
    id = world.running()
    with serving(settings.changed(streams_per_caller=2)) as url:
        path = f"{url}{PATH}/{id}/events"
        with stream(path) as first, stream(path) as second:
            open_ones = [events_of(first), events_of(second)]  # which close when they are gone
            assert [next(events).name for events in open_ones] == ["state", "state"]
            refused = httpx.get(path)
            assert refused.status_code == 429
            assert refused.json()["code"] == "rate_limited"
            assert int(refused.headers["Retry-After"]) > 0
            assert httpx.head(path).status_code == 200
        wait_for(lambda: stream_status(path) == 200, 5)


@pytest.mark.slow
def test_a_reader_that_receives_nothing_loses_its_slot(
    settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is open and never read: after a while another one may connect."""
    monkeypatch.setattr(event_answer, "SEND_TIMEOUT_S", 0.5)
    id = world.running()
    fake_run = FakeRun(world, id)
    fake_run.transcript = transcript_of(
        id, [f"{'word ' * 20_000}{number}" for number in range(200)]
    )
    fake_run.draft(0, 200)
    with serving(settings.changed(streams_per_caller=1)) as url:
        path, address = f"{PATH}/{id}/events", urlsplit(url)
        with socket.create_connection((address.hostname, address.port)) as stuck:
            stuck.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
            wait_for(lambda: stream_status(url + path) == 429, 10)
            wait_for(lambda: stream_status(url + path) == 200, 10)


def test_an_erasure_ends_the_streams(server_url: str, world: World) -> None:
    """They end without a final event."""
    id = world.running()
    reader = Reader(server_url, id)
    FakeRun(world, id).draft(0, 2)
    reader.until(lambda it: it.indexes == [0, 1])
    with world.request_store.postgres.transaction() as connection:
        connection.execute("delete from ytcaption.transcription where id = %s", (id,))
        connection.execute("select pg_notify('ytcaption_progress', %s)", (id,))
    reader.to_the_end(3)
    assert reader.names[-1] == "segment"
    assert reader.error is None


def test_a_withdrawal_ends_the_stream(keys: Keys, settings: Settings, world: World) -> None:
    """The transcription continues for others."""
    id = world.running()
    owner = keys.owner("anna")
    with world.request_store.postgres.transaction() as connection:
        connection.execute("update ytcaption.request set owner = %s", (owner,))
    with (
        serving(settings) as url,
        stream(f"{url}{PATH}/{id}/events", keys.header("anna")) as source,
    ):
        events = events_of(source)
        assert next(events).name == "state"
        with world.request_store.postgres.transaction() as connection:
            connection.execute("update ytcaption.request set owner = 'key:other'")
        FakeRun(world, id).draft(0, 2)
        assert list(events) == []


@pytest.mark.slow
def test_a_stream_survives_a_database_outage(
    database_switch: DatabaseSwitch, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits, and then sends what happened, once."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    id = world.running()
    fake_run = FakeRun(world, id)
    with serving(database_switch.settings) as url:
        reader = Reader(url, id)
        fake_run.draft(0, 2)
        reader.until(lambda it: it.indexes == [0, 1])
        database_switch.off()
        with suppress(DatabaseUnavailable):  # the run's connection is cut, too
            fake_run.draft(2, 3)
        fake_run.draft(2, 4)
        time.sleep(1)
        assert reader.indexes == [0, 1]
        database_switch.on()
        reader.until(lambda it: it.indexes == [0, 1, 2, 3], timeout_s=20)
        fake_run.store_text()
        fake_run.complete()
        assert reader.to_the_end().indexes == ALL
        assert reader.error is None


@pytest.mark.slow
def test_a_hundred_readers_cost_no_threads(settings: Settings, world: World) -> None:
    """All receive the end within seconds; they share a few query threads."""
    id = world.running()
    fake_run = FakeRun(world, id)
    fake_run.draft(0, 4)

    async def read(client: httpx.AsyncClient, url: str) -> list[str]:
        async with client.stream("GET", url) as answer:
            lines = [line async for line in answer.aiter_lines()]
        return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]

    async def scene(url: str) -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=30, limits=limits) as client:
            readers = [asyncio.create_task(read(client, url)) for _ in range(100)]
            await asyncio.sleep(2)
            assert threading.active_count() - before < 20
            await asyncio.to_thread(fake_run.store_text)
            await asyncio.to_thread(fake_run.complete)
            ended_at = time.monotonic()
            received = await asyncio.gather(*readers)
            assert time.monotonic() - ended_at < 5 * patience()
        for names in received:
            assert names.count("segment") == len(TEXTS)
            assert names[-1] == "completed"

    with serving(settings.changed(streams_per_caller=100)) as base:
        before = threading.active_count()
        asyncio.run(scene(f"{base}{PATH}/{id}/events"))
