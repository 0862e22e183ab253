"""Events: state, progress and text as they come; resumable anywhere; none lost, none twice."""

import httpx
import pytest
from fastapi.testclient import TestClient

from api.events import sse as event_answer
from resources.transcriptions import live_text
from tests.api.conftest import RUN_ID, World, serving
from tests.support.servers.live_api import (
    TEXTS,
    FakeRun,
    Reader,
    ReceivedEvent,
    events_of,
    stream,
)
from ytcaption.settings.settings import Settings

PATH = "/api/v1/transcriptions"
ALL = list(range(len(TEXTS)))


def text_and_end(events: list[ReceivedEvent]) -> list[tuple[str, dict]]:
    return [(it.name, it.data) for it in events if it.name in ("segment", "completed")]


def test_events_from_the_queue_to_the_end(server_url: str, world: World) -> None:
    """State, progress, each segment while it is transcribed, the rest from the result, the end."""
    id = world.queued()
    reader = Reader(server_url, id)
    reader.until(lambda it: it.events)
    world.run_store.claim(id, RUN_ID)
    fake_run = FakeRun(world, id)
    world.run_store.progress(id, RUN_ID, "transcription", 3.0, 12.0)
    reader.until(lambda it: it.events[-1].name == "progress")
    fake_run.draft(0, 3)
    reader.until(lambda it: it.indexes == [0, 1, 2])
    fake_run.draft(3, 5)
    reader.until(lambda it: it.indexes == [0, 1, 2, 3, 4])
    fake_run.store_text()
    fake_run.complete()
    reader.to_the_end()

    states = [event.data["status"] for event in reader.events if event.name == "state"]
    assert states[0] == "queued" and states[-1] == "completed"
    [progress] = [
        it.data for it in reader.events if it.name == "progress" and it.data["done"] == 3.0
    ]
    assert (progress["total"], progress["unit"], progress["fraction"]) == (12.0, "seconds", 0.25)
    assert reader.indexes == ALL
    assert [it.data["text"] for it in reader.events if it.name == "segment"] == list(TEXTS)
    end = reader.events[-1]
    assert end.name == "completed"
    assert httpx.get(f"{server_url}{end.data['result_url']}").json()["segments"]
    assert reader.error is None


def test_the_response_is_an_uncached_stream(
    server_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has headers against caches and buffers, `retry`, and comments while nothing happens."""
    monkeypatch.setattr(event_answer, "PING_S", 0.1)
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


@pytest.mark.slow
def test_a_stream_resumes_after_any_event_at_another_server(
    server_url: str, settings: Settings, world: World
) -> None:
    """Exactly with what came after it. After the last one there is nothing (204)."""
    id = world.running()
    fake_run = FakeRun(world, id)
    reader = Reader(server_url, id)
    fake_run.draft(0, 4)
    reader.until(lambda it: it.indexes == [0, 1, 2, 3])
    fake_run.store_text()
    fake_run.complete()
    events = reader.to_the_end().events

    with serving(settings) as other:
        for at, event in enumerate(events):
            resumed = Reader(other, id, after=event.id).to_the_end()
            assert text_and_end(resumed.events) == text_and_end(events[at + 1 :])
        assert resumed.status == 204


@pytest.mark.long
def test_nothing_is_lost_or_doubled_while_nobody_reads(
    server_url: str, settings: Settings, world: World
) -> None:
    """The reader leaves during the drafts and returns, at another server, to the final text."""
    id = world.running()
    fake_run = FakeRun(world, id)
    fake_run.draft(0, 2)
    with stream(f"{server_url}{PATH}/{id}/events") as source:
        for last in events_of(source):
            if last.name == "segment" and last.data["index"] == 1:
                break
    fake_run.draft(2, 5)
    with serving(settings) as other:
        second = Reader(other, id, after=last.id).until(lambda it: it.indexes == [2, 3, 4])
        fake_run.store_text()
        second.until(lambda it: it.indexes == [2, 3, 4, 5, 6, 7])
        fake_run.complete()
        assert second.to_the_end().names[-1] == "completed"
    assert second.indexes == [2, 3, 4, 5, 6, 7]


@pytest.mark.long
def test_a_long_text_comes_in_pages(
    server_url: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if its length is a multiple of the page size."""
    for page in (3, 4, 8):
        monkeypatch.setattr(live_text, "PAGE", page)
        id = world.running(media_id=f"youtube-dQw4w9WgXc{page}")
        fake_run = FakeRun(world, id)
        fake_run.store_text()
        fake_run.complete()
        reader = Reader(server_url, id).to_the_end()
        assert reader.indexes == ALL
        assert reader.names == ["state", "segment", "completed"]


def test_a_new_attempt_voids_the_draft(server_url: str, world: World) -> None:
    """`reset`, then the text from its start."""
    id = world.running()
    reader = Reader(server_url, id)
    FakeRun(world, id).draft(0, 3)
    reader.until(lambda it: it.indexes == [0, 1, 2])
    world.run_store.fail(id, RUN_ID, "run_lost", "Lost.", retryable=True, max_attempts=4)
    world.run_store.claim(id, "run-2")
    again = FakeRun(world, id, "run-2")
    again.draft(0, 2)
    again.store_text()
    again.complete()

    reader.to_the_end()
    assert reader.indexes == [0, 1, 2, *ALL]
    at = [event.name for event in reader.events].index("reset")
    assert [it.data["index"] for it in reader.events[:at] if it.name == "segment"] == [0, 1, 2]
    assert reader.events[at].data == {"attempt": 2}
    retry = [it.data for it in reader.events if it.name == "state" and it.data["attempt"] == 2]
    assert retry[0]["error"] is None or retry[0]["error"]["code"] == "run_lost"


@pytest.mark.long
def test_a_reader_who_returns_in_a_later_attempt_starts_over(server_url: str, world: World) -> None:
    """The draft is void, as for a reader who stayed."""
    id = world.running()
    FakeRun(world, id).draft(0, 3)
    first = Reader(server_url, id).until(lambda it: it.indexes == [0, 1, 2])
    seen = first.events[-1].id
    world.run_store.fail(id, RUN_ID, "run_lost", "Lost.", retryable=True, max_attempts=4)
    world.run_store.claim(id, "run-2")
    again = FakeRun(world, id, "run-2")
    again.draft(0, 1)

    second = Reader(server_url, id, after=seen).until(lambda it: it.indexes == [0])
    assert second.names.index("reset") < second.names.index("segment")
    again.store_text()
    again.complete()
    assert second.to_the_end().indexes == ALL


@pytest.mark.long
def test_a_run_with_a_stored_text_sends_it_once(server_url: str, world: World) -> None:
    """Completed, and materialized again by hand: the text is valid, and so are the event ids."""
    id = world.running()
    FakeRun(world, id).store_text()
    FakeRun(world, id).complete()
    world.run_store.claim(id, "run-2")

    reader = Reader(server_url, id).until(lambda it: it.indexes == ALL)
    middle = [event for event in reader.events if event.name == "segment"][3].id
    world.run_store.complete(id, "run-2")
    assert reader.to_the_end().indexes == ALL
    assert Reader(server_url, id, after=middle).to_the_end().indexes == ALL[4:]


@pytest.mark.long
def test_every_end_is_sent(server_url: str, world: World) -> None:
    """Failed with its reason, canceled; a failed one sends no partial text."""
    failed = Reader(server_url, world.failed()).to_the_end()
    assert failed.names == ["state", "failed"]
    assert failed.events[-1].data["error"] == {
        "code": "media_private",
        "message": "The video is private.",
    }
    id = world.running(media_id="youtube-canceled123")
    reader = Reader(server_url, id)
    FakeRun(world, id).draft(0, 2)
    reader.until(lambda it: it.indexes == [0, 1])
    world.request_store.cancel(id)
    assert reader.to_the_end().names[-2:] == ["state", "canceled"]
    late = Reader(server_url, id).to_the_end()
    assert late.names == ["state", "canceled"]


@pytest.mark.long
def test_a_new_request_continues_for_those_who_had_seen_the_end(
    server_url: str, world: World
) -> None:
    """Their id leads to 204 only if nothing has happened since."""
    id = world.failed()
    seen = Reader(server_url, id).to_the_end().events[-1].id
    assert Reader(server_url, id, after=seen).to_the_end().status == 204
    world.queued()
    reader = Reader(server_url, id, after=seen).until(lambda it: it.events)
    assert reader.events[0].data["status"] == "queued"
    world.request_store.cancel(id)
    assert reader.to_the_end().names[-1] == "canceled"


@pytest.mark.parametrize(
    "bad", ["", "0", "x" * 5_000, "1-4-000000000000-000000000000", "1--1-a-b", "é", "9" * 400]
)
def test_an_invalid_event_id_starts_over(client: TestClient, world: World, bad: str) -> None:
    """The stream starts with the first event, whatever the id is."""
    id = world.running()
    FakeRun(world, id).store_text()
    FakeRun(world, id).complete()
    answer = client.get(f"{PATH}/{id}/events", headers=[(b"Last-Event-ID", bad.encode())])
    assert answer.status_code == 200
    assert answer.text.count("event: segment") == len(TEXTS)


@pytest.mark.long
def test_an_event_id_of_another_transcription_starts_over(server_url: str, world: World) -> None:
    """It says nothing about this one."""
    ids = [world.running(media_id=f"youtube-dQw4w9WgXc{n}") for n in "ab"]
    for id in ids:
        FakeRun(world, id).store_text()
        FakeRun(world, id).complete()
    foreign = Reader(server_url, ids[0]).to_the_end().events[4].id
    assert Reader(server_url, ids[1], after=foreign).to_the_end().indexes == ALL
