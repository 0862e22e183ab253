"""Accuracy by captions that people made, through the whole job."""

from dataclasses import replace
from functools import partial

import dagster as dg
import pytest

from resources.lake.catalog import TranscriptCatalog
from resources.lake.documents import stored_document
from resources.maintenance.erasure import Erasure
from resources.transcriptions.accuracy import stored_accuracy, stored_reference
from resources.transcriptions.reads import completed_ids, get_transcription
from tests.api.conftest import dagster_home  # noqa: F401 - a fixture
from tests.support.servers.captions_server import (
    TRACK,
    serve_stream,
)
from tests.support.servers.media_server import MediaServer
from tests.ytcaption_assets.assets.conftest import TINY, Graph

pytestmark = pytest.mark.model

NEVER = replace(TINY, captions="never")
# All that is said in jfk.flac, one word of it another: 1 substitution in 22.
WHOLE = """WEBVTT

00:00:00.500 --> 00:00:05.000
And so, my fellow Americans, ask not what your country can do for you.

00:00:05.500 --> 00:00:11.000
Ask what you can do for your continent.
"""
ROW = "select model, language, reference_kind, words, substitutions, wer from caption_accuracy"


def check(result) -> dg.AssetCheckEvaluation:
    (found,) = [
        each
        for each in result.get_asset_check_evaluations()
        if each.check_name == "caption_accuracy"
    ]
    return found


def numbers(result) -> dict:
    return {name: value.value for name, value in check(result).metadata.items()}


@pytest.mark.slow
def test_captions_beside_the_audio_measure_it(graph: Graph, media_server: MediaServer):
    """With `never` the audio is transcribed; the captions are downloaded once and measure every
    later version of the media, in the check, in Postgres and in the lake."""
    url = serve_stream(media_server, {"en": WHOLE})
    key = graph.submit(url, NEVER)
    result = graph.run(key, attempt=1)
    assert result.success and check(result).passed
    found = numbers(result)
    assert (found["words"], found["substitutions"], found["reference"]) == (22, 1, "track")
    assert found["wer"] == pytest.approx(1 / 22, abs=1e-4)
    row = get_transcription(graph.store.postgres, key)
    kept = stored_accuracy(graph.store.postgres, key, row.document_sha256)
    assert kept is not None and kept.errors.substitutions == 1
    catalog = TranscriptCatalog.from_settings(graph.settings)
    expected = ("tiny.en", "en", "track", 22, 1, pytest.approx(1 / 22))
    assert catalog.query(ROW).rows == [expected]
    request_count = len(media_server.requests)
    other = graph.submit(url, replace(NEVER, hotwords="fellow"))
    assert graph.run(other).success
    assert len(media_server.requests) == request_count
    assert catalog.query(ROW).rows == [expected, expected]
    report = catalog.verify(
        partial(completed_ids, graph.store.postgres),
        lambda id: stored_document(graph.store.postgres, graph.objects, id),
    )
    assert report.is_sound


@pytest.mark.slow
def test_a_transcription_made_of_captions_measures_those_made_of_audio(
    graph: Graph, media_server: MediaServer
):
    """Whichever comes first. Its row in the lake is repaired like all others."""
    url = serve_stream(media_server, {"en": TRACK})  # half of what is said
    transcribed = graph.submit(url, NEVER)
    assert graph.run(transcribed).success
    with graph.store.postgres.transaction() as connection:
        connection.execute("delete from ytcaption.caption_reference")
        connection.execute("delete from ytcaption.caption_accuracy")
    written = graph.submit(url)
    result = graph.run(written)
    assert result.success and not check(result).passed
    assert check(result).severity is dg.AssetCheckSeverity.WARN
    found = numbers(result)
    assert (found["compared"], found["reference"], found["model"]) == (
        1,
        "transcription",
        "tiny.en",
    )
    assert found["insertions"] > 5  # what the captions leave out
    catalog = TranscriptCatalog.from_settings(graph.settings)
    ids = "select transcription_id, reference_kind from caption_accuracy"
    assert catalog.query(ids).rows == [(transcribed, "transcription")]
    again = graph.submit(url, replace(NEVER, hotwords="fellow"))
    assert numbers(graph.run(again))["reference"] == "transcription"
    catalog.delete(transcribed)

    def verify(repair: bool):
        return catalog.verify(
            partial(completed_ids, graph.store.postgres),
            lambda id: stored_document(graph.store.postgres, graph.objects, id),
            repair=repair,
        )

    assert verify(False).different == (transcribed,)
    verify(True)
    assert {id for id, _ in catalog.query(ids).rows} == {transcribed, again}


@pytest.mark.slow
def test_missing_captions_fail_nothing(graph: Graph, media_server: MediaServer):
    """A track is listed and cannot be downloaded: the audio is transcribed, and nothing is
    measured."""
    result = graph.run(graph.submit(serve_stream(media_server, {"en": None}), NEVER))
    assert result.success and check(result).passed
    assert numbers(result) == {"compared": 0, "wer_limit": 0.3}
    catalog = TranscriptCatalog.from_settings(graph.settings)
    assert catalog.query("from caption_accuracy").rows == []


@pytest.mark.slow
def test_erasing_the_media_erases_them(graph: Graph, media_server: MediaServer, dagster_home):
    """The track, the numbers and the lake's row are erased."""
    key = graph.submit(serve_stream(media_server, {"en": WHOLE}), NEVER)
    assert graph.run(key).success
    media_id = get_transcription(graph.store.postgres, key).media_id
    assert stored_reference(graph.store.postgres, media_id) is not None
    assert Erasure.from_settings(graph.settings).erase(key)
    assert stored_reference(graph.store.postgres, media_id) is None
    with graph.store.postgres.transaction() as connection:
        assert connection.execute("select from ytcaption.caption_accuracy").fetchone() is None
    catalog = TranscriptCatalog.from_settings(graph.settings)
    assert catalog.query("from caption_accuracy").rows == []
