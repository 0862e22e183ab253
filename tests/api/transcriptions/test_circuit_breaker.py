"""Failing sites, as clients and operators see them."""

from datetime import UTC, datetime, time, timedelta

import psycopg
import pytest
from fastapi.testclient import TestClient

from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.support.servers.postgres_servers import DatabaseServer
from ytcaption.domain.media.pacing import Pacing, PerSite, QuietHours

LINK = {"url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"}


def post(client: TestClient, action: str, **body: object):
    return client.post(f"/api/v1/admin/breakers/{action}", json=body)


def test_a_request_is_accepted_and_says_what_it_waits_for(
    client: TestClient, request_store: RequestStore
) -> None:
    """202 as usual; the status, the list and the events give the reason."""
    assert post(client, "open", site="youtu.be", reason="A secret.").status_code == 200
    accepted = client.post("/api/v1/transcriptions", json=LINK)
    assert accepted.status_code == 202
    url = accepted.json()["status_url"]
    waiting = client.get(url).json()["waiting_for"]
    assert (waiting["code"], waiting["until"]) == ("source_paused", None)
    assert "An operator has stopped downloads from youtube.com." in waiting["message"]
    assert "secret" not in client.get(url).text
    listed = client.get("/api/v1/transcriptions").json()["items"]
    assert [item["waiting_for"] for item in listed] == [waiting]
    assert request_store.due(10) == []
    assert post(client, "close", site="https://m.youtube.com/x").json() == {"breakers": []}
    assert client.get(url).json()["waiting_for"] is None
    assert len(request_store.due(10)) == 1


@pytest.mark.long
def test_operators_see_a_failing_site(
    client: TestClient, request_store: RequestStore, run_store: RunStore
) -> None:
    """In the list, the overview and the metrics."""
    for number in range(5):
        link = {"url": f"https://vimeo.com/{1000 + number}"}
        id = client.post("/api/v1/transcriptions", json=link).json()["id"]
        run_store.claim(id, f"run-{number}")
        run_store.begin_download(id, f"run-{number}", 2)
        run_store.fail(id, f"run-{number}", "source_blocked", "No.", True, 4)
    (seen,) = client.get("/api/v1/admin/breakers").json()["breakers"]
    assert (seen["site"], seen["state"], seen["failures"]) == ("vimeo.com", "open", 5)
    assert (seen["code"], seen["waiting"], seen["opened_by"]) == ("source_blocked", 5, None)
    assert client.get("/api/v1/admin/overview").json()["breakers"] == [seen]
    metrics = client.get("/metrics").text
    assert 'ytcaption_breaker{site="vimeo.com",state="open"} 1.0' in metrics
    status = client.get(f"/api/v1/transcriptions/{id}").json()
    assert status["waiting_for"]["until"] == seen["probe_at"]
    assert status["error"]["code"] == "source_blocked"


def test_bulk_work_says_why_it_waits_and_until_when(
    client: TestClient, request_store: RequestStore
) -> None:
    """In its status and in the overview; an interactive request for it does not wait."""
    id = client.post("/api/v1/transcriptions", json=LINK | {"priority": "bulk"}).json()["id"]
    now = datetime.now(UTC)
    start, end = (now + timedelta(hours=hours) for hours in (-2, 2))
    quiet = QuietHours(time(start.hour, start.minute), time(end.hour, end.minute))
    assert request_store.due(10, pacing=Pacing(quiet_hours=PerSite(quiet))) == []
    waiting = client.get(f"/api/v1/transcriptions/{id}").json()["waiting_for"]
    assert waiting["code"] == "source_resting"
    assert datetime.fromisoformat(waiting["until"]) == end.replace(second=0, microsecond=0)
    assert waiting["message"].startswith("These are the quiet hours of youtube.com")
    (throttled,) = client.get("/api/v1/admin/overview").json()["throttled_sites"]
    assert throttled == {
        "site": "youtube.com",
        "code": "quiet_hours",
        "message": waiting["message"],
        "until": waiting["until"],
        "waiting": 1,
    }
    client.post("/api/v1/transcriptions", json=LINK)  # now it is interactive
    assert client.get(f"/api/v1/transcriptions/{id}").json()["waiting_for"] is None


def test_who_opened_and_closed_a_breaker_is_recorded(
    client: TestClient, database_server: DatabaseServer
) -> None:
    """As events; an unlisted host is recorded as a hash."""
    post(client, "open", site="secret-host.example")
    post(client, "close", site="secret-host.example")
    with psycopg.connect(database_server.superuser_url) as connection:
        rows = connection.execute(
            "select event_type, data from ytcaption.event where transcription_id is null "
            'order by "timestamp"'
        ).fetchall()
    assert [name for name, _ in rows] == ["BreakerOpened", "BreakerClosed"]
    assert {data["by"] for _, data in rows} == {"local"}
    assert all(data["site"].startswith("host-") for _, data in rows)


@pytest.mark.parametrize("site", ["", "no site", "ftp://a.org", "a\x00b.org", "-"])
@pytest.mark.parametrize("action", ["open", "close"])
def test_an_invalid_site_is_refused(client: TestClient, action: str, site: str) -> None:
    """The detail says what would be right."""
    answer = post(client, action, site=site)
    assert answer.status_code == 422
    assert answer.json()["code"] in ("invalid_url", "invalid_request")
