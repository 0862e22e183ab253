"""Both engines go on where a checkpoint ends, with the same result."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from resources import checkpoint_journal
from resources.checkpoint import Checkpoint, Part
from resources.whisper import WhisperTranscriber
from resources.whisper_batch import WhisperBatch
from resources.whisper_batched import BatchedTranscriber
from resources.whisper_device import loaded_model
from tests.resources.hearing import TINY_EN, samples
from ytcaption_assets.domain.transcript import Recognition, Segment

pytestmark = pytest.mark.model

PAUSE = np.zeros(16_000 * 3, np.float32)


class Killed(BaseException):
    """What kill -9 is to a process."""


@pytest.fixture(scope="module")
def waveform() -> np.ndarray:
    """Three speakers with pauses of three seconds."""
    names = ("jfk.flac", "ljspeech-LJ001-0028.flac", "fleurs-en-004.ogg")
    return np.concatenate([part for name in names for part in (samples(name), PAUSE)])


@pytest.fixture(params=[WhisperTranscriber, BatchedTranscriber])
def transcriber(request: pytest.FixtureRequest, model_home: Path) -> WhisperTranscriber:
    return request.param(models_home=str(model_home), cpu_threads=2)


@pytest.fixture
def heard_s(
    transcriber: WhisperTranscriber, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[float]]:
    """Seconds of audio that the model is given, a call each."""
    found: list[float] = []
    files, where = transcriber.placed("tiny.en")
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


def texts(recognition: Recognition) -> list[str]:
    return [segment.text for segment in recognition.segments]


def test_a_killed_attempt_is_gone_on_with(transcriber, waveform, heard_s, monkeypatch):
    """What was kept is not heard again; text, times, scores and indexes are those of one attempt.
    Who watches is told every segment of the new attempt, each once."""
    monkeypatch.setattr(checkpoint_journal, "SAVE_S", 0.0)
    whole = transcriber.transcribe(waveform, TINY_EN, lambda *_: None)
    in_all_s = sum(heard_s)
    parts: list[Part] = []

    def keep(part: Part) -> None:
        parts.append(part)
        raise Killed

    with pytest.raises(Killed):
        transcriber.transcribe(waveform, TINY_EN, lambda *_: None, None, Checkpoint([], keep))
    state: list[Part] = json.loads(json.dumps(parts))
    heard_s.clear()
    told: list[Segment] = []
    progress: list[float] = []
    more: list[Part] = []
    checkpoint = Checkpoint(state, more.append)
    result = transcriber.transcribe(
        waveform, TINY_EN, lambda done, _: progress.append(done), told.append, checkpoint
    )
    assert 10 < result.resumed_s < 16
    assert sum(heard_s) < in_all_s - 8
    assert texts(result) == texts(whole)
    if type(transcriber) is WhisperTranscriber:  # batches of other windows round otherwise
        assert (result.segments, result.dropped) == (whole.segments, whole.dropped)
    assert (result.language, result.speech_s) == (whole.language, whole.speech_s)
    assert told == list(result.segments)
    assert progress == sorted(progress)
    assert [part["number"] for part in more] == list(range(1, len(more) + 1))
    assert more[-1]["done_s"] > len(waveform) / 16_000 - 5


def test_all_that_was_heard_is_not_heard_again(transcriber, waveform, heard_s, monkeypatch):
    """An attempt that failed when it stored its text, say."""
    monkeypatch.setattr(checkpoint_journal, "SAVE_S", 0.0)
    parts: list[Part] = []
    whole = transcriber.transcribe(
        waveform, TINY_EN, lambda *_: None, None, Checkpoint([], parts.append)
    )
    heard_s.clear()
    again = transcriber.transcribe(
        waveform, TINY_EN, lambda *_: None, None, Checkpoint(parts, pytest.fail)
    )
    assert heard_s == []
    assert again.segments == whole.segments


def test_another_engines_checkpoint_is_not_gone_on_with(transcriber, waveform, monkeypatch):
    """Sequential and batched, or another beam: each starts anew."""
    monkeypatch.setattr(checkpoint_journal, "SAVE_S", 0.0)
    parts: list[Part] = []
    transcriber.transcribe(
        waveform[: 16_000 * 14], TINY_EN, lambda *_: None, None, Checkpoint([], parts.append)
    )
    assert parts
    other = type(transcriber)(models_home=transcriber.models_home, cpu_threads=2, beam_size=1)
    result = other.transcribe(
        waveform[: 16_000 * 14], TINY_EN, lambda *_: None, None, Checkpoint(parts, parts.append)
    )
    assert result.resumed_s == 0.0
    assert parts[-1]["number"] == 0
