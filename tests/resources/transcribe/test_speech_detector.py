"""The detector's probabilities do not depend on the length or division of a recording."""

import threading

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model

from resources.transcribe import speech_detector
from resources.transcribe.speech_detector import FRAME, speech_probabilities
from tests.support.clip_errors import samples
from ytcaption.domain.errors import AudioUndecodable

NOT_STOPPED = threading.Event()
"""Never set: the work is not stopped."""


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Return forty seconds of three speakers, a whole number of frames."""
    names = ("jfk.flac", "ljspeech-LJ001-0028.flac", "fleurs-en-004.ogg", "jfk.flac")
    joined = np.concatenate([samples(name) for name in names])
    return joined[: len(joined) // FRAME * FRAME]


@pytest.mark.long
def test_chunks_give_the_same_result_as_the_whole(speech, monkeypatch):
    """The detector's state is passed from one chunk to the next. (faster-whisper omits the end of
    the last frame.)"""
    whole = np.asarray(get_vad_model()(speech.copy())).ravel()
    session = speech_detector._session()
    monkeypatch.setattr(speech_detector, "_CHUNK_FRAMES", 100)
    in_chunks = speech_detector._probabilities(session, speech, NOT_STOPPED)
    assert in_chunks.shape == whole.shape
    assert np.abs(in_chunks - whole)[:-1].max() < 1e-4


def test_parallel_blocks_give_the_same_result_as_sequential_ones(speech, monkeypatch):
    """In the same order, each from the initial state."""
    monkeypatch.setattr(speech_detector, "_BLOCK_FRAMES", 100)
    monkeypatch.setattr(speech_detector, "_quiet_windows", lambda _: [])
    session = speech_detector._session()
    alone = [
        speech_detector._probabilities(session, speech[at : at + 100 * FRAME], NOT_STOPPED)
        for at in range(0, len(speech), 100 * FRAME)
    ]
    assert np.array_equal(speech_probabilities(speech), np.concatenate(alone))


def test_silence_costs_nothing(monkeypatch):
    """Digital silence is not passed to the model."""
    monkeypatch.setattr(speech_detector, "_probabilities", pytest.fail)
    assert not speech_probabilities(np.zeros(16_000 * 60, np.float32)).any()


def test_a_canceled_recording_leaves_no_thread(speech, monkeypatch):
    """Work that has not started is not done."""

    class Canceled(Exception):
        pass

    monkeypatch.setattr(speech_detector, "_BLOCK_FRAMES", 10)
    calls = iter(range(3))

    def on_block() -> None:
        if next(calls, None) is None:
            raise Canceled

    with pytest.raises(Canceled):
        speech_probabilities(speech, on_block)
    assert not [each for each in threading.enumerate() if each.name.startswith("vad")]


def test_infinite_sample_in_the_last_block_is_detected(speech, monkeypatch):
    """Each block is checked."""
    monkeypatch.setattr(speech_detector, "_BLOCK_FRAMES", 100)
    broken = speech.copy()
    broken[-1] = np.inf
    with pytest.raises(AudioUndecodable):
        speech_probabilities(broken)
