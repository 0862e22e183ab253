"""Requests with an Idempotency-Key."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from resources.postgres.connection import Postgres
from resources.transcriptions.store import RequestStore
from tests.api.conftest import BASE_URL, RUN_ID, World
from tests.api.keys import Keys
from ytcaption.settings.settings import Settings

PATH = "/api/v1/transcriptions"
URL = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
OTHER_URL = "https://www.youtube.com/watch?v=aaaaaaaaaaa"
KEY = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}


def number_of_requests(store: RequestStore) -> int:
    """Return the number of stored requests."""
    return store.postgres.rows("select count(*) as n from ytcaption.request", {})[0]["n"]


def test_the_same_again_is_answered_the_same(client: TestClient, world: World) -> None:
    """Nothing is added, and the answer is the first one, whatever has happened since."""
    first = client.post(PATH, json={"url": URL, "metadata": {"a": 1, "b": 2}}, headers=KEY)
    world.run_store.claim(first.json()["id"], RUN_ID)
    # Spaces and the order of fields make no other body.
    body = f'{{"metadata":{{"b":2,"a":1}},   "url":"{URL}"}}'
    again = client.post(PATH, content=body, headers=KEY | {"Content-Type": "application/json"})

    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Location"] == first.headers["Location"]
    assert number_of_requests(world.request_store) == 1


def test_another_body_is_refused(client: TestClient, request_store: RequestStore) -> None:
    """422, and nothing is added; without the key it is another request."""
    client.post(PATH, json={"url": URL}, headers=KEY)

    for body in ({"url": OTHER_URL}, {"url": URL, "priority": "bulk"}):
        refused = client.post(PATH, json=body, headers=KEY)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_mismatch")
    assert number_of_requests(request_store) == 1
    assert client.post(PATH, json={"url": OTHER_URL}).status_code == 202


def test_a_key_of_a_request_is_not_one_of_a_batch(client: TestClient) -> None:
    """The route counts as part of the body."""
    client.post(PATH, json={"url": URL}, headers=KEY)
    refused = client.post(f"{PATH}/batch", json={"items": [{"url": URL}]}, headers=KEY)
    assert refused.json()["code"] == "idempotency_mismatch"


def test_what_was_refused_may_be_corrected_under_the_same_key(client: TestClient) -> None:
    """A refusal stores nothing."""
    refused = client.post(PATH, json={"url": "ftp://example.org/a.mp3"}, headers=KEY)
    assert refused.status_code == 422
    assert client.post(PATH, json={"url": URL}, headers=KEY).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9", "a\tb"])
def test_a_key_is_1_to_255_printable_characters(client: TestClient, key: str) -> None:
    """The error names the header."""
    answer = client.post(
        PATH, json={"url": URL}, headers={"Idempotency-Key": key.encode("latin-1")}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == "header Idempotency-Key"


def test_the_longest_key_is_accepted(client: TestClient) -> None:
    """A key may have 255 characters, and each printable one."""
    printable = "".join(map(chr, range(0x21, 0x7F)))
    for key in ("x" * 255, printable, "a b"):
        answer = client.post(PATH, json={"url": URL}, headers={"Idempotency-Key": key})
        assert answer.status_code == 202


def test_each_owner_has_keys_of_their_own(settings: Settings, keys: Keys, world: World) -> None:
    """One key of two callers is two requests, and neither sees the other's answer."""
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        answers = {
            name: client.post(PATH, json={"url": url}, headers=KEY | keys.header(name))
            for name, url in (("anna", URL), ("bert", OTHER_URL))
        }

    assert [answer.status_code for answer in answers.values()] == [202, 202]
    assert answers["anna"].json()["id"] != answers["bert"].json()["id"]
    assert number_of_requests(world.request_store) == 2


def test_concurrent_repetitions_are_one_request(
    server_url: str, request_store: RequestStore
) -> None:
    """Twelve at the same time: one request, and twelve times its answer."""
    barrier = threading.Barrier(12)

    def post(_: int) -> httpx.Response:
        with httpx.Client(base_url=server_url) as client:
            barrier.wait()
            return client.post(PATH, json={"url": URL}, headers=KEY)

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(post, range(12)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert number_of_requests(request_store) == 1


def test_the_second_waits_for_the_first(request_store: RequestStore, client: TestClient) -> None:
    """While the first transaction is open the second has no answer, then it has the first's."""
    answers: list[httpx.Response] = []
    thread = threading.Thread(
        target=lambda: answers.append(client.post(PATH, json={"url": URL}, headers=KEY))
    )
    with request_store.postgres.transaction() as connection:
        connection.execute(
            "insert into ytcaption.idempotency (owner, key, body_sha256, answer) "
            "values ('local', %s, 'another', '[]')",
            (KEY["Idempotency-Key"],),
        )
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(10)

    assert answers[0].json()["code"] == "idempotency_mismatch"


def age(postgres: Postgres, hours: int) -> None:
    """Make all keys older."""
    with postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.idempotency set created_at = now() - make_interval(hours => %s)",
            (hours,),
        )


def test_a_key_is_new_again_after_a_day(client: TestClient, request_store: RequestStore) -> None:
    """Known at 23 hours, unknown at 24; old ones are removed along the way."""
    first = client.post(PATH, json={"url": URL}, headers=KEY).json()
    age(request_store.postgres, 23)
    assert client.post(PATH, json={"url": URL}, headers=KEY).json() == first

    age(request_store.postgres, 24)
    assert client.post(PATH, json={"url": OTHER_URL}, headers=KEY).status_code == 202

    age(request_store.postgres, 24)
    client.post(PATH, json={"url": URL}, headers={"Idempotency-Key": "other"})
    kept = request_store.postgres.rows("select key from ytcaption.idempotency", {})
    assert [row["key"] for row in kept] == ["other"]


def test_a_repetition_after_an_erasure_is_410(
    client: TestClient, request_store: RequestStore
) -> None:
    """It restores nothing and reveals nothing."""
    id = client.post(PATH, json={"url": URL}, headers=KEY).json()["id"]
    with request_store.postgres.transaction() as connection:
        connection.execute("delete from ytcaption.transcription where id = %s", (id,))

    again = client.post(PATH, json={"url": URL}, headers=KEY)

    assert (again.status_code, again.json()["code"]) == (410, "transcription_erased")
    kept = request_store.postgres.rows("select * from ytcaption.idempotency", {})
    assert "dQw4w9WgXcQ" not in str(kept)


def test_a_repetition_is_answered_while_intake_is_paused(
    settings: Settings, request_store: RequestStore
) -> None:
    """Accepted requests stay accepted; new ones are refused."""
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        first = client.post(PATH, json={"url": URL}, headers=KEY)
    with request_store.postgres.transaction() as connection:
        connection.execute("insert into ytcaption.pause (part) values ('intake')")

    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        assert client.post(PATH, json={"url": URL}).json()["code"] == "intake_paused"
        again = client.post(PATH, json={"url": URL}, headers=KEY)

    assert (again.status_code, again.json()) == (202, first.json())
