"""Events: state, progress and text as they come; resumed anywhere; none lost, none twice."""

import httpx
import pytest
from fastapi.testclient import TestClient

from api.events import sse as event_answer
from resources.transcriptions import live_text
from tests.api.conftest import RUN_ID, World, serving
from tests.support.servers.live_api import (
    TEXTS,
    Hearing,
    Reader,
    Told,
    events_of,
    stream,
)
from ytcaption.settings import Settings

PATH = "/api/v1/transcriptions"
ALL = list(range(len(TEXTS)))


def text_and_end(told: list[Told]) -> list[tuple[str, dict]]:
    return [(it.name, it.data) for it in told if it.name in ("segment", "completed")]


def test_a_transcription_is_told_from_the_queue_to_its_end(server_url: str, world: World) -> None:
    """State, progress, each segment as it is heard, the rest from the result, the end."""
    id = world.queued()
    reader = Reader(server_url, id)
    reader.until(lambda it: it.told)
    world.run_store.claim(id, RUN_ID)
    hearing = Hearing(world, id)
    world.run_store.progress(id, RUN_ID, "transcription", 3.0, 12.0)
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
    world.run_store.fail(id, RUN_ID, "run_lost", "Lost.", retryable=True, max_attempts=4)
    world.run_store.claim(id, "run-2")
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
    world.run_store.fail(id, RUN_ID, "run_lost", "Lost.", retryable=True, max_attempts=4)
    world.run_store.claim(id, "run-2")
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
    world.run_store.claim(id, "run-2")

    reader = Reader(server_url, id).until(lambda it: it.indexes == ALL)
    middle = [event for event in reader.told if event.name == "segment"][3].id
    world.run_store.complete(id, "run-2")
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
