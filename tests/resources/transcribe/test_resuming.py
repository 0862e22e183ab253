"""Both engines resume where a checkpoint ends, with the same result."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from resources.transcribe import checkpoint as checkpoint_module
from resources.transcribe.checkpoint import Checkpoint, Part
from resources.transcribe.device import loaded_model
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from resources.transcribe.window_decoder import WindowDecoder
from tests.support.clip_errors import TINY_EN, samples
from ytcaption.domain.transcripts.transcript import Recognition, Segment

pytestmark = pytest.mark.model

PAUSE = np.zeros(16_000 * 3, np.float32)


@dataclass(frozen=True)
class CompleteAttempt:
    """An attempt that was not interrupted.

    Attributes:
        state: the parts that it saved, one at each boundary, as read from the database.
    """

    transcriber: WhisperTranscriber
    waveform: np.ndarray
    result: Recognition
    state: list[Part]


@pytest.fixture(scope="module")
def save_at_every_boundary() -> Iterator[None]:
    """Save a part wherever one can be saved."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_module, "SAVE_INTERVAL_S", 0.0)
        yield


@pytest.fixture(scope="module", params=["sequential", "batched"])
def complete(
    request: pytest.FixtureRequest, model_home: Path, save_at_every_boundary: None
) -> CompleteAttempt:
    """Transcribe two speakers with a pause of three seconds."""
    waveform = np.concatenate(
        [samples("jfk.flac"), PAUSE, samples("ljspeech-LJ001-0028.flac"), PAUSE]
    )
    transcriber = WhisperTranscriber(
        models_home=str(model_home), engine=request.param, cpu_threads=2
    )
    parts: list[Part] = []
    checkpoint = Checkpoint([], parts.append)
    result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None, None, checkpoint)
    return CompleteAttempt(transcriber, waveform, result, json.loads(json.dumps(parts)))


@pytest.fixture
def decoded_s(complete: CompleteAttempt, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the seconds of audio that the model is given, per call."""
    lengths_s: list[float] = []
    files, placement = complete.transcriber.prepare_model("tiny.en")
    model = loaded_model(files.directory, files.revision, placement)
    sequential, mel = model.transcribe, WindowDecoder.mel

    def transcribe(audio, **more):
        lengths_s.append(len(audio) / 16_000)
        return sequential(audio, **more)

    def mel_of(self, audio):
        lengths_s.append(len(audio) / 16_000)
        return mel(self, audio)

    monkeypatch.setattr(model, "transcribe", transcribe)
    monkeypatch.setattr(WindowDecoder, "mel", mel_of)
    return lengths_s


@pytest.mark.slow
def test_a_killed_attempt_is_resumed(complete: CompleteAttempt, decoded_s: list[float]):
    """Saved audio is not decoded again; text, times, scores and indexes are those of one attempt.
    Every segment is reported by the new attempt, each once."""
    reported: list[Segment] = []
    progress: list[float] = []
    more: list[Part] = []
    result = complete.transcriber.transcribe(
        complete.waveform,
        TINY_EN,
        lambda done_s, _: progress.append(done_s),
        reported.append,
        Checkpoint(complete.state[:1], more.append),
    )
    assert 10 < result.resumed_s < 16
    assert 0 < sum(decoded_s) < result.duration_s - 10
    assert len(result.segments) >= 2
    assert (result.segments, result.dropped) == (complete.result.segments, complete.result.dropped)
    assert (result.language, result.speech_s) == (
        complete.result.language,
        complete.result.speech_s,
    )
    assert reported == list(result.segments)
    assert progress == sorted(progress)
    assert json.loads(json.dumps(more)) == complete.state[1:]


def test_a_complete_checkpoint_is_not_decoded_again(
    complete: CompleteAttempt, decoded_s: list[float]
):
    """For example after an attempt that could not store its text."""
    checkpoint = Checkpoint(complete.state, lambda _: pytest.fail("saved twice"))
    again = complete.transcriber.transcribe(
        complete.waveform, TINY_EN, lambda *_: None, None, checkpoint
    )
    assert decoded_s == []
    assert again.segments == complete.result.segments


@pytest.mark.long
def test_another_engines_checkpoint_is_not_resumed(
    complete: CompleteAttempt, decoded_s: list[float]
):
    """Another beam size starts over, and its first part replaces all that was saved."""
    base = complete.transcriber
    other = WhisperTranscriber(
        models_home=base.models_home, engine=base.engine, cpu_threads=2, beam_size=1
    )
    more: list[Part] = []
    short = complete.waveform[: 16_000 * 12]
    result = other.transcribe(
        short, TINY_EN, lambda *_: None, None, Checkpoint(complete.state[:1], more.append)
    )
    assert result.resumed_s == 0.0
    assert sum(decoded_s) > 10
    assert more[0]["number"] == 0
