"""Webhooks over the API: each owner's own, from their creation to their deliveries."""

import uuid
from typing import Any

import pytest
from fastapi.testclient import TestClient

from resources.postgres.connection import Postgres
from resources.webhooks.outbox import Attempt, Outbox
from tests.api.conftest import Start, World
from tests.api.keys import Keys
from ytcaption.settings.settings import Settings

PATH = "/api/v1/webhooks"
URL = "https://example.org/hooks/captions"
LINK = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
UNKNOWN = str(uuid.uuid4())


def made(client: TestClient, header: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    answer = client.post(PATH, json={"url": URL} | more, headers=header)
    assert answer.status_code == 201, answer.text
    return answer.json()


def failed_attempts(settings: Settings, status: int = 500) -> int:
    """Attempt everything that is due; no receiver accepts it. Return how many."""
    outbox = Outbox(Postgres.from_settings(settings, "api"))
    claimed = outbox.claim(64)
    for each in claimed:
        outbox.settle(each, Attempt("server_error", 0.1, status, "busy"))
    return len(claimed)


def dead(world: World) -> None:
    """Make every waiting delivery dead."""
    with world.request_store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.delivery set status = 'dead', settled_at = now(), attempt = 10 "
            "where status = 'waiting'"
        )


def test_the_life_of_a_webhook(client: TestClient) -> None:
    """Created, read, changed, disabled, deleted; the secret is readable with the scope `write`."""
    webhook = made(client, description="newsroom")
    assert webhook["events"] == [
        "transcription.completed",
        "transcription.failed",
        "transcription.canceled",
    ]
    one = f"{PATH}/{webhook['id']}"
    read = client.get(one).json()
    assert read == {name: value for name, value in webhook.items() if name != "secret"}
    assert client.get(PATH).json() == {"webhooks": [read]}
    assert client.get(f"{one}/secret").json() == {"secret": webhook["secret"], "earlier": []}

    changed = client.patch(one, json={"events": ["transcription.failed"], "enabled": False}).json()
    assert (changed["events"], changed["enabled"]) == (["transcription.failed"], False)
    assert changed["disabled_reason"] == "owner" and changed["description"] == "newsroom"
    refused = client.post(f"{one}/ping")
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_disabled")
    assert client.patch(one, json={"enabled": True}).json()["enabled"]

    assert client.delete(one).status_code == 204
    assert client.get(one).json()["code"] == "webhook_not_found"


def test_secrets_are_rotated(client: TestClient) -> None:
    """To a generated one or one's own; the previous one is valid for a day."""
    webhook = made(client)
    rotate = f"{PATH}/{webhook['id']}/secret/rotate"
    first = client.post(rotate, json={}).json()
    assert first["earlier"] == [webhook["secret"]]
    own = "whsec_" + "A" * 32
    assert client.post(rotate, json={"secret": own}).json()["secret"] == own
    for wrong in ("whsec_QUJD", "A" * 32, "whsec_%%%%", "whsec_" + "A" * 88):
        answer = client.post(rotate, json={"secret": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_option"), wrong


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1/", "blocked_address"),
        ("http://localhost:80/", "blocked_address"),
        ("https://[::ffff:10.0.0.1]/", "blocked_address"),
        ("http://0x7f.1/", "blocked_address"),
        ("https://example.org:8443/", "blocked_address"),
        ("https://user:pw@example.org/", "invalid_url"),
        ("ftp://example.org/", "invalid_url"),
        ("unix:///run/postgres", "invalid_url"),
        ("https://example.org/a\r\nx: y", "invalid_url"),
        ("//example.org/", "invalid_url"),
    ],
)
def test_unsafe_urls_are_refused(client: TestClient, url: str, code: str) -> None:
    """When they are given, for a webhook and for a request."""
    answer = client.post(PATH, json={"url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    body = {"url": LINK, "callback_url": url}
    answer = client.post("/api/v1/transcriptions", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert client.get("/api/v1/transcriptions").json()["items"] == []


@pytest.mark.long
def test_others_webhooks_are_404(keys: Keys, start: Start) -> None:
    """Every route answers 404, except to an admin."""
    client = start()
    webhook = made(client, keys.header("anna"))
    one = f"{PATH}/{webhook['id']}"
    pinged = client.post(f"{one}/ping", headers=keys.header("anna")).json()
    routes = [
        ("GET", one, None),
        ("PATCH", one, {"enabled": False}),
        ("DELETE", one, None),
        ("GET", f"{one}/secret", None),
        ("POST", f"{one}/secret/rotate", {}),
        ("POST", f"{one}/ping", None),
        ("GET", f"{one}/deliveries", None),
        ("POST", f"{one}/deliveries/{pinged['id']}/redeliver", None),
        ("GET", f"{PATH}/{UNKNOWN}", None),
    ]
    for method, path, body in routes:
        answer = client.request(method, path, json=body, headers=keys.header("bert"))
        assert (answer.status_code, answer.json()["code"]) == (404, "webhook_not_found"), path
    assert client.get(PATH, headers=keys.header("bert")).json() == {"webhooks": []}
    assert client.get(one, headers=keys.header("admin")).status_code == 200
    assert client.get(f"{one}/secret", headers=keys.header("reader")).status_code == 403
    again = f"{one}/deliveries/{pinged['id']}/redeliver"
    assert client.post(again, headers=keys.header("admin")).status_code == 202


def test_callbacks_of_every_kind_of_request(client: TestClient, world: World) -> None:
    """A request, a batch, an upload; their secret and deliveries are under `callbacks`."""
    body = {"url": LINK, "callback_url": URL, "callback_include": "result"}
    id = client.post("/api/v1/transcriptions", json=body).json()["id"]
    batch = {
        "items": [
            {"url": f"{LINK[:-1]}A", "callback_url": URL},
            {"url": LINK, "callback_url": "x:y"},
        ]
    }
    answered = client.post("/api/v1/transcriptions/batch", json=batch).json()["items"]
    assert [item["status"] for item in answered] == [202, 422]
    secret = client.get(f"{PATH}/callbacks/secret").json()["secret"]
    assert secret.startswith("whsec_")
    assert client.get(f"{PATH}/callbacks").json()["url"] is None
    assert client.get(PATH).json() == {"webhooks": []}
    for method, rest in (("DELETE", ""), ("POST", "/ping")):
        assert client.request(method, f"{PATH}/callbacks{rest}").status_code == 404

    client.post(f"/api/v1/transcriptions/{id}/cancel")
    [delivery] = client.get(f"{PATH}/callbacks/deliveries").json()["items"]
    assert (delivery["event"], delivery["transcription_id"], delivery["url"]) == (
        "transcription.canceled",
        id,
        URL,
    )


@pytest.mark.long
def test_the_log_of_deliveries(client: TestClient, settings: Settings) -> None:
    """Page by page with attempts; a failed one is sent again."""
    webhook = made(client)
    one = f"{PATH}/{webhook['id']}"
    ids = [client.post(f"{one}/ping").json()["id"] for _ in range(3)]
    assert failed_attempts(settings) == 3
    page = client.get(f"{one}/deliveries", params={"limit": 2}).json()
    assert [item["id"] for item in page["items"]] == ids[:0:-1]
    rest = client.get(f"{one}/deliveries", params={"cursor": page["next_cursor"]}).json()
    assert [item["id"] for item in rest["items"]] == ids[:1] and rest["next_cursor"] is None
    [attempt] = rest["items"][0]["attempts"]
    assert (attempt["outcome"], attempt["status_code"], attempt["answer"]) == (
        "server_error",
        500,
        "busy",
    )
    assert failed_attempts(settings) == 0
    assert client.post(f"{one}/deliveries/{ids[0]}/redeliver").status_code == 202
    assert failed_attempts(settings) == 1
    assert client.get(f"{one}/deliveries", params={"status": "dead"}).json()["items"] == []
    assert client.get(f"{one}/deliveries", params={"cursor": "!"}).status_code == 400
    missing = client.post(f"{one}/deliveries/{UNKNOWN}/redeliver")
    assert missing.json()["code"] == "delivery_not_found"


def test_dead_letters_belong_to_the_operators(
    keys: Keys, start: Start, world: World, settings: Settings
):
    """Admins list and resend those of any owner; metrics count them."""
    client, admin = start(), keys.header("admin")
    anna, bert = (made(client, keys.header(name)) for name in ("anna", "bert"))
    for webhook in (anna, bert):
        client.post(f"{PATH}/{webhook['id']}/ping", headers=admin)
    failed_attempts(settings)
    text = client.get("/metrics", headers=admin).text
    assert 'ytcaption_delivery_attempts_total{outcome="server_error"} 2.0' in text
    assert 'ytcaption_deliveries{status="waiting"} 2.0' in text
    assert "ytcaption_delivery_oldest_seconds" in text
    dead(world)
    path = "/api/v1/admin/deliveries"
    assert client.get(f"{path}/dead", headers=keys.header("anna")).status_code == 403
    found = client.get(f"{path}/dead", headers=admin).json()["items"]
    assert {item["owner"] for item in found} == {keys.owner("anna"), keys.owner("bert")}
    replayed = client.post(f"{path}/replay", json={"owner": keys.owner("anna")}, headers=admin)
    assert replayed.json() == {"number": 1}
    [left] = client.get(f"{path}/dead", headers=admin).json()["items"]
    assert left["webhook_id"] == bert["id"]


@pytest.mark.long
def test_a_reader_creates_no_callbacks(keys: Keys, start: Start, settings: Settings) -> None:
    """Reading changes nothing: `callbacks` exists once a request had one, or who may write asks."""
    client = start()
    one = f"{PATH}/callbacks"
    refused = client.get(one, headers=keys.header("reader"))
    assert (refused.status_code, refused.json()["code"]) == (404, "webhook_not_found")
    assert Postgres.from_settings(settings, "admin").rows("select from ytcaption.webhook", {}) == []
    assert client.get(one, headers=keys.header("anna")).status_code == 200


def test_deliveries_go_to_the_new_url(client: TestClient, settings: Settings, world: World) -> None:
    """Those that wait when it changes, and dead ones that are sent again."""
    webhook = made(client)
    one = f"{PATH}/{webhook['id']}"
    pinged = [client.post(f"{one}/ping").json()["id"]]
    dead(world)
    pinged.append(client.post(f"{one}/ping").json()["id"])
    assert client.patch(one, json={"url": "https://example.net/new"}).status_code == 200
    client.post(f"{one}/deliveries/{pinged[0]}/redeliver")
    claimed = Outbox(Postgres.from_settings(settings, "api")).claim(9)
    assert [each.url for each in claimed] == ["https://example.net/new"] * 2


def test_an_owner_has_at_most_twenty_webhooks(client: TestClient) -> None:
    """The next one is refused."""
    for _ in range(20):
        made(client)
    answer = client.post(PATH, json={"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")
