"""The history of a transcription, page by page, for those who requested it."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from resources.postgres.connection import Postgres
from resources.transcriptions.actions import TranscriptionActions
from resources.transcriptions.store import RequestStore
from tests.api.conftest import RUN_ID, UNKNOWN_ID, World
from tests.api.keys import Keys
from tests.support.transcription_events import transcription_events

LINK = "https://youtu.be/dQw4w9WgXcQ"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}


def path(id: str) -> str:
    """Return the path of an id's history."""
    return f"/api/v1/transcriptions/{id}/history"


def types(body: dict[str, Any]) -> list[str]:
    """Return the event types of a page."""
    return [item["event_type"] for item in body["items"]]


def test_the_history_has_every_event(client: TestClient, world: World) -> None:
    """Each with its time, run and trace, and its numbers and codes."""
    id = client.post("/api/v1/transcriptions", json={"url": LINK}, headers=TRACE).json()["id"]
    world.completed()

    answer = client.get(path(id))

    body = answer.json()
    assert types(body) == [
        "TranscriptionCreated", "Requested", "Queued", "Requested", "Started", "AudioDownloaded",
        "TranscriptStored", "TranscriptionCompleted",
    ]  # fmt: skip
    assert (answer.headers["Cache-Control"], body["next_cursor"]) == ("no-store", None)
    status = client.get(f"/api/v1/transcriptions/{id}").json()
    first, last = body["items"][0], body["items"][-1]
    assert (first["timestamp"], last["timestamp"]) == (
        status["created_at"],
        status["completed_at"],
    )
    assert {item["transcription_id"] for item in body["items"]} == {id}
    assert {item["media_id"] for item in body["items"]} == {"youtube-dQw4w9WgXcQ"}
    assert [item["run_id"] for item in body["items"]] == [None] * 4 + [RUN_ID] * 4
    # The second request came without a trace; the run belongs to the first one's.
    traces = [item["trace_id"] for item in body["items"]]
    assert traces == [TRACE_ID] * 3 + [None] + [TRACE_ID] * 4
    stored = body["items"][6]["data"]
    assert (stored["word_count"], stored["language"]) == (status["word_count"], "en")


def test_pages_hold_each_event_once_and_in_order(client: TestClient, world: World) -> None:
    """This also holds if more events occur between two pages."""
    id = world.failed()
    found: list[str] = []
    cursor: str | None = None
    for _ in range(20):
        body = client.get(
            path(id), params={"limit": 2, "cursor": cursor} if cursor else {"limit": 2}
        )
        found += [item["event_id"] for item in body.json()["items"]]
        cursor = body.json()["next_cursor"]
        if len(found) == 2:
            world.run_store.claim(id, "run-2")
        if cursor is None:
            break
    assert found == [
        str(event.event_id) for event in transcription_events(world.request_store.postgres, id)
    ]
    assert len(found) == 6


@pytest.mark.parametrize("cursor", ["x", "é", "AZjz8ppDfB6PXTsPah8tEQ", "A" * 60])
def test_a_cursor_of_elsewhere_is_refused(client: TestClient, world: World, cursor: str) -> None:
    """The cursor of another transcription's event is refused, too."""
    id, other = world.failed(), world.queued("youtube-aaaaaaaaaaa")
    theirs = client.get(path(other), params={"limit": 1}).json()["next_cursor"]
    for wrong in (cursor, theirs):
        answer = client.get(path(id), params={"cursor": wrong})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
    assert client.get(path(id), params={"limit": 201}).status_code == 422


def test_requesters_see_only_their_own_requests(
    keys: Keys, client: TestClient, request_store: RequestStore, world: World
) -> None:
    """An unknown id and another caller's look the same; an admin sees everything."""
    anna, bert, admin = keys.header("anna"), keys.header("bert"), keys.header("admin")
    id = client.post("/api/v1/transcriptions", json={"url": LINK}, headers=anna).json()["id"]
    assert client.get(path(id), headers=bert).status_code == 404
    assert client.get(path(UNKNOWN_ID), headers=anna).status_code == 404
    assert client.get(path(id)).status_code == 401

    client.post("/api/v1/transcriptions", json={"url": LINK}, headers=bert)
    common = ["TranscriptionCreated", "Queued"]
    assert types(client.get(path(id), headers=bert).json()) == [*common, "Requested"]
    assert types(client.get(path(id), headers=anna).json()) == [
        "TranscriptionCreated",
        "Requested",
        "Queued",
    ]
    client.post(f"/api/v1/transcriptions/{id}/cancel", headers=anna)
    assert client.get(path(id), headers=anna).status_code == 404
    assert types(client.get(path(id), headers=bert).json()) == [*common, "Requested"]
    assert types(client.get(path(id), headers=admin).json())[-2:] == [
        "Requested",
        "RequestWithdrawn",
    ]


def test_an_erased_history_is_410(client: TestClient, world: World) -> None:
    """Every route of an erased transcription answers 410."""
    id = world.failed()
    with world.request_store.postgres.transaction() as connection:
        connection.execute(
            "insert into ytcaption.tombstone (id_sha256) "
            "values (encode(sha256(convert_to(%s, 'UTF8')), 'hex'))",
            (id,),
        )
    answer = client.get(path(id))
    assert (answer.status_code, answer.json()["code"]) == (410, "transcription_erased")


def test_a_cancel_belongs_to_the_trace_that_requested_it(client: TestClient, world: World) -> None:
    """Not to the one that queued it; without a trace it belongs to that one."""
    queued = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    ids = [
        client.post("/api/v1/transcriptions", json={"url": url}, headers=queued).json()["id"]
        for url in (LINK, "https://youtu.be/aaaaaaaaaaa")
    ]
    client.post(f"/api/v1/transcriptions/{ids[0]}/cancel", headers=TRACE)
    postgres: Postgres = world.request_store.postgres
    TranscriptionActions(postgres).cancel(ids[1], None)
    last = [client.get(path(id)).json()["items"][-1] for id in ids]
    assert [item["event_type"] for item in last] == ["Canceled", "Canceled"]
    assert [item["trace_id"] for item in last] == [TRACE_ID, "ab" * 16]
