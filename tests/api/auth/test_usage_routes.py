"""Quotas, and how `GET /api/v1/usage` reports them."""

import threading
from collections.abc import Callable

import pytest

from resources.auth.api_keys import ApiKeys
from resources.postgres.connection import Postgres
from tests.api.conftest import Start, World
from ytcaption.domain.caller import Limits
from ytcaption.settings.settings import Settings

PATH = "/api/v1/transcriptions"
USAGE = "/api/v1/usage"

Key = Callable[..., dict[str, str]]


@pytest.fixture
def key(settings: Settings) -> Key:
    """Return a function that creates a key and returns its header."""

    def make(**limits: int) -> dict[str, str]:
        keys = ApiKeys.from_settings(settings)
        token = keys.create("k", ["read", "write"], limits=Limits(**limits)).token
        return {"Authorization": f"Bearer {token}"}

    return make


def link(n: int) -> dict[str, object]:
    """Return a request for another video for each number."""
    return {"url": f"https://youtu.be/{n:011}", "model": "base"}


def finish(world: World, settings: Settings, id: str, minutes: float) -> None:
    """Complete it as a run would, with this much audio."""
    world.run_store.claim(id, "run")
    with Postgres.from_settings(settings, "admin").transaction() as connection:
        connection.execute(
            "update ytcaption.transcription set duration_s = %s, document_key = 'k', "
            "document_sha256 = 's' where id = %s",
            (minutes * 60, id),
        )
    world.run_store.complete(id, "run")


def test_open_on_loopback_nothing_is_limited(start: Start) -> None:
    """The quotas of the settings apply to keys."""
    client = start(concurrent_transcriptions=1, audio_minutes_per_day=1)
    assert [client.post(PATH, json=link(n)).status_code for n in range(3)] == [202] * 3

    usage = client.get(USAGE)

    assert usage.headers["Cache-Control"] == "no-store"
    assert usage.json() == {
        "owner": "local",
        "scopes": ["read", "write", "admin"],
        "requests": None,
        "unfinished_transcriptions": 3,
        "audio_minutes_last_24_h": 0,
        "limits": dict.fromkeys(
            ("requests_per_minute", "concurrent_transcriptions", "audio_minutes_per_day")
        ),
    }


def test_usage_is_the_callers_own(start: Start, key: Key) -> None:
    """It counts the caller's, not others', and shows the limits in force: the key's, else the
    settings'."""
    mine, theirs = key(requests_per_minute=50, concurrent_transcriptions=9), key()
    client = start(audio_minutes_per_day=600)
    client.post(PATH, json=link(1), headers=mine)
    client.post(PATH, json=link(2), headers=mine)
    client.post(PATH, json=link(2), headers=theirs)

    usage = client.get(USAGE, headers=mine).json()

    assert usage["unfinished_transcriptions"] == 2
    assert client.get(USAGE, headers=theirs).json()["unfinished_transcriptions"] == 1
    assert usage["scopes"] == ["read", "write"]
    assert usage["requests"]["limit"] == 50
    assert usage["requests"]["remaining"] == 47  # this one is counted, looking is not
    assert usage["limits"] == {
        "requests_per_minute": 50,
        "concurrent_transcriptions": 9,
        "audio_minutes_per_day": 600,
    }


@pytest.mark.long
def test_unfinished_transcriptions_are_limited(
    start: Start, key: Key, world: World, settings: Settings
) -> None:
    """The third is 429; existing ones may be requested again, and a finished one makes room."""
    headers, other = key(concurrent_transcriptions=2), key()
    client = start()
    ids = [client.post(PATH, json=link(n), headers=headers).json()["id"] for n in range(2)]
    made = client.post(PATH, json=link(7), headers=other).json()["id"]
    finish(world, settings, made, 1)

    refused = client.post(PATH, json=link(3), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert int(refused.headers["Retry-After"]) > 0
    assert client.post(PATH, json=link(3), headers=other).status_code == 202
    assert client.post(PATH, json=link(1), headers=headers).status_code == 202
    assert client.post(PATH, json=link(7), headers=headers).status_code == 202
    assert client.get(USAGE, headers=headers).json()["unfinished_transcriptions"] == 2

    finish(world, settings, ids[0], 1)
    assert client.post(PATH, json=link(3), headers=headers).status_code == 202


def test_a_refused_request_leaves_nothing(start: Start, key: Key, settings: Settings) -> None:
    """No row, no event; the same Idempotency-Key may be used later."""
    headers = key(concurrent_transcriptions=1)
    client = start()
    client.post(PATH, json=link(1), headers=headers)
    again = headers | {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}

    for _ in range(2):
        assert client.post(PATH, json=link(2), headers=again).status_code == 429

    with Postgres.from_settings(settings, "admin").transaction() as connection:
        row = connection.execute(
            "select (select count(*) from ytcaption.request) as requests, "
            "(select count(*) from ytcaption.transcription) as transcriptions, "
            "(select count(*) from ytcaption.idempotency) as kept"
        ).fetchone()
    assert row == {"requests": 1, "transcriptions": 1, "kept": 0}


def test_a_batch_is_accepted_up_to_the_quota(start: Start, key: Key) -> None:
    """The first items, each id counted once; the others are refused separately."""
    headers = key(concurrent_transcriptions=3)
    client = start()
    client.post(PATH, json=link(0), headers=headers)

    batch = {"items": [link(n) for n in (0, 1, 1, 2, 3, 4)]}
    answer = client.post(f"{PATH}/batch", json=batch, headers=headers)

    items = answer.json()["items"]
    assert [item["status"] for item in items] == [202] * 4 + [429] * 2
    assert {item["problem"]["code"] for item in items[4:]} == {"quota_exceeded"}
    assert client.get(USAGE, headers=headers).json()["unfinished_transcriptions"] == 3


@pytest.mark.long
def test_two_at_once_are_counted_as_two(start: Start, key: Key) -> None:
    """Sixteen concurrent requests in two processes: as many as allowed, and not one more."""
    headers = key(concurrent_transcriptions=5)
    clients = [start(), start()]
    answers: list[int] = []

    def ask(n: int) -> None:
        answers.append(clients[n % 2].post(PATH, json=link(n), headers=headers).status_code)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [202] * 5 + [429] * 11


def test_minutes_of_audio_per_day(start: Start, key: Key, world: World, settings: Settings) -> None:
    """Counted on completion, for each who waited; beyond the limit is 429 until the first is a day
    old."""
    headers, other, free = key(audio_minutes_per_day=10), key(audio_minutes_per_day=10), key()
    client = start()
    first = client.post(PATH, json=link(1), headers=headers).json()["id"]
    client.post(PATH, json=link(1), headers=other)
    finish(world, settings, first, 9)
    assert client.get(USAGE, headers=headers).json()["audio_minutes_last_24_h"] == 9
    assert client.get(USAGE, headers=other).json()["audio_minutes_last_24_h"] == 9
    assert client.get(USAGE, headers=free).json()["audio_minutes_last_24_h"] == 0
    assert client.post(PATH, json=link(1), headers=free).status_code == 202  # is made already
    assert client.get(USAGE, headers=free).json()["audio_minutes_last_24_h"] == 0

    second = client.post(PATH, json=link(2), headers=headers)
    assert second.status_code == 202
    finish(world, settings, second.json()["id"], 2.5)

    refused = client.post(PATH, json=link(3), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert 24 * 3600 - 60 < int(refused.headers["Retry-After"]) <= 24 * 3600
    assert client.post(PATH, json=link(2), headers=headers).status_code == 202  # is made already

    with Postgres.from_settings(settings, "admin").transaction() as connection:
        connection.execute(
            "update ytcaption.audio_use set used_at = used_at - interval '24 hours' "
            "where id_sha256 = encode(sha256(convert_to(%s, 'UTF8')), 'hex')",
            (first,),
        )
    assert client.get(USAGE, headers=headers).json()["audio_minutes_last_24_h"] == 2.5
    assert client.post(PATH, json=link(3), headers=headers).status_code == 202


def test_erased_audio_still_counts(
    start: Start, key: Key, world: World, settings: Settings
) -> None:
    """Otherwise erasing would give unlimited minutes."""
    headers = key(audio_minutes_per_day=10)
    client = start()
    id = client.post(PATH, json=link(1), headers=headers).json()["id"]
    finish(world, settings, id, 12)
    with Postgres.from_settings(settings, "admin").transaction() as connection:
        connection.execute("delete from ytcaption.request")
        connection.execute("delete from ytcaption.transcription")

    assert client.get(USAGE, headers=headers).json()["audio_minutes_last_24_h"] == 12
    assert client.post(PATH, json=link(2), headers=headers).status_code == 429
