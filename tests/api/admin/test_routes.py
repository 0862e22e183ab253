"""The routes of operators."""

import json
import time
from datetime import UTC, datetime

import dagster as dg
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.transcriptions import pauses
from resources.auth.api_keys import ApiKeys
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.store import RequestStore
from tests.api.conftest import BASE_URL, DatabaseSwitch, World
from tests.support.patience import patience, wait_for
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings.settings import Settings

LINK = {"url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"}


def post(client: TestClient, action: str, **body: object):
    return client.post(f"/api/v1/admin/{action}", json=body)


def test_the_overview(client: TestClient, world: World) -> None:
    """It shows what runs and what failed."""
    id = world.running(media_id="youtube-bbbbbbbbbbb")
    world.failed()
    answer = client.get("/api/v1/admin/overview")
    assert answer.status_code == 200
    seen = answer.json()
    assert seen["counts"]["running"] == seen["counts"]["failed"] == 1
    assert [each["id"] for each in seen["running"]] == [id]
    assert seen["failures"][0]["code"] == "media_private"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.long
def test_failed_ones_are_queued_again(
    client: TestClient, world: World, request_store: RequestStore
) -> None:
    """Those that match the filter; the response names them."""
    id = world.failed("source_blocked")
    none = post(client, "retry", code="media_private")
    assert (none.status_code, none.json()) == (200, {"number": 0, "ids": []})
    later = post(client, "retry", created_after=datetime(2999, 1, 1, tzinfo=UTC).isoformat())
    assert later.json()["number"] == 0
    assert post(client, "retry", code="source_blocked").json() == {"number": 1, "ids": [id]}
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.QUEUED


def test_queued_ones_are_canceled_unless_it_is_a_dry_run(
    client: TestClient, world: World, request_store: RequestStore
) -> None:
    """Listed by default; those of the chosen site only."""
    id = client.post("/api/v1/transcriptions", json=LINK).json()["id"]
    world.running(media_id="youtube-bbbbbbbbbbb")
    assert post(client, "cancel", site="vimeo.com").json()["number"] == 0
    listed = post(client, "cancel", site="youtube.com")
    assert (listed.status_code, listed.json()) == (
        200,
        {"number": 1, "ids": [id], "dry_run": True},
    )
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.QUEUED
    assert post(client, "cancel", site="youtube.com", dry_run=False).json()["number"] == 1
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.CANCELED
    assert post(client, "cancel", status="failed").status_code == 422


def test_paused_intake_refuses_requests_and_answers_everything_else(
    client: TestClient, world: World
) -> None:
    """503 with Retry-After; existing transcriptions can be read; resumed, it accepts again."""
    id = world.completed()
    paused = post(client, "pause", part="intake", reason="Moving house.")
    assert paused.status_code == 200
    assert [each["part"] for each in paused.json()["paused"]] == ["intake"]
    refused = client.post("/api/v1/transcriptions", json=LINK)
    assert (refused.status_code, refused.json()["code"]) == (503, "intake_paused")
    assert int(refused.headers["Retry-After"]) > 0
    assert "Moving" not in refused.text
    assert client.get(f"/api/v1/transcriptions/{id}").status_code == 200
    assert post(client, "resume", part="intake").json()["paused"] == []
    assert client.post("/api/v1/transcriptions", json=LINK).status_code == 202


def submit_status(client: TestClient) -> int:
    """Return the status of the answer to a request."""
    return client.post("/api/v1/transcriptions", json=LINK).status_code


@pytest.mark.slow
def test_another_process_sees_a_pause_within_two_seconds(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sees the end of the pause as fast."""
    with TestClient(create_app(settings), base_url=BASE_URL) as other:
        assert submit_status(client) == 202
        for action, status in (("pause", 503), ("resume", 202)):
            post(other, action, part="intake")
            wait_for(lambda status=status: submit_status(client) == status, 2)


@pytest.mark.long
def test_a_paused_pool_has_no_slots(settings: Settings, dagster_home) -> None:
    """At once if Dagster's storage answers, and its slots are restored afterwards."""
    with (
        TestClient(create_app(settings), base_url=BASE_URL) as client,
        dg.DagsterInstance.get() as i,
    ):

        def limits() -> dict[str, int | None]:
            return {each.name: each.limit for each in i.event_log_storage.get_pool_limits()}

        assert post(client, "pause", part="download").json()["applied"] is True
        assert limits()["download"] == 0
        assert limits()["transcription"] == settings.transcriptions_at_once
        assert post(client, "resume", part="download").json() == {"paused": [], "applied": True}
        assert limits()["download"] == settings.runs.download_slots


def test_without_dagsters_storage_the_pause_is_stored(
    client: TestClient, postgres: Postgres
) -> None:
    """`applied` says that the sensor must apply it."""
    answer = post(client, "pause", part="transcription", reason="Cooling.")
    assert answer.status_code == 200
    assert answer.json()["applied"] is False
    with postgres.transaction() as connection:
        row = connection.execute("select * from ytcaption.pause").fetchone()
    assert row is not None
    assert (row["part"], row["reason"], row["paused_by"]) == ("transcription", "Cooling.", "local")


def test_a_hanging_dagster_storage_does_not_delay_a_pause(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause is answered in time."""
    monkeypatch.setattr(pauses, "APPLY_TIMEOUT_S", 0.2)
    parts = client.app.state.parts  # type: ignore[attr-defined]
    monkeypatch.setattr(
        parts.pause_control._orchestrator, "follow_pauses", lambda *_: time.sleep(2) or True
    )
    began = time.monotonic()
    assert post(client, "pause", part="download").json()["applied"] is False
    assert time.monotonic() - began < 1.5 * patience()


@pytest.mark.slow
def test_without_the_database_a_pause_is_503(
    database_switch: DatabaseSwitch,
) -> None:
    """Every route answers 503 without the database."""
    with TestClient(create_app(database_switch.settings), base_url=BASE_URL) as client:
        database_switch.off()
        answer = post(client, "pause", part="intake")
        database_switch.on()
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("pause", {"part": "everything"}),
        ("pause", {"part": "intake", "reason": "a\x00b"}),
        ("pause", {"part": "intake", "reason": "\ud800"}),
        ("resume", {}),
        ("retry", {"status": "completed"}),
        ("retry", {"created_after": "2026-01-01T00:00:00"}),
        ("retry", {"colour": "red"}),
    ],
)
def test_invalid_requests_are_refused(
    client: TestClient, action: str, body: dict[str, object]
) -> None:
    """They are answered with 422, and nothing is done."""
    content = json.dumps(body)
    headers = {"Content-Type": "application/json"}
    answer = client.post(f"/api/v1/admin/{action}", content=content, headers=headers)
    assert answer.status_code == 422


@pytest.mark.slow
def test_operators_only(client: TestClient, settings: Settings, world: World) -> None:
    """Once keys exist: 401 without one, 403 with another scope; the owner is recorded."""
    keys = ApiKeys(Postgres.from_settings(settings, "api"))
    secrets = {scope: keys.create(scope, {scope}).token for scope in ("write", "admin")}

    def ask(method: str, path: str, scope: str | None, **more: object):
        headers = {"Authorization": f"Bearer {secrets[scope]}"} if scope else {}
        return client.request(method, path, headers=headers, **more)  # type: ignore[arg-type]

    wait_for(lambda: ask("GET", "/metrics", None).status_code != 200, 61)
    routes = [
        ("GET", "/metrics", None),
        ("GET", "/api/v1/admin/overview", None),
        ("POST", "/api/v1/admin/retry", {}),
        ("POST", "/api/v1/admin/resume", {"part": "intake"}),
        ("POST", "/api/v1/admin/pause", {"part": "download"}),
    ]
    for method, path, body in routes:
        assert ask(method, path, None, json=body).status_code == 401
        assert ask(method, path, "write", json=body).status_code == 403
        assert ask(method, path, "admin", json=body).status_code == 200, path
    seen = ask("GET", "/api/v1/admin/overview", "admin").json()
    assert seen["pauses"][0]["paused_by"].startswith("key:")


@pytest.mark.long
def test_a_purge_over_http(settings: Settings, dagster_home, world: World) -> None:
    """A dry run first, then the same for real; the transcription is 410 afterwards."""
    id = world.failed()
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        assert post(client, "purge").status_code == 422
        dry = {"dry_run": True, "number": 1, "ids": [id], "erased": 0}
        assert post(client, "purge", status="failed").json() == dry
        done = post(client, "purge", status="failed", dry_run=False)
        assert done.json() == dry | {"dry_run": False, "erased": 1}
        assert client.get(f"/api/v1/transcriptions/{id}").status_code == 410
