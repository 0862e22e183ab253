"""Events of a real run."""

import dagster as dg
import pytest

from resources.orchestration import transcription_claim as run_claim
from resources.orchestration.tags import TRACE_TAG
from resources.transcribe.transcriber import Transcriber
from resources.transcriptions.replay import check_replay
from tests.support.servers.media_server import MediaServer
from tests.support.transcription_events import transcription_events
from tests.ytcaption_assets.assets.conftest import Graph
from ytcaption.domain import progress_milestones as milestones
from ytcaption.domain.transcripts.transcript import Recognition

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE = {TRACE_TAG: f"00-{TRACE_ID}-00f067aa0ba902b7-01"}


class Hurried(Transcriber):
    """Transcribes two hours at once and reports every ten seconds. Then it fails, as if the
    connection to its worker had broken."""

    def transcribe(
        self, waveform, options, on_progress, on_segment=None, checkpoint=None
    ) -> Recognition:
        """Never ends well."""
        for at_s in range(0, 7_200, 10):
            on_progress(float(at_s), 7_200.0)
        raise dg.Failure("cut off")

    def describe(self, model):
        """Never reached."""
        raise AssertionError("described after a failure")


@pytest.mark.slow
def test_a_runs_events_are_in_the_trace_of_its_request(graph: Graph, media_server: MediaServer):
    """From the claim to the end; the row follows from them."""
    url = media_server.url("jfk.flac")
    key = graph.submit(url, traceparent=TRACE[TRACE_TAG])
    result = graph.run(key, attempt=1, tags=TRACE)
    assert result.success
    events = transcription_events(graph.store.postgres, key)
    assert [event.event_type for event in events] == [
        "TranscriptionCreated", "Requested", "Queued", "Started", "AudioDownloaded",
        "TranscriptStored", "TranscriptionCompleted",
    ]  # fmt: skip
    assert {event.trace_id for event in events} == {TRACE_ID}
    assert [event.run_id for event in events] == [None] * 3 + [result.run_id] * 4
    assert check_replay(graph.store.postgres).differences == ()


@pytest.mark.slow
def test_a_run_without_a_request_has_a_trace_of_its_own(graph: Graph, media_server: MediaServer):
    """The id of the trace is that of the run, without hyphens."""
    key = graph.submit(media_server.url("jfk.flac"))
    result = graph.run(key)
    started = next(
        each
        for each in transcription_events(graph.store.postgres, key)
        if each.event_type == "Started"
    )
    assert started.trace_id == result.run_id.replace("-", "")


@pytest.mark.slow
def test_progress_is_bounded(
    graph: Graph, media_server: MediaServer, monkeypatch: pytest.MonkeyPatch
):
    """Of 720 reports nine become events, one for each tenth."""
    monkeypatch.setattr(run_claim, "PROGRESS_S", 0.0)
    monkeypatch.setattr(milestones, "GAP_S", 0.0)
    monkeypatch.setattr(graph.run_store.__class__, "heartbeat", lambda *_: None)
    key = graph.submit(media_server.url("jfk.flac"))
    assert not graph.run(key, attempt=1, resources={"transcriber": Hurried()}).success
    reported = [
        event.data
        for event in transcription_events(graph.store.postgres, key)
        if event.event_type == "Progress" and event.data["stage"] == "transcription"
    ]
    assert [data["done"] for data in reported] == [720.0 * tenth for tenth in range(1, 10)]
    assert {(data["attempt"], data["total"]) for data in reported} == {(1, 7_200.0)}
