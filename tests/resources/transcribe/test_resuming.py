"""Both engines go on where a checkpoint ends, with the same result."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from resources.transcribe import checkpoint_journal
from resources.transcribe.batch_decoder import WhisperBatch
from resources.transcribe.batched import BatchedTranscriber
from resources.transcribe.checkpoint import Checkpoint, Part
from resources.transcribe.device import loaded_model
from resources.transcribe.sequential import WhisperTranscriber
from tests.support.clip_errors import TINY_EN, samples
from ytcaption.domain.transcripts.transcript import Recognition, Segment

pytestmark = pytest.mark.model

PAUSE = np.zeros(16_000 * 3, np.float32)


@dataclass(frozen=True)
class Whole:
    """What one attempt heard that nobody killed.

    Attributes:
        state: the parts that it kept, one at each end, as they come back from the database.
    """

    transcriber: WhisperTranscriber
    waveform: np.ndarray
    result: Recognition
    state: list[Part]


@pytest.fixture(scope="module")
def at_every_end() -> Iterator[None]:
    """A part is kept wherever one can be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_journal, "SAVE_S", 0.0)
        yield


@pytest.fixture(scope="module", params=[WhisperTranscriber, BatchedTranscriber])
def whole(request: pytest.FixtureRequest, model_home: Path, at_every_end: None) -> Whole:
    """Two speakers with a pause of three seconds."""
    waveform = np.concatenate(
        [samples("jfk.flac"), PAUSE, samples("ljspeech-LJ001-0028.flac"), PAUSE]
    )
    transcriber = request.param(models_home=str(model_home), cpu_threads=2)
    parts: list[Part] = []
    checkpoint = Checkpoint([], parts.append)
    result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None, None, checkpoint)
    return Whole(transcriber, waveform, result, json.loads(json.dumps(parts)))


@pytest.fixture
def heard_s(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of audio that the model is given, a call each."""
    found: list[float] = []
    files, where = whole.transcriber.placed("tiny.en")
    model = loaded_model(files.directory, files.revision, where)
    sequential, mel = model.transcribe, WhisperBatch.mel

    def transcribe(audio, **more):
        found.append(len(audio) / 16_000)
        return sequential(audio, **more)

    def mel_of(self, audio):
        found.append(len(audio) / 16_000)
        return mel(self, audio)

    monkeypatch.setattr(model, "transcribe", transcribe)
    monkeypatch.setattr(WhisperBatch, "mel", mel_of)
    return found


def test_a_killed_attempt_is_gone_on_with(whole: Whole, heard_s: list[float]):
    """What was kept is not heard again; text, times, scores and indexes are those of one attempt.
    Who watches is told every segment of the new attempt, each once."""
    told: list[Segment] = []
    progress: list[float] = []
    more: list[Part] = []
    result = whole.transcriber.transcribe(
        whole.waveform,
        TINY_EN,
        lambda done_s, _: progress.append(done_s),
        told.append,
        Checkpoint(whole.state[:1], more.append),
    )
    assert 10 < result.resumed_s < 16
    assert 0 < sum(heard_s) < result.duration_s - 10
    assert len(result.segments) >= 2
    assert (result.segments, result.dropped) == (whole.result.segments, whole.result.dropped)
    assert (result.language, result.speech_s) == (whole.result.language, whole.result.speech_s)
    assert told == list(result.segments)
    assert progress == sorted(progress)
    assert json.loads(json.dumps(more)) == whole.state[1:]


def test_all_that_was_heard_is_not_heard_again(whole: Whole, heard_s: list[float]):
    """By an attempt after one that could not store its text, say."""
    checkpoint = Checkpoint(whole.state, lambda _: pytest.fail("kept twice"))
    again = whole.transcriber.transcribe(whole.waveform, TINY_EN, lambda *_: None, None, checkpoint)
    assert heard_s == []
    assert again.segments == whole.result.segments


def test_another_engines_checkpoint_is_not_gone_on_with(whole: Whole, heard_s: list[float]):
    """Another beam starts anew, and its first part takes the place of all that was there."""
    kind = type(whole.transcriber)
    other = kind(models_home=whole.transcriber.models_home, cpu_threads=2, beam_size=1)
    more: list[Part] = []
    short = whole.waveform[: 16_000 * 12]
    result = other.transcribe(
        short, TINY_EN, lambda *_: None, None, Checkpoint(whole.state[:1], more.append)
    )
    assert result.resumed_s == 0.0
    assert sum(heard_s) > 10
    assert more[0]["number"] == 0
