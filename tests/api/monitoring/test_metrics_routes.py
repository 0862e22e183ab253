"""Metrics, as Prometheus' own parser reads them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.monitoring import metrics as module
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.api.conftest import BASE_URL, RUN_ID, UNKNOWN_ID, DatabaseSwitch, World, transcript_of
from ytcaption.settings.settings import Settings

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every scrape query the database."""
    monkeypatch.setattr(module, "CACHED_S", 0.0)


def parsed(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"ytcaption_{name}", frozenset(labels.items())))


def scrape(client: TestClient) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return parsed(answer.text)


def test_requests_are_counted_by_route_method_and_status(client: TestClient) -> None:
    """Neither an id nor an unknown address makes a series of its own."""
    for id in (UNKNOWN_ID, f"{UNKNOWN_ID}2"):
        client.get(f"/api/v1/transcriptions/{id}")
    client.get("/nowhere/at-all")
    client.request("BREW", "/healthz")
    client.put("/healthz")
    samples = scrape(client)
    route = "/api/v1/transcriptions/{id}"
    count = "http_requests_total"
    assert value(samples, count, method="GET", route=route, status="404") == 2
    assert value(samples, count, method="GET", route="other", status="404") == 1
    assert value(samples, count, method="other", route="/healthz", status="405") == 1
    assert value(samples, count, method="PUT", route="/healthz", status="405") == 1
    latency = "http_request_duration_seconds"
    assert value(samples, f"{latency}_count", method="GET", route=route) == 2
    assert value(samples, f"{latency}_bucket", method="GET", route=route, le="+Inf") == 2
    assert not any(UNKNOWN_ID in label for _, labels in samples for _, label in labels)


def test_the_queue_is_reported_by_state_and_age(
    client: TestClient, world: World, request_store: RequestStore
) -> None:
    """Queued, running, failed by code; the age of the oldest; what is paused."""
    world.queued("youtube-aaaaaaaaaaa")
    world.running(media_id="youtube-bbbbbbbbbbb")
    world.failed("media_private")
    with request_store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.transcription set queued_at = now() - interval '90 s' "
            "where status = 'queued'"
        )
        connection.execute("insert into ytcaption.pause (part) values ('download')")
    samples = scrape(client)
    for status in ("queued", "running", "failed"):
        assert value(samples, "transcriptions", status=status) == 1
    assert 90 <= (value(samples, "oldest_seconds", status="queued") or 0) < 120
    assert 0 <= (value(samples, "oldest_seconds", status="running") or -1) < 30
    assert value(samples, "failed", code="media_private") == 1
    assert value(samples, "failures_total", code="media_private") == 1
    assert value(samples, "paused", part="download") == 1
    assert value(samples, "paused", part="intake") == 0
    assert value(samples, "up", part="postgres") == 1
    assert value(samples, "up", part="dagster_storage") == 0


def test_sums_of_audio_downloads_and_processing_outlive_their_rows(
    client: TestClient, world: World, request_store: RequestStore, run_store: RunStore
) -> None:
    """They stay when a transcription is erased."""
    assert value(scrape(client), "rtf") is None
    id = world.running()
    world.describe(id, title="Ask not")
    run_store.transcript_stored(id, RUN_ID, transcript_of(id), "document", "0" * 64, 2.2)
    run_store.complete(id, RUN_ID)
    before = scrape(client)
    assert value(before, "audio_in_seconds_total") == 11
    assert value(before, "audio_done_seconds_total") == 11
    assert value(before, "processing_seconds_total") == 2.2
    assert value(before, "rtf") == pytest.approx(0.2)
    assert value(before, "downloads_total") == 1
    assert value(before, "download_bytes_total") == 1_000
    assert value(before, "completed_total") == 1
    with request_store.postgres.transaction() as connection:
        connection.execute("delete from ytcaption.transcription")
    assert value(scrape(client), "audio_done_seconds_total") == 11


@pytest.mark.slow
def test_without_the_database_the_other_metrics_remain(database_switch: DatabaseSwitch) -> None:
    """The metrics of the queue are absent, not 0, and return with it."""
    with TestClient(create_app(database_switch.settings), base_url=BASE_URL) as client:
        assert value(scrape(client), "transcriptions", status="queued") == 0
        database_switch.off()
        away = scrape(client)
        assert value(away, "up", part="postgres") == 0
        assert value(away, "transcriptions", status="queued") is None
        assert value(away, "completed_total") is None
        assert value(away, "http_requests_total", method="GET", route="/metrics", status="200")
        database_switch.on()
        for _ in range(50):
            if value(scrape(client), "transcriptions", status="queued") == 0:
                break
        else:
            pytest.fail("the numbers did not come back")


@pytest.mark.long
def test_the_database_is_queried_once_in_five_seconds(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of scrapers makes no difference."""
    monkeypatch.setattr(module, "CACHED_S", 60.0)
    scrape(client)
    world.queued()
    assert value(scrape(client), "transcriptions", status="queued") == 0
    monkeypatch.setattr(module, "CACHED_S", 0.0)
    assert value(scrape(client), "transcriptions", status="queued") == 1


PROCESS = """
from api.monitoring.metrics import Metrics
metrics = Metrics(workers=2)
metrics.observe("GET", "/healthz", 200, 0.01)
print(metrics.text().decode())
"""


@pytest.mark.long
def test_several_processes_add_up(tmp_path: Path, settings: Settings) -> None:
    """Whichever is scraped reports all, including those that have ended."""
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for number in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", PROCESS],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        samples = parsed(done.stdout)
        found = value(samples, "http_requests_total", method="GET", route="/healthz", status="200")
        assert found == number
