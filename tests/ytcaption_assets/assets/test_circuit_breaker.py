"""A site that refuses, from the real yt-dlp to the queue."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import dagster as dg
import pytest

from resources.download.downloader import Downloader
from resources.sites.circuit_breaker import FAILURES, breakers
from resources.transcriptions.reads import get_media, get_transcription
from tests.resources.download.downloads import downloader
from tests.support.clock import Clock, clock  # noqa: F401 - a fixture
from tests.support.servers.media_server import MediaServer
from tests.ytcaption_assets.assets.conftest import Graph
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus

DOWNLOAD = ["audio_download"]


@pytest.mark.slow
def test_after_five_refusals_the_breaker_opens_until_a_probe(
    clock: Clock, graph: Graph, media_server: MediaServer
):
    """The sixth run does not reach the site and costs no attempt; a minute later one does, and
    succeeds. Transcriptions whose audio is stored are not delayed."""

    def run(key: str) -> str | None:
        graph.run(
            key, attempt=get_transcription(graph.store.postgres, key).attempt, selection=DOWNLOAD
        )
        return get_transcription(graph.store.postgres, key).error_code

    stored = graph.submit(media_server.url("jfk.flac"))
    run(stored)
    for number in range(FAILURES):
        key = graph.submit(media_server.url("status/403", n=number))
        assert run(key) == "source_blocked"
    (breaker,) = breakers(graph.store.postgres)
    assert (breaker.site, breaker.state) == (f"127.0.0.1:{media_server.port}", "open")
    request_count = len(media_server.requests)
    good = graph.submit(media_server.url("sonnet-en.mp3"))
    result = graph.run(good, attempt=1, selection=DOWNLOAD)
    held = graph.instance.get_run_by_id(result.run_id)
    assert held is not None and held.status is dg.DagsterRunStatus.CANCELED, "nothing failed"
    row = get_transcription(graph.store.postgres, good)
    assert (row.status, row.try_number, row.error_code) == (TranscriptionStatus.QUEUED, 1, None)
    assert len(media_server.requests) == request_count
    other = get_media(
        graph.store.postgres, get_transcription(graph.store.postgres, stored).media_id
    ).source
    again = graph.store.submit(other, TranscriptionOptions("tiny", "de")).transcription.id
    assert graph.run(again, attempt=1, selection=DOWNLOAD).success
    assert len(media_server.requests) == request_count
    clock.forward(61)
    assert run(good) is None
    assert len(media_server.requests) > request_count
    assert breakers(graph.store.postgres) == []


@pytest.mark.long
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_heeded(graph: Graph, media_server: MediaServer, form: str):
    """It may be a number or a date, and counts for an hour at most."""
    date = format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)
    given = {"seconds": "120", "date": date}[form]
    key = graph.submit(media_server.url("status/429", retry_after=given))
    graph.run(key, attempt=1, selection=DOWNLOAD)
    row = get_transcription(graph.store.postgres, key)
    assert row.error_code == "source_blocked"
    wait_s = (row.next_attempt_at - row.updated_at).total_seconds()
    wanted_s = {"seconds": 120, "date": 3600}[form]
    assert wanted_s <= wait_s <= wanted_s + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    ["status/500/a.flac?retry_after=90", "stall/jfk.flac?after=9000", "cut/jfk.flac?after=1"],
)
def test_a_failing_site_is_tried_again(
    graph: Graph, media_server: MediaServer, monkeypatch: pytest.MonkeyPatch, path: str
):
    """Retries within yt-dlp count once; the site's Retry-After is kept."""
    impatient = downloader(socket_timeout_s=0.5)
    monkeypatch.setattr(Downloader, "from_settings", lambda settings: impatient)
    key = graph.submit(media_server.url("") + path)
    graph.run(key, attempt=1, selection=DOWNLOAD)
    row = get_transcription(graph.store.postgres, key)
    assert (row.status, row.error_code) == (TranscriptionStatus.QUEUED, "source_unavailable")
    wait_s = (row.next_attempt_at - row.updated_at).total_seconds()
    assert (wait_s >= 90) if "retry_after" in path else (1 <= wait_s < 2)
    (breaker,) = breakers(graph.store.postgres)
    assert (breaker.failures, breaker.state) == (1, "closed")
