"""Captions of the source instead of its audio, through the whole job."""

from dataclasses import replace

import pytest

from resources.lake.catalog import TranscriptCatalog
from resources.transcriptions.reads import get_media, get_transcription
from resources.transcriptions.run_settlement import settle_run
from tests.support.servers.captions_server import (
    SAID,
    TRACK,
    serve_stream,
)
from tests.support.servers.media_server import MediaServer
from tests.support.transcription_events import transcription_events
from tests.ytcaption_assets.assets.conftest import TINY, Graph
from tests.ytcaption_assets.assets.test_graph import document, metadata
from ytcaption.domain.media.media import MediaSource, upload_media_id
from ytcaption.domain.request import TranscriptionStatus

pytestmark = pytest.mark.model


class NoModel:
    """A transcriber that fails when it is used."""


def left(graph: Graph) -> list:
    with graph.store.postgres.transaction() as connection:
        return connection.execute("select * from ytcaption.caption_track").fetchall()


@pytest.mark.slow
def test_captions_become_the_transcript_without_a_model(graph: Graph, media_server: MediaServer):
    """Document, rows, lake, checks and history exist; audio and model are not used."""
    key = graph.submit(serve_stream(media_server, {"en": TRACK}))
    result = graph.run(key, attempt=1, resources={"transcriber": NoModel()})
    assert result.success
    row = get_transcription(graph.store.postgres, key)
    assert row.status is TranscriptionStatus.COMPLETED
    transcript = document(graph, key)
    assert [segment.text for segment in transcript.segments] == list(SAID)
    assert transcript.segments[0].words[0].text == "And"
    assert (transcript.language, transcript.duration_s > 10) == ("en", True)
    made = transcript.provenance
    assert (made.source, made.engine, made.model, made.audio_sha256) == (
        "manual_captions", "yt-dlp", "", "",
    )  # fmt: skip
    assert row.provenance == made and made.captions is not None
    assert made.captions["kind"] == "manual" and made.captions["track"] == "en"
    assert get_media(graph.store.postgres, row.media_id).audio is None
    catalog = TranscriptCatalog.from_settings(graph.settings)
    assert catalog.query("select source, model from transcripts").rows == [("manual_captions", "")]
    assert {check.check_name for check in result.get_asset_check_evaluations() if check.passed} == {
        "words_monotonic", "segments_do_not_overlap", "captions_readable", "speech_found",
        "caption_accuracy",
    }  # fmt: skip
    assert metadata(result, "transcription")["source"] == "manual_captions"
    events = [event.event_type for event in transcription_events(graph.store.postgres, key)]
    assert "CaptionsDownloaded" in events and "AudioDownloaded" not in events
    assert left(graph) == []


@pytest.mark.slow
def test_never_transcribes_the_audio(graph: Graph, media_server: MediaServer):
    """The same media item with `never` is another transcription, made of the audio; the known
    captions stay known, and other options still use them."""
    url = serve_stream(media_server, {"en": TRACK})
    assert graph.run(graph.submit(url), resources={"transcriber": NoModel()}).success
    never = graph.submit(url, replace(TINY, captions="never"))
    assert graph.run(never).success
    transcribed = document(graph, never).provenance
    assert (transcribed.source, transcribed.captions) == ("asr", None)
    anything = graph.submit(url, replace(TINY, hotwords="fellow"))
    assert graph.run(anything, resources={"transcriber": NoModel()}).success
    assert document(graph, anything).provenance.source == "manual_captions"
    assert (
        get_media(
            graph.store.postgres, get_transcription(graph.store.postgres, anything).media_id
        ).audio
        is not None
    )


@pytest.mark.long
def test_captions_that_are_demanded_are_requested_from_the_source(
    graph: Graph, media_server: MediaServer
):
    """Stored audio without known captions is transcribed, unless the options demand captions."""
    url = serve_stream(media_server, {"en": TRACK})
    first = graph.submit(url, replace(TINY, captions="never"))
    assert graph.run(first).success
    with graph.store.postgres.transaction() as connection:  # as in the time before they were noted
        connection.execute("update ytcaption.media set info = info - 'captions'")
    plain = graph.submit(url)
    assert graph.run(plain).success
    assert document(graph, plain).provenance.source == "asr"
    insisting = graph.submit(url, replace(TINY, captions="only"))
    assert graph.run(insisting, resources={"transcriber": NoModel()}).success
    assert document(graph, insisting).provenance.source == "manual_captions"


@pytest.mark.slow
def test_without_captions_the_audio_is_transcribed_and_the_reason_stored(
    graph: Graph, media_server: MediaServer
):
    """The second transcription of the media requests none from the source: it is known to have
    none."""
    url = serve_stream(media_server, {"de": TRACK})
    key = graph.submit(url)
    assert graph.run(key).success
    made = document(graph, key).provenance
    assert made.source == "asr" and made.captions is not None
    assert made.captions["kind"] is None
    assert made.captions["reason"] == "The source has no captions in the wanted language."
    request_count = len(media_server.requests)
    again = graph.submit(url, replace(TINY, hotwords="fellow"))
    assert graph.run(again).success
    assert document(graph, again).provenance.captions == made.captions
    assert len(media_server.requests) == request_count
    assert left(graph) == []


@pytest.mark.slow
def test_only_captions_or_a_failure_of_its_own_code(graph: Graph, media_server: MediaServer):
    """A link and an upload without captions fail without a retry."""
    only = replace(TINY, captions="only")
    media_id = upload_media_id("ab" * 32)
    upload = graph.store.submit(MediaSource(media_id, "upload", title="x"), only).transcription.id
    for key in (graph.submit(serve_stream(media_server, {"de": TRACK}), only), upload):
        graph.run(key, attempt=1)
        row = get_transcription(graph.store.postgres, key)
        assert (row.status, row.error_code) == (TranscriptionStatus.FAILED, "captions_unavailable")
        assert row.attempt == 1


@pytest.mark.slow
def test_captions_of_a_lost_run_are_used(graph: Graph, media_server: MediaServer):
    """They were downloaded and the transcript was not made: the next run requests nothing from the
    source."""
    key = graph.submit(serve_stream(media_server, {"en": TRACK}))
    lost = graph.run(key, attempt=1, selection=["audio_download"])
    settle_run(graph.store.postgres, lost.run_id, "run_lost", "It is gone.", True, 4)
    (kept,) = left(graph)
    assert (kept["transcription_id"], kept["extension"]) == (key, "vtt")
    media_server.serve("master.m3u8", b"gone")
    request_count = len(media_server.requests)
    assert graph.run(key, resources={"transcriber": NoModel()}).success
    assert len(media_server.requests) == request_count
    assert document(graph, key).provenance.source == "manual_captions"
    assert graph.run(key, resources={"transcriber": NoModel()}).success
    assert len(media_server.requests) == request_count
