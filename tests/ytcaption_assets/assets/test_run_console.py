"""Output of a run on the terminal of `ytcaption up`."""

import pytest

from resources.download.downloader import Downloader
from resources.transcriptions.reads import get_transcription
from tests.support.servers.media_server import MediaServer
from tests.ytcaption_assets.assets.conftest import Graph


@pytest.mark.slow
def test_an_expected_failure_is_one_line(
    graph: Graph, media_server: MediaServer, capfd: pytest.CaptureFixture[str]
):
    """Of the step and of the run, without their stacks, which the event log keeps."""
    key = graph.submit(media_server.url("broken-not-audio.mp3"))
    run = graph.run(key)
    said = capfd.readouterr().err
    sentence = get_transcription(graph.store.postgres, key).error_message
    assert sentence
    for kind in ("STEP_FAILURE", "RUN_FAILURE"):
        (line,) = (line for line in said.splitlines() if kind in line)
        assert line.endswith(f" {sentence}")
    assert "Stack Trace" not in said
    (failed,) = (event for event in run.all_events if event.is_step_failure and event.step_key)
    assert failed.step_failure_data.error.stack


@pytest.mark.long
def test_an_unexpected_error_keeps_its_stack(
    graph: Graph, media_server: MediaServer, capfd: pytest.CaptureFixture[str], monkeypatch
):
    """It is needed to fix the error."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr(Downloader, "captions_or_audio", fail)
    graph.run(graph.submit(media_server.url("jfk.flac")))
    said = capfd.readouterr().err
    assert "nobody foresaw this" in said
    assert "Stack Trace" in said
