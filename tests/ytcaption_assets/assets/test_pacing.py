"""Bulk downloads at a site's pace, from the real yt-dlp to the queue."""

from pathlib import Path

import dagster as dg
import pytest

from resources.sites.pacing import throttled_sites
from resources.transcriptions.reads import get_transcription
from tests.support.servers.media_server import MediaServer
from tests.ytcaption_assets.assets.conftest import Graph
from ytcaption.domain.request import TranscriptionStatus

DOWNLOAD = ["audio_download"]
SIZE = 196_348


@pytest.mark.slow
def test_a_run_records_its_usage_and_the_next_bulk_one_waits(
    environment, graph: Graph, media_server: MediaServer
):
    """It requests nothing from the site, fails nothing and keeps its attempts; an interactive one
    goes on, and its bytes count, too."""
    environment.setenv("YTCAPTION_BULK_PAUSE_S", "600")
    first, second = (
        graph.submit(media_server.url("jfk.flac", n=number), priority="bulk") for number in range(2)
    )
    assert graph.run(first, attempt=1, selection=DOWNLOAD).success
    request_count = len(media_server.requests)
    held = graph.run(second, attempt=1, selection=DOWNLOAD)
    run = graph.instance.get_run_by_id(held.run_id)
    assert run is not None and run.status is dg.DagsterRunStatus.CANCELED
    row = get_transcription(graph.store.postgres, second)
    assert (row.status, row.try_number, row.error_code) == (TranscriptionStatus.QUEUED, 1, None)
    assert len(media_server.requests) == request_count
    urgent = graph.submit(media_server.url("jfk.flac", n=3))
    assert graph.run(urgent, attempt=1, selection=DOWNLOAD).success
    pacing = graph.settings.changed(bulk_pause_s="600").pacing
    graph.store.due(10, pacing=pacing)
    (resting,) = throttled_sites(graph.store.postgres)
    assert (resting.site, resting.code) == (f"127.0.0.1:{media_server.port}", "pause")
    (day,) = graph.store.postgres.rows("select downloads, bytes from ytcaption.site_day", {})
    # Looking at what the link is takes up to the whole of so small a file, too.
    assert day["downloads"] == 2 and 2 * SIZE <= day["bytes"] < 5 * SIZE


@pytest.mark.long
def test_cookies_that_others_may_read_stop_the_download(
    environment, graph: Graph, media_server: MediaServer, tmp_path: Path
):
    """Before any request; the requester reads which setting it is, not where the file is."""
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n")
    cookies.chmod(0o644)
    environment.setenv("YTCAPTION_COOKIES_FILE", str(cookies))
    key = graph.submit(media_server.url("jfk.flac"))
    graph.run(key, attempt=1, selection=DOWNLOAD)
    row = get_transcription(graph.store.postgres, key)
    assert (row.status, row.error_code) == (TranscriptionStatus.FAILED, "setup_error")
    assert row.error_message is not None and "YTCAPTION_COOKIES_FILE" in row.error_message
    assert str(tmp_path) not in row.error_message
    assert not media_server.requests
