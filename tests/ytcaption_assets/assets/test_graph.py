"""The main job, end to end, on real parts."""

import threading
from dataclasses import replace

import dagster as dg
import pytest

from resources.lake.catalog import TranscriptCatalog
from resources.lake.connection import LakeConnection
from resources.transcriptions.reads import get_media, get_transcription
from tests.support.lake_rows import row_counts, transcript_ids
from tests.support.servers.media_server import (
    DATA,
    MediaServer,
)
from tests.ytcaption_assets.assets.conftest import TINY, Graph
from ytcaption.domain.errors import LakeUnavailable
from ytcaption.domain.media.media import MediaSource, upload_media_id
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.domain.transcripts.metrics import wer
from ytcaption.domain.transcripts.transcript import Transcript

JFK = (
    "and so my fellow americans ask not what your country can do for you "
    "ask what you can do for your country"
)

pytestmark = pytest.mark.model


def document(graph: Graph, key: str) -> Transcript:
    row = get_transcription(graph.store.postgres, key)
    assert row.document_key is not None
    return Transcript.from_json(graph.objects.read_bytes(row.document_key, row.document_sha256))


def spoken(transcript: Transcript) -> str:
    return "".join(c for c in transcript.text.lower().replace("\n", " ") if c.isalpha() or c == " ")


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict:
    (made,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in made.metadata.items()}


@pytest.mark.long
def test_a_url_becomes_captions_and_rows(graph_on_both: Graph, media_server: MediaServer):
    """Downloaded, transcribed, stored and queryable, in a folder and in S3."""
    graph = graph_on_both
    key = graph.submit(media_server.url("jfk.flac"))
    result = graph.run(key, attempt=1)
    assert result.success
    row = get_transcription(graph.store.postgres, key)
    assert row.status is TranscriptionStatus.COMPLETED
    transcript = document(graph, key)
    assert wer(JFK, spoken(transcript)).rate <= 0.1
    assert transcript.provenance.run_id == result.run_id
    media = get_media(graph.store.postgres, row.media_id)
    assert media.audio is not None
    assert media.audio.size_bytes == (DATA / "jfk.flac").stat().st_size
    assert graph.objects.read_bytes(media.audio.key) == (DATA / "jfk.flac").read_bytes()
    catalog = TranscriptCatalog.from_settings(graph.settings)
    assert transcript_ids(catalog) == {key}
    words = catalog.query("select count(*) from words").rows
    assert words == [(len(transcript.words),)]


@pytest.mark.slow
def test_the_metadata(graph: Graph, media_server: MediaServer):
    """Title as a link, numbers, first captions, waveform, five checks that passed."""
    result = graph.run(graph.submit(media_server.url("jfk.flac")))
    audio, transcription = metadata(result, "audio_download"), metadata(result, "transcription")
    assert audio["codec"] == "flac" and audio["title"].startswith("[jfk](<http")
    assert (
        transcription["language"] == "en"
        and transcription["words"] > 15
        and transcription["rtf"] > 0
    )
    assert "country" in transcription["captions"]
    assert transcription["waveform"].startswith("![waveform](data:image/png;base64,")
    checks = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert checks == {
        "words_monotonic": True,
        "segments_do_not_overlap": True,
        "captions_readable": True,
        "speech_found": True,
        "caption_accuracy": True,
    }
    assert metadata(result, "transcript_parquet")["transcripts_rows"] == 1


@pytest.mark.slow
def test_the_lake_is_opened_while_the_model_works(
    graph: Graph, media_server: MediaServer, monkeypatch: pytest.MonkeyPatch
):
    """Once, ahead of the asset that needs it; a lake that does not open yet fails nothing there."""
    opened: list[bool] = []
    really = LakeConnection._open

    def opens(lake: LakeConnection):
        opened.append(threading.current_thread() is threading.main_thread())
        if is_away:
            raise LakeUnavailable("away")
        return really(lake)

    monkeypatch.setattr(LakeConnection, "_open", opens)
    url, is_away = media_server.url("jfk.flac"), False
    assert graph.run(graph.submit(url)).success
    assert opened == [False]
    opened.clear()
    is_away = True
    key = graph.submit(url, force=True)
    assert not graph.run(key).success
    assert opened == [False, True]
    assert document(graph, key).segments


@pytest.mark.slow
def test_one_media_is_downloaded_once(graph: Graph, media_server: MediaServer):
    """A second transcription of the same media item, with other options, downloads nothing."""
    url = media_server.url("jfk.flac")
    assert graph.run(graph.submit(url)).success
    sent = media_server.bytes_sent("/jfk.flac")
    second = graph.run(graph.submit(url, replace(TINY, hotwords="country")))
    assert second.success
    assert media_server.bytes_sent("/jfk.flac") == sent
    assert metadata(second, "audio_download")["downloaded"] is False


@pytest.mark.slow
def test_the_download_folder_of_a_killed_run_is_cleared(graph: Graph, media_server: MediaServer):
    """It stored the audio and died before it cleared the folder: the next run does."""
    url = media_server.url("jfk.flac")
    key = graph.submit(url)
    assert graph.run(key, selection=["audio_download"]).success
    folder = (
        graph.settings.home / "downloads" / get_transcription(graph.store.postgres, key).media_id
    )
    folder.mkdir()
    (folder / "media").write_bytes(b"left")

    other = graph.submit(url, replace(TINY, hotwords="country"))
    assert graph.run(other, selection=["audio_download"]).success

    assert not folder.exists()


@pytest.mark.slow
def test_materializing_again_changes_nothing(graph: Graph, media_server: MediaServer):
    """The rows exist once, the document is the same, the model is not used again."""
    key = graph.submit(media_server.url("jfk.flac"))
    assert graph.run(key).success
    before = get_transcription(graph.store.postgres, key)
    again = graph.run(key)
    assert again.success
    after = get_transcription(graph.store.postgres, key)
    assert after.status is TranscriptionStatus.COMPLETED
    assert after.document_sha256 == before.document_sha256
    assert "model_s" not in metadata(again, "transcription")
    counts = row_counts(TranscriptCatalog.from_settings(graph.settings), key)
    assert counts["transcripts"] == 1 and counts["words"] == before.word_count


@pytest.mark.slow
def test_force_does_all_of_it_again(graph: Graph, media_server: MediaServer):
    """Downloaded and transcribed again; the rows still exist once."""
    url = media_server.url("jfk.flac")
    key = graph.submit(url)
    assert graph.run(key).success
    sent = media_server.bytes_sent("/jfk.flac")
    assert graph.submit(url, force=True) == key
    again = graph.run(key, attempt=get_transcription(graph.store.postgres, key).attempt)
    assert again.success and "model_s" in metadata(again, "transcription")
    assert media_server.bytes_sent("/jfk.flac") > sent
    assert row_counts(TranscriptCatalog.from_settings(graph.settings), key)["transcripts"] == 1


@pytest.mark.long
@pytest.mark.parametrize("name", ["silence-room.flac", "noise-white-20s.flac"])
def test_a_file_without_speech_completes_empty(graph: Graph, media_server: MediaServer, name):
    """No invented text; the metadata say that there is no speech."""
    key = graph.submit(media_server.url(name))
    result = graph.run(key)
    assert result.success
    assert get_transcription(graph.store.postgres, key).status is TranscriptionStatus.COMPLETED
    transcript = document(graph, key)
    assert transcript.segments == () and transcript.language is None
    assert "No speech" in metadata(result, "transcription")["captions"]
    checks = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert checks["speech_found"] is False
    assert row_counts(TranscriptCatalog.from_settings(graph.settings), key)["transcripts"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("status/404", "media_not_found"),
        ("broken-empty.wav", "empty_file"),
        ("broken-truncated.flac", "audio_truncated"),
        ("page", "unsupported_site"),
        ("broken-not-audio.mp3", "not_media"),
    ],
)
def test_bad_media_fails_with_its_cause(graph: Graph, media_server: MediaServer, path, code):
    """One attempt, a stable code and a message; no transcript is stored."""
    key = graph.submit(media_server.url(path))
    result = graph.run(key)
    assert not result.success
    row = get_transcription(graph.store.postgres, key)
    assert (row.status, row.error_code) == (TranscriptionStatus.FAILED, code)
    assert row.error_message and "Traceback" not in row.error_message
    assert not list((graph.settings.home / "downloads").glob("*/media"))
    assert transcript_ids(TranscriptCatalog.from_settings(graph.settings)) == set()


@pytest.mark.slow
def test_an_upload_is_read_from_the_store(graph: Graph):
    """A local file needs no download; text under an audio name fails as what it is."""
    for name, status, code in (
        ("jfk.flac", TranscriptionStatus.COMPLETED, None),
        ("broken-not-audio.mp3", TranscriptionStatus.FAILED, "not_media"),
    ):
        written = graph.objects.write_file("audio/upload-x.media", DATA / name)
        media_id = upload_media_id(written.sha256)
        graph.objects.write_file(f"audio/{media_id}.media", DATA / name)
        source = MediaSource(media_id, "upload", title=name)
        key = graph.store.submit(source, TINY).transcription.id
        graph.run(key)
        row = get_transcription(graph.store.postgres, key)
        assert (row.status, row.error_code) == (status, code)


@pytest.mark.long
def test_a_temporary_failure_is_retried(graph: Graph, media_server: MediaServer):
    """A 503 queues the next attempt, which completes."""
    key = graph.submit(media_server.url("status/503/jfk.flac", times=3))
    assert not graph.run(key, attempt=1).success
    row = get_transcription(graph.store.postgres, key)
    assert (row.status, row.attempt) == (TranscriptionStatus.QUEUED, 2)
    assert row.error_code == "source_unavailable"
    while (
        row := get_transcription(graph.store.postgres, key)
    ).status is TranscriptionStatus.QUEUED:
        graph.run(key, attempt=row.attempt)
    assert row.status is TranscriptionStatus.COMPLETED
