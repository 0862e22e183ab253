"""A run that has lost its transcription publishes nothing."""

import os
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from resources.object_store.store import document_key
from resources.orchestration import transcription_claim as run_claim
from resources.orchestration.run_end import RunEnd
from resources.transcribe.transcriber import Transcriber
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.run_settlement import settle_run, settle_silent
from tests.support.patience import patience, wait_for
from tests.support.servers.media_server import MediaServer
from tests.ytcaption_assets.assets.conftest import Graph
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.domain.transcripts.transcript import Recognition


class Meddler(Transcriber):
    """Injects a fault: something happens to the transcription while the model works."""

    def transcribe(
        self, waveform, options, on_progress, on_segment=None, checkpoint=None
    ) -> Recognition:
        """Does the meddling, then reports progress, as the model would."""
        type(self).meddle()
        on_progress(1.0, 11.0)
        return Recognition("en", 1.0, 11.0, 0.0, (), ())

    def describe(self, model):
        """Never reached by a run that lost its claim."""
        raise AssertionError("described after the claim was lost")

    meddle = staticmethod(lambda: None)


class Patient(Meddler):
    """Works for half a minute unless it is stopped."""

    def transcribe(
        self, waveform, options, on_progress, on_segment=None, checkpoint=None
    ) -> Recognition:
        """Does the meddling, then reports progress, as the model would."""
        type(self).meddle()
        for _ in range(600):
            on_progress(1.0, 11.0)
            time.sleep(0.05)
        raise AssertionError("nobody said stop")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's storage in files: runs claim no slots with the one in memory."""
    with dg.instance_for_test() as found:
        yield found


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch):
    """Report every progress."""
    monkeypatch.setattr(run_claim, "PROGRESS_S", 0.0)


@pytest.mark.slow
def test_a_canceled_run_publishes_nothing(graph: Graph, media_server: MediaServer):
    """Canceled in the middle: no document, and it stays canceled."""
    key = graph.submit(media_server.url("jfk.flac"))
    Meddler.meddle = staticmethod(lambda: graph.store.cancel(key))
    result = graph.run(key, attempt=1, resources={"transcriber": Meddler()})
    row = get_transcription(graph.store.postgres, key)
    assert (row.status, row.document_key) == (TranscriptionStatus.CANCELED, None)
    run = graph.instance.get_run_by_id(result.run_id)
    assert run is not None and run.status is dg.DagsterRunStatus.CANCELED


@pytest.mark.slow
def test_a_run_notices_its_cancel_within_seconds(
    graph: Graph, media_server: MediaServer, monkeypatch: pytest.MonkeyPatch
):
    """Also if it has nothing to write; it ends as canceled, and its pool's slot is free."""
    key = graph.submit(media_server.url("jfk.flac"))
    graph.instance.event_log_storage.set_concurrency_slots("transcription", 1)
    monkeypatch.setattr(run_claim, "PROGRESS_S", 1_000.0)  # only heartbeats notice it
    began: list[float] = []

    def cancel() -> None:
        graph.store.cancel(key)
        began.append(time.monotonic())

    Patient.meddle = staticmethod(cancel)
    result = graph.run(key, attempt=1, resources={"transcriber": Patient()})
    assert time.monotonic() - began[0] < 5 * patience()
    run = graph.instance.get_run_by_id(result.run_id)
    assert run is not None and run.status is dg.DagsterRunStatus.CANCELED
    slots = graph.instance.event_log_storage.get_concurrency_info("transcription")
    assert (slots.active_slot_count, slots.pending_step_count) == (0, 0)


@pytest.mark.slow
def test_a_run_ends_itself_at_its_limit(
    graph: Graph, media_server: MediaServer, monkeypatch: pytest.MonkeyPatch
):
    """Failed without a retry; the slot is free, and partial files are removed."""
    monkeypatch.setenv("YTCAPTION_TRANSCRIPTION_TIMEOUT_S", "1")
    key = graph.submit(media_server.url("jfk.flac"))
    graph.instance.event_log_storage.set_concurrency_slots("transcription", 1)
    assert graph.objects.folder is not None
    document = graph.objects.folder / document_key(key)
    half = document.with_name(f".{document.name}.tmp")
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    Patient.meddle = staticmethod(lambda: None)
    result = graph.run(key, attempt=1, resources={"transcriber": Patient()})
    run = graph.instance.get_run_by_id(result.run_id)
    assert run is not None and run.status is dg.DagsterRunStatus.FAILURE
    row = get_transcription(graph.store.postgres, key)
    assert (row.status, row.error_code) == (TranscriptionStatus.FAILED, "timeout")
    assert row.error_message == "Processing took too long."
    slots = graph.instance.event_log_storage.get_concurrency_info("transcription")
    assert (slots.active_slot_count, slots.pending_step_count) == (0, 0)
    assert not half.exists()


@pytest.mark.slow
def test_a_result_stays_when_its_renewal_is_canceled(graph: Graph, media_server: MediaServer):
    """A run by hand on a completed one is canceled: completed as before, the run canceled."""
    url = media_server.url("jfk.flac")
    key = graph.submit(url)
    assert graph.run(key, attempt=1).success
    with graph.store.postgres.transaction() as connection:
        connection.execute("update ytcaption.transcription set document_key = 'transcripts/none'")
    Meddler.meddle = staticmethod(lambda: graph.store.cancel(key))
    result = graph.run(key, resources={"transcriber": Meddler()})
    assert get_transcription(graph.store.postgres, key).status is TranscriptionStatus.COMPLETED
    run = graph.instance.get_run_by_id(result.run_id)
    assert run is not None and run.status is dg.DagsterRunStatus.CANCELED


@pytest.mark.slow
@pytest.mark.parametrize("has_own_process", [True, False])
def test_a_run_that_ignores_signals_ends_with_its_process(
    graph: Graph,
    media_server: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
    has_own_process: bool,
):
    """A model stuck in native code: canceled, slots freed, process ended unless it is shared."""
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    monkeypatch.setattr(run_claim, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(run_claim, "INTERRUPT_S", 0.1)
    monkeypatch.setattr(RunEnd.WITHDRAWN, "patience_s", 0.2)
    monkeypatch.setattr(os, "kill", lambda *_: None)  # native code does not handle signals
    key = graph.submit(media_server.url("jfk.flac"))
    graph.instance.event_log_storage.set_concurrency_slots("transcription", 1)
    seen: list[Any] = []

    def hang() -> None:
        row = graph.store.cancel(key)
        time.sleep(2.0)
        run = graph.instance.get_run_by_id(row.run_id or "")
        slots = graph.instance.event_log_storage.get_concurrency_info("transcription")
        seen.extend([run and run.status, slots.active_slot_count])

    Meddler.meddle = staticmethod(hang)
    tags = {".dagster/grpc_info": "{}"} if has_own_process else {}
    graph.run(key, attempt=1, resources={"transcriber": Meddler()}, tags=tags)
    if has_own_process:
        assert (exits, seen) == ([1], [dg.DagsterRunStatus.CANCELED, 0])
    else:
        assert (exits, seen) == ([], [dg.DagsterRunStatus.STARTED, 1])


@pytest.mark.slow
def test_a_run_that_was_taken_over_changes_nothing(graph: Graph, media_server: MediaServer):
    """Its successor's row does not change."""
    key = graph.submit(media_server.url("jfk.flac"))

    def take_over() -> None:
        row = get_transcription(graph.store.postgres, key)
        assert row.run_id is not None
        settle_run(graph.store.postgres, row.run_id, "run_lost", "Lost.", True, 4)
        graph.run_store.claim(key, "successor", None)

    Meddler.meddle = staticmethod(take_over)
    assert not graph.run(key, attempt=1, resources={"transcriber": Meddler()}).success
    row = get_transcription(graph.store.postgres, key)
    assert (row.status, row.run_id) == (TranscriptionStatus.RUNNING, "successor")
    assert row.document_key is None


@pytest.mark.long
def test_an_unexpected_error_is_reported_without_details(graph: Graph, media_server: MediaServer):
    """People read a message; the trace is in the run's log."""
    key = graph.submit(media_server.url("jfk.flac"))

    def explode() -> None:
        raise ZeroDivisionError("secret detail")

    Meddler.meddle = staticmethod(explode)
    assert not graph.run(key, attempt=1, resources={"transcriber": Meddler()}).success
    row = get_transcription(graph.store.postgres, key)
    assert (row.status, row.error_code) == (TranscriptionStatus.QUEUED, "internal_error")
    assert row.error_message is not None and "secret" not in row.error_message


@pytest.mark.long
def test_too_little_memory_is_said(graph: Graph, media_server: MediaServer):
    """It is tried again; people read what to do instead of a trace."""
    key = graph.submit(media_server.url("jfk.flac"))

    def explode() -> None:
        raise RuntimeError("mkl_malloc: failed to allocate memory")

    Meddler.meddle = staticmethod(explode)
    assert not graph.run(key, attempt=1, resources={"transcriber": Meddler()}).success
    row = get_transcription(graph.store.postgres, key)
    assert (row.status, row.error_code) == (TranscriptionStatus.QUEUED, "out_of_memory")
    assert row.error_message is not None and "smaller model" in row.error_message


def test_a_partition_without_a_request_fails_clearly(graph: Graph):
    """It was added by hand in the UI."""
    key = "youtube-nobody.aaaaaaaaaaaaaaaaaaaaaaaaaa"
    result = graph.run(key)
    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert "There is no transcription" in failure.step_failure_data.error_display_string


@pytest.mark.long
def test_a_run_of_some_assets_releases_the_transcription(graph: Graph, media_server: MediaServer):
    """Audio alone: the row is running until the status sensor releases it."""
    key = graph.submit(media_server.url("jfk.flac"))
    result = graph.run(key, attempt=1, selection=["audio_download"])
    assert result.success
    assert get_transcription(graph.store.postgres, key).status is TranscriptionStatus.RUNNING
    assert graph.run_store.release(key, result.run_id) is TranscriptionStatus.QUEUED


def test_a_busy_transcription_is_not_started_twice(graph: Graph, media_server: MediaServer):
    """The second run fails, the first keeps its claim."""
    key = graph.submit(media_server.url("jfk.flac"))
    graph.run_store.claim(key, "first", 1)
    result = graph.run(key, attempt=1)
    assert not result.success
    assert isinstance(result, dg.ExecuteInProcessResult)
    assert get_transcription(graph.store.postgres, key).run_id == "first"


@pytest.mark.slow
def test_a_run_that_waits_for_a_slot_sends_heartbeats(
    graph: Graph, media_server: MediaServer, monkeypatch: pytest.MonkeyPatch
):
    """Between two assets it is not silent, so it does not count as lost; then it continues."""
    monkeypatch.setattr(run_claim, "HEARTBEAT_S", 0.1)
    key = graph.submit(media_server.url("jfk.flac"))
    result = graph.run(key, attempt=1, selection=["audio_download"])
    assert result.success
    time.sleep(1.5)
    assert settle_silent(graph.store.postgres, 1.0, 4) == []
    assert get_transcription(graph.store.postgres, key).status is TranscriptionStatus.RUNNING
    graph.run_store.release(key, result.run_id)
    # It beats no more, since its claim is gone.
    wait_for(lambda: (key, result.run_id) not in run_claim._between_assets, 5)
