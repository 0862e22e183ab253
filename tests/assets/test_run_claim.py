"""A run that has lost its transcription publishes nothing."""

import dagster as dg
import pytest

from resources.whisper import Transcriber
from tests.assets.conftest import Graph
from tests.media_server import MediaServer
from ytcaption_assets import run_claim
from ytcaption_assets.domain.request import TranscriptionStatus
from ytcaption_assets.domain.transcript import Recognition


class Meddler(Transcriber):
    """A fault injected: something happens to the transcription while the model works."""

    def transcribe(self, waveform, options, on_progress, on_segment=None) -> Recognition:
        """Calls the meddling, then reports progress, as the model would."""
        type(self).meddle()
        on_progress(1.0, 11.0)
        return Recognition("en", 1.0, 11.0, 0.0, (), ())

    def describe(self, model):
        """Never reached by a run that lost its claim."""
        raise AssertionError("described after the claim was lost")

    meddle = staticmethod(lambda: None)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch):
    """Every progress is reported."""
    monkeypatch.setattr(run_claim, "PROGRESS_S", 0.0)


def test_a_canceled_run_publishes_nothing(graph: Graph, media_server: MediaServer):
    """Canceled in the middle: no document, and it stays canceled."""
    key = graph.submit(media_server.url("jfk.flac"))
    Meddler.meddle = staticmethod(lambda: graph.store.cancel(key))
    assert not graph.run(key, attempt=1, resources={"transcriber": Meddler()}).success
    row = graph.store.get(key)
    assert (row.status, row.document_key) == (TranscriptionStatus.CANCELED, None)


def test_a_run_that_was_taken_over_changes_nothing(graph: Graph, media_server: MediaServer):
    """Its successor's row stays as it is."""
    key = graph.submit(media_server.url("jfk.flac"))

    def take_over() -> None:
        row = graph.store.get(key)
        assert row.run_id is not None
        graph.store.settle_run(row.run_id, "run_lost", "Lost.", True, 4)
        graph.store.claim(key, "successor", None)

    Meddler.meddle = staticmethod(take_over)
    assert not graph.run(key, attempt=1, resources={"transcriber": Meddler()}).success
    row = graph.store.get(key)
    assert (row.status, row.run_id) == (TranscriptionStatus.RUNNING, "successor")
    assert row.document_key is None


def test_an_unexpected_error_is_told_without_its_details(graph: Graph, media_server: MediaServer):
    """A person reads a sentence; the trace is in the run's log."""
    key = graph.submit(media_server.url("jfk.flac"))

    def explode() -> None:
        raise ZeroDivisionError("secret detail")

    Meddler.meddle = staticmethod(explode)
    assert not graph.run(key, attempt=1, resources={"transcriber": Meddler()}).success
    row = graph.store.get(key)
    assert (row.status, row.error_code) == (TranscriptionStatus.QUEUED, "internal_error")
    assert row.error_message is not None and "secret" not in row.error_message


def test_a_partition_that_nobody_asked_for_fails_clearly(graph: Graph):
    """Made by hand in the UI, it has no request behind it."""
    key = "youtube-nobody.aaaaaaaaaaaaaaaaaaaaaaaaaa"
    result = graph.run(key)
    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert "There is no transcription" in failure.step_failure_data.error_display_string


def test_a_run_of_some_assets_gives_the_transcription_back(graph: Graph, media_server: MediaServer):
    """Audio alone: the row is running until the status sensor releases it."""
    key = graph.submit(media_server.url("jfk.flac"))
    result = graph.run(key, attempt=1, selection=["audio_download"])
    assert result.success
    assert graph.store.get(key).status is TranscriptionStatus.RUNNING
    assert graph.store.release(key, result.run_id) is TranscriptionStatus.QUEUED


def test_a_busy_transcription_is_not_started_twice(graph: Graph, media_server: MediaServer):
    """The second run fails, the first keeps its claim."""
    key = graph.submit(media_server.url("jfk.flac"))
    graph.store.claim(key, "first", 1)
    result = graph.run(key, attempt=1)
    assert not result.success
    assert isinstance(result, dg.ExecuteInProcessResult)
    assert graph.store.get(key).run_id == "first"
