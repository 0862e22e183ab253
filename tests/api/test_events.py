"""Events: state, progress and text as they come; resumed anywhere; none lost, none twice."""

import asyncio
import threading
import time
from contextlib import suppress

import httpx
import pytest
from fastapi.testclient import TestClient

from api import event_stream
from api.routes import events
from resources import live_text
from resources.api_keys import ApiKeys
from tests.api.conftest import RUN_ID, UNKNOWN_ID, DatabaseSwitch, World, serving
from tests.api.keys import Keys
from tests.api.live import TEXTS, Hearing, Reader, Told, events_of, stream
from ytcaption_assets.domain.errors import DatabaseUnavailable
from ytcaption_assets.settings import Settings

PATH = "/api/v1/transcriptions"
ALL = list(range(len(TEXTS)))


def text_and_end(told: list[Told]) -> list[tuple[str, dict]]:
    return [(it.name, it.data) for it in told if it.name in ("segment", "completed")]


def test_a_transcription_is_told_from_the_queue_to_its_end(server_url: str, world: World) -> None:
    """State, progress, each segment as it is heard, the rest from the result, the end."""
    id = world.queued()
    reader = Reader(server_url, id)
    reader.until(lambda it: it.told)
    world.request_store.claim(id, RUN_ID)
    hearing = Hearing(world, id)
    world.request_store.progress(id, RUN_ID, "transcription", 3.0, 12.0)
    reader.until(lambda it: it.told[-1].name == "progress")
    hearing.draft(0, 3)
    reader.until(lambda it: it.indexes == [0, 1, 2])
    hearing.draft(3, 5)
    reader.until(lambda it: it.indexes == [0, 1, 2, 3, 4])
    hearing.store_text()
    hearing.complete()
    reader.to_the_end()

    states = [event.data["status"] for event in reader.told if event.name == "state"]
    assert states[0] == "queued" and states[-1] == "completed"
    [progress] = [it.data for it in reader.told if it.name == "progress" and it.data["done"] == 3.0]
    assert (progress["total"], progress["unit"], progress["fraction"]) == (12.0, "seconds", 0.25)
    assert reader.indexes == ALL
    assert [it.data["text"] for it in reader.told if it.name == "segment"] == list(TEXTS)
    end = reader.told[-1]
    assert end.name == "completed"
    assert httpx.get(f"{server_url}{end.data['result_url']}").json()["segments"]
    assert reader.error is None


def test_the_answer_is_a_stream_that_nobody_keeps(
    server_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headers against caches and buffers, `retry`, and comments while nothing happens."""
    monkeypatch.setattr(events, "PING_S", 0.1)
    url = f"{server_url}{PATH}/{world.queued()}/events"
    with httpx.Client(timeout=10) as client, client.stream("GET", url) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Accel-Buffering"] == "no"
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        assert ": still here" in lines
    head = httpx.head(url)
    assert head.status_code == 200
    assert head.headers["Content-Type"].startswith("text/event-stream")


def test_a_stream_goes_on_behind_any_event_at_another_server(
    server_url: str, settings: Settings, world: World
) -> None:
    """From each id: exactly what came after it. Behind the last one there is nothing (204)."""
    id = world.running()
    hearing = Hearing(world, id)
    reader = Reader(server_url, id)
    hearing.draft(0, 4)
    reader.until(lambda it: it.indexes == [0, 1, 2, 3])
    hearing.store_text()
    hearing.complete()
    told = reader.to_the_end().told

    with serving(settings) as other:
        for at, event in enumerate(told):
            resumed = Reader(other, id, after=event.id).to_the_end()
            assert text_and_end(resumed.told) == text_and_end(told[at + 1 :])
        assert resumed.status == 204


def test_nothing_is_lost_or_doubled_while_nobody_reads(
    server_url: str, settings: Settings, world: World
) -> None:
    """The reader leaves in the middle of the drafts and comes back, elsewhere, to the text."""
    id = world.running()
    hearing = Hearing(world, id)
    hearing.draft(0, 2)
    with stream(f"{server_url}{PATH}/{id}/events") as source:
        for last in events_of(source):
            if last.name == "segment" and last.data["index"] == 1:
                break
    hearing.draft(2, 5)
    with serving(settings) as other:
        second = Reader(other, id, after=last.id).until(lambda it: it.indexes == [2, 3, 4])
        hearing.store_text()
        second.until(lambda it: it.indexes == [2, 3, 4, 5, 6, 7])
        hearing.complete()
        assert second.to_the_end().names[-1] == "completed"
    assert second.indexes == [2, 3, 4, 5, 6, 7]


def test_a_long_text_comes_in_pages(
    server_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its length is a multiple of the page's."""
    for page in (3, 4, 8):
        monkeypatch.setattr(live_text, "PAGE", page)
        id = world.running(media_id=f"youtube-dQw4w9WgXc{page}")
        hearing = Hearing(world, id)
        hearing.store_text()
        hearing.complete()
        reader = Reader(server_url, id).to_the_end()
        assert reader.indexes == ALL
        assert reader.names == ["state", "segment", "completed"]


def test_a_new_attempt_voids_what_was_heard(server_url: str, world: World) -> None:
    """`reset`, then the text from its beginning."""
    id = world.running()
    reader = Reader(server_url, id)
    Hearing(world, id).draft(0, 3)
    reader.until(lambda it: it.indexes == [0, 1, 2])
    world.request_store.fail(id, RUN_ID, "run_lost", "Lost.", retryable=True, max_attempts=4)
    world.request_store.claim(id, "run-2")
    again = Hearing(world, id, "run-2")
    again.draft(0, 2)
    again.store_text()
    again.complete()

    reader.to_the_end()
    assert reader.indexes == [0, 1, 2, *ALL]
    at = [event.name for event in reader.told].index("reset")
    assert [it.data["index"] for it in reader.told[:at] if it.name == "segment"] == [0, 1, 2]
    assert reader.told[at].data == {"attempt": 2}
    retry = [it.data for it in reader.told if it.name == "state" and it.data["attempt"] == 2]
    assert retry[0]["error"] is None or retry[0]["error"]["code"] == "run_lost"


def test_a_reader_who_comes_back_in_a_later_attempt_begins_anew(
    server_url: str, world: World
) -> None:
    """What they have is void: the same as for one who stayed."""
    id = world.running()
    Hearing(world, id).draft(0, 3)
    first = Reader(server_url, id).until(lambda it: it.indexes == [0, 1, 2])
    seen = first.told[-1].id
    world.request_store.fail(id, RUN_ID, "run_lost", "Lost.", retryable=True, max_attempts=4)
    world.request_store.claim(id, "run-2")
    again = Hearing(world, id, "run-2")
    again.draft(0, 1)

    second = Reader(server_url, id, after=seen).until(lambda it: it.indexes == [0])
    assert second.names.index("reset") < second.names.index("segment")
    again.store_text()
    again.complete()
    assert second.to_the_end().indexes == ALL


def test_a_run_that_goes_on_with_a_stored_text_shows_it_once(server_url: str, world: World) -> None:
    """Completed, and materialized again by hand: the text stands, and ids hold across its end."""
    id = world.running()
    Hearing(world, id).store_text()
    Hearing(world, id).complete()
    world.request_store.claim(id, "run-2")

    reader = Reader(server_url, id).until(lambda it: it.indexes == ALL)
    middle = [event for event in reader.told if event.name == "segment"][3].id
    world.request_store.complete(id, "run-2")
    assert reader.to_the_end().indexes == ALL
    assert Reader(server_url, id, after=middle).to_the_end().indexes == ALL[4:]


def test_every_end_is_told(server_url: str, world: World) -> None:
    """Failed with its reason, canceled; a failed one shows no half of a text."""
    failed = Reader(server_url, world.failed()).to_the_end()
    assert failed.names == ["state", "failed"]
    assert failed.told[-1].data["error"] == {
        "code": "media_private",
        "message": "The video is private.",
    }
    id = world.running(media_id="youtube-canceled123")
    reader = Reader(server_url, id)
    Hearing(world, id).draft(0, 2)
    reader.until(lambda it: it.indexes == [0, 1])
    world.request_store.cancel(id)
    assert reader.to_the_end().names[-2:] == ["state", "canceled"]
    late = Reader(server_url, id).to_the_end()
    assert late.names == ["state", "canceled"]


def test_asked_for_again_it_goes_on_for_those_who_had_seen_the_end(
    server_url: str, world: World
) -> None:
    """Their id leads to 204 only as long as nothing has happened since."""
    id = world.failed()
    seen = Reader(server_url, id).to_the_end().told[-1].id
    assert Reader(server_url, id, after=seen).to_the_end().status == 204
    world.queued()
    reader = Reader(server_url, id, after=seen).until(lambda it: it.told)
    assert reader.told[0].data["status"] == "queued"
    world.request_store.cancel(id)
    assert reader.to_the_end().names[-1] == "canceled"


@pytest.mark.parametrize(
    "bad", ["", "0", "x" * 5_000, "1-4-000000000000-000000000000", "1--1-a-b", "é", "9" * 400]
)
def test_an_id_that_is_none_of_ours_is_answered_from_the_start(
    client: TestClient, world: World, bad: str
) -> None:
    """Whatever it is, and also one of another transcription."""
    id = world.running()
    Hearing(world, id).store_text()
    Hearing(world, id).complete()
    answer = client.get(f"{PATH}/{id}/events", headers=[(b"Last-Event-ID", bad.encode())])
    assert answer.status_code == 200
    assert answer.text.count("event: segment") == len(TEXTS)


def test_another_transcriptions_id_is_answered_from_the_start(
    server_url: str, world: World
) -> None:
    """It says nothing of what was seen of this one."""
    ids = [world.running(media_id=f"youtube-dQw4w9WgXc{n}") for n in "ab"]
    for id in ids:
        Hearing(world, id).store_text()
        Hearing(world, id).complete()
    foreign = Reader(server_url, ids[0]).to_the_end().told[4].id
    assert Reader(server_url, ids[1], after=foreign).to_the_end().indexes == ALL


def test_only_who_may_see_it_may_watch(keys: Keys, client: TestClient, world: World) -> None:
    """For others it is not there; without a key nobody is let in."""
    id = world.completed()
    path = f"{PATH}/{id}/events"
    assert client.get(path).status_code == 401
    assert client.get(path, headers=keys.header("stranger")).status_code == 404
    assert client.get(path, headers=keys.header("admin")).status_code == 200
    unknown = client.get(f"{PATH}/{UNKNOWN_ID}/events", headers=keys.header("admin"))
    assert unknown.json()["code"] == "transcription_not_found"


def test_a_key_that_is_revoked_ends_its_streams(
    keys: Keys, settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at every 15 s; here faster."""
    monkeypatch.setattr(event_stream, "CHECK_EVERY_S", 0.2)
    id = world.running()
    token = keys.header("admin")["Authorization"].split()[1]
    with (
        serving(settings) as url,
        stream(f"{url}{PATH}/{id}/events", keys.header("admin")) as source,
    ):
        told = events_of(source)
        assert next(told).name == "state"
        ApiKeys.from_settings(settings).revoke(token.split("_")[1])
        assert list(told) == []


def test_only_so_many_streams_are_open_at_once(settings: Settings, world: World) -> None:
    """The next one is told when to come back; a place that is left is free again."""
    id = world.running()
    with serving(settings.model_copy(update={"streams_per_caller": 2})) as url:
        path = f"{url}{PATH}/{id}/events"
        with stream(path) as first, stream(path) as second:
            open_ones = [events_of(first), events_of(second)]  # which close when they are gone
            assert [next(told).name for told in open_ones] == ["state", "state"]
            refused = httpx.get(path)
            assert refused.status_code == 429
            assert refused.json()["code"] == "rate_limited"
            assert int(refused.headers["Retry-After"]) > 0
            assert httpx.head(path).status_code == 200
        deadline = time.monotonic() + 5
        while True:
            with stream(path) as third:
                if third.response.status_code == 200:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_what_is_erased_ends_its_streams(server_url: str, world: World) -> None:
    """Without an end that was none."""
    id = world.running()
    reader = Reader(server_url, id)
    Hearing(world, id).draft(0, 2)
    reader.until(lambda it: it.indexes == [0, 1])
    with world.request_store.postgres.transaction() as connection:
        connection.execute("delete from ytcaption.transcription where id = %s", (id,))
        connection.execute("select pg_notify('ytcaption_progress', %s)", (id,))
    reader.to_the_end(3)
    assert reader.names[-1] == "segment"
    assert reader.error is None


def test_who_withdraws_a_request_sees_no_more_of_it(
    keys: Keys, settings: Settings, world: World
) -> None:
    """Others' transcription goes on without them."""
    id = world.running()
    owner = keys.owner("anna")
    with world.request_store.postgres.transaction() as connection:
        connection.execute("update ytcaption.request set owner = %s", (owner,))
    with (
        serving(settings) as url,
        stream(f"{url}{PATH}/{id}/events", keys.header("anna")) as source,
    ):
        told = events_of(source)
        assert next(told).name == "state"
        with world.request_store.postgres.transaction() as connection:
            connection.execute("update ytcaption.request set owner = 'key:other'")
        Hearing(world, id).draft(0, 2)
        assert list(told) == []


def test_a_stream_outlives_a_database_that_is_away(
    database_switch: DatabaseSwitch, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits, and tells what happened meanwhile, once."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    id = world.running()
    hearing = Hearing(world, id)
    with serving(database_switch.settings) as url:
        reader = Reader(url, id)
        hearing.draft(0, 2)
        reader.until(lambda it: it.indexes == [0, 1])
        database_switch.off()
        with suppress(DatabaseUnavailable):  # the run's connection is cut, too
            hearing.draft(2, 3)
        hearing.draft(2, 4)
        time.sleep(1)
        assert reader.indexes == [0, 1]
        database_switch.on()
        reader.until(lambda it: it.indexes == [0, 1, 2, 3], timeout_s=20)
        hearing.store_text()
        hearing.complete()
        assert reader.to_the_end().indexes == ALL
        assert reader.error is None


def test_a_hundred_readers_cost_no_threads(settings: Settings, world: World) -> None:
    """All are told within two seconds of the end; they share the few threads that look."""
    id = world.running()
    hearing = Hearing(world, id)
    hearing.draft(0, 4)

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
            await asyncio.to_thread(hearing.store_text)
            await asyncio.to_thread(hearing.complete)
            ended_at = time.monotonic()
            told = await asyncio.gather(*readers)
            assert time.monotonic() - ended_at < 5
        for names in told:
            assert names.count("segment") == len(TEXTS)
            assert names[-1] == "completed"

    with serving(settings.model_copy(update={"streams_per_caller": 100})) as base:
        before = threading.active_count()
        asyncio.run(scene(f"{base}{PATH}/{id}/events"))
