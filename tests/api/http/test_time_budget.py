"""What a client gets from a database that hangs or accepts no changes."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import World
from tests.support.frozen import frozen, read_only
from tests.support.patience import patience
from tests.support.servers.postgres_servers import DatabaseServer

URL = {"url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"}


def within_5_s(client: TestClient, method: str, path: str, **options: object) -> httpx.Response:
    """The answer, which came in time."""
    began = time.monotonic()
    answer = client.request(method, path, **options)
    assert time.monotonic() - began < 5.0 * max(1.0, patience() / 2)
    return answer


@pytest.mark.slow
def test_a_database_that_hangs(client: TestClient, database_server: DatabaseServer, world: World):
    """Every request is answered 503 within 5 s, and says when to try again."""
    id = world.completed()
    assert client.get(f"/api/v1/transcriptions/{id}").status_code == 200
    requests = (
        ("POST", "/api/v1/transcriptions", URL),
        ("POST", "/api/v1/transcriptions/batch", {"items": [URL]}),
        ("POST", f"/api/v1/transcriptions/{id}/cancel", None),
        ("GET", f"/api/v1/transcriptions/{id}", None),
        ("GET", "/api/v1/search?q=country", None),
        ("GET", "/api/v1/admin/overview", None),
        ("DELETE", f"/api/v1/transcriptions/{id}", None),
    )
    with frozen(database_server), ThreadPoolExecutor(len(requests)) as threads:
        sent = [
            threads.submit(within_5_s, client, method, path, json=body)
            for method, path, body in requests
        ]
        for (_, path, _), answer in zip(requests, [each.result() for each in sent], strict=True):
            assert answer.status_code == 503, (path, answer.text)
            assert answer.headers["Retry-After"] == "5"
            assert answer.json()["code"] == "database_unavailable"
        ready = within_5_s(client, "GET", "/readyz")
        assert (ready.status_code, ready.json()["dependencies"]["postgres"]["ready"]) == (
            503,
            False,
        )
    assert client.post("/api/v1/transcriptions", json=URL).status_code == 202


@pytest.mark.long
def test_a_database_that_accepts_no_changes(
    client: TestClient, database_server: DatabaseServer, world: World
):
    """What was written can be read; a request is refused with 503, and `/readyz` is false."""
    id = world.completed()
    with read_only(database_server):
        refused = client.post("/api/v1/transcriptions", json=URL)
        read = client.get(f"/api/v1/transcriptions/{id}/result?format=srt")
        ready = client.get("/readyz")
    assert (refused.status_code, refused.json()["code"]) == (503, "database_read_only")
    assert refused.headers["Retry-After"] == "5"
    assert read.status_code == 200
    assert ready.status_code == 503
    assert "no changes" in ready.json()["dependencies"]["postgres"]["reason"]
    assert client.post("/api/v1/transcriptions", json=URL).status_code == 202
