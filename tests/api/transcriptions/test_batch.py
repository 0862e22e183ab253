"""Batches: many requests in one body."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.auth.rate_limit import RateLimiter
from resources.auth.api_keys import ApiKeys
from resources.transcriptions.listing import ListFilter, transcription_page
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.store import RequestStore
from tests.api.conftest import BASE_URL, World
from tests.api.keys import Keys
from tests.support.transcription_events import transcription_events
from ytcaption.domain.caller import Limits
from ytcaption.settings.settings import Settings

PATH = "/api/v1/transcriptions/batch"
URL = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


def link(number: int) -> str:
    """Return the link of a video."""
    return f"https://www.youtube.com/watch?v={number:011d}"


def test_each_item_is_answered_separately(client: TestClient, request_store: RequestStore) -> None:
    """A wrong item is reported in its position and does not affect the others."""
    items: list[Any] = [
        {"url": URL, "metadata": {"n": 0}},
        {"url": "ftp://example.org/a.mp3"},
        {"url": link(2), "model": "huge"},
        {"url": link(3), "colour": "red"},
        "no object",
        {"youtube_url": link(5), "priority": "bulk", "language": "German"},
        {"url": link(6), "metadata": {"x": "\x00"}},
        {"url": link(7), "metadata": {"x": "y" * 5_000}},
    ]

    answer = client.post(PATH, json={"items": items})

    body = answer.json()
    assert answer.status_code == 207
    assert (body["accepted"], body["refused"]) == (2, 6)
    assert [item["index"] for item in body["items"]] == list(range(8))
    assert [item["status"] for item in body["items"]] == [202, *[422] * 4, 202, 422, 422]
    codes = [(item["problem"] or {}).get("code") for item in body["items"]]
    assert codes[1:5] == ["invalid_url", "unknown_model", "invalid_request", "invalid_request"]
    colour = body["items"][3]["problem"]
    assert colour["errors"][0]["pointer"] == "#/items/3/colour"
    assert colour["detail"] == (
        "The request is not valid. #/items/3/colour: Extra inputs are not permitted."
    )
    assert body["items"][1]["transcription"] is None
    taken = body["items"][0]["transcription"]
    assert client.get(taken["status_url"]).json()["metadata"] == {"n": 0}
    assert (
        get_transcription(request_store.postgres, body["items"][5]["transcription"]["id"]).priority
        == "bulk"
    )
    assert len(transcription_page(request_store.postgres)) == 2


def test_equal_items_share_one_transcription(
    client: TestClient, request_store: RequestStore, world: World
) -> None:
    """Among themselves and with existing ones; a failed one is queued once."""
    failed = world.failed()

    items = client.post(PATH, json={"items": [{"url": URL}, {"url": link(1)}] * 3}).json()["items"]

    taken = [item["transcription"] for item in items]
    assert {each["id"] for each in taken[0::2]} == {failed}
    assert len({each["id"] for each in taken}) == 2
    assert len({each["request_id"] for each in taken}) == 6
    assert {each["status"] for each in taken} == {"queued"}
    assert get_transcription(request_store.postgres, failed).attempt == 2
    for id in {each["id"] for each in taken}:
        events = [event.event_type for event in transcription_events(request_store.postgres, id)]
        assert events[-4:] == [
            "Requested", "Queued", "Requested", "Requested",
        ]  # fmt: skip


def test_a_thousand_items_are_accepted_at_once(
    client: TestClient, request_store: RequestStore
) -> None:
    """In well under a client's timeout; 1,001 items are refused."""
    items = [{"url": link(number), "metadata": {"n": number}} for number in range(1_000)]
    began = time.monotonic()
    body = client.post(PATH, json={"items": items}).json()
    took_s = time.monotonic() - began

    assert (body["accepted"], body["refused"]) == (1_000, 0)
    assert took_s < 5
    found = transcription_page(
        request_store.postgres, filter=ListFilter(metadata=(("n", "999", 999),))
    )
    assert [detail.transcription.id for detail in found] == [
        body["items"][999]["transcription"]["id"]
    ]

    for wrong in ([], [{"url": URL}] * 1_001):
        refused = client.post(PATH, json={"items": wrong})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


def test_a_batch_may_be_larger_than_a_request(client: TestClient) -> None:
    """Up to 4 MiB; a single request is limited to 64 KiB."""
    items = [{"url": link(number), "metadata": {"x": "y" * 3_000}} for number in range(500)]
    assert client.post(PATH, json={"items": items}).json()["accepted"] == 500

    refused = client.post(PATH, json={"items": items * 3})
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    single = client.post("/api/v1/transcriptions", json={"url": URL, "hotwords": "x" * 70_000})
    assert single.status_code == 413


def test_a_repeated_batch_adds_nothing(client: TestClient, request_store: RequestStore) -> None:
    """With a key the answer is the first one, including refusals; another body is refused."""
    headers = {"Idempotency-Key": "batch-1"}
    items = [{"url": URL}, {"url": "nonsense"}, {"url": link(1), "colour": 1}, {"url": link(1)}]

    def post(items: list[dict[str, Any]]) -> dict[str, Any]:
        body = client.post(PATH, json={"items": items}, headers=headers).json()
        for item in body.get("items", ()):
            (item["problem"] or {}).pop("request_id", None)  # of the answer, not of the item
        return body

    first = post(items)
    assert (first["accepted"], first["refused"]) == (2, 2)
    assert post(items) == first
    count = "select count(*) as n from ytcaption.request"
    assert request_store.postgres.rows(count, {}) == [{"n": 2}]
    assert post(items[:1])["code"] == "idempotency_mismatch"


def test_what_goes_beyond_the_quota_is_refused(settings: Settings, keys: Keys) -> None:
    """The first items are accepted, up to the quota."""
    limited = settings.changed(concurrent_transcriptions=3)
    with TestClient(create_app(limited), base_url=BASE_URL) as client:
        items = [{"url": link(number)} for number in range(5)]
        body = client.post(PATH, json={"items": items}, headers=keys.header("anna")).json()

    assert [item["status"] for item in body["items"]] == [202, 202, 202, 429, 429]
    assert body["items"][3]["problem"]["code"] == "quota_exceeded"


@pytest.mark.long
def test_each_item_counts_as_a_request(settings: Settings) -> None:
    """A batch that does not fit is refused as a whole; a large one is accepted once a minute.

    A repeated one with the same key is not counted again.
    """
    api_keys = ApiKeys.from_settings(settings)
    limits = Limits(requests_per_minute=20)
    small, large = (
        {"Authorization": f"Bearer {api_keys.create(name, ['write'], limits=limits).token}"}
        for name in ("small", "large")
    )
    with TestClient(create_app(settings), base_url=BASE_URL) as client:

        def post(number: int, headers: dict[str, str]) -> httpx.Response:
            items = [{"url": link(each)} for each in range(number)]
            return client.post(PATH, json={"items": items}, headers=headers)

        once = small | {"Idempotency-Key": "once"}
        first = post(10, once)
        assert (first.status_code, first.json()["accepted"]) == (207, 10)
        assert left_of(first) in (10, 11)  # more, if a minute has just begun
        assert left_of(post(10, once)) in (9, 10)
        refused = post(11, small)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert 0 < int(refused.headers["Retry-After"]) <= 60
        assert post(5, small).status_code == 207

        assert (accepted := post(50, large)).json()["accepted"] == 50
        assert left_of(accepted) == 0
        assert post(1, large).status_code == 429


def test_a_large_batch_is_accepted_once_a_minute() -> None:
    """Beside other requests, too; each caller has a limit of its own."""

    async def count() -> None:
        limiter = RateLimiter(None)
        assert (await limiter.hit("key:a", 20)).allowed
        first = await limiter.hit_batch("key:a", 20, 999)
        assert (first.allowed, first.remaining) == (True, 0)
        second = await limiter.hit_batch("key:a", 20, 999)
        assert not second.allowed and 0 < second.reset_s <= 60
        assert (await limiter.hit_batch("key:b", 20, 999)).allowed

    asyncio.run(count())


def left_of(answer: httpx.Response) -> int:
    """Return the requests that are left by the header RateLimit."""
    return int(answer.headers["RateLimit"].split("r=")[1].split(";")[0])


def test_a_batch_needs_the_scope_write(settings: Settings, keys: Keys) -> None:
    """A reader's key is refused."""
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        answer = client.post(PATH, json={"items": [{"url": URL}]}, headers=keys.header("reader"))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
