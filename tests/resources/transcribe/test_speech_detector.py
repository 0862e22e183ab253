"""The probabilities of the detector, however long a recording is and however it is cut."""

import threading

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model

from resources.transcribe import speech_detector
from resources.transcribe.speech_detector import FRAME, speech_probabilities
from tests.support.clip_errors import samples
from ytcaption.domain.errors import AudioUndecodable

GOES_ON = threading.Event()
"""Never set: nobody stops the work."""


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Forty seconds of three speakers, a whole number of frames."""
    names = ("jfk.flac", "ljspeech-LJ001-0028.flac", "fleurs-en-004.ogg", "jfk.flac")
    found = np.concatenate([samples(name) for name in names])
    return found[: len(found) // FRAME * FRAME]


def test_chunks_give_what_the_whole_gives(speech, monkeypatch):
    """The detector's memory goes from one chunk to the next. (Of the very last frame faster-whisper
    leaves out the end.)"""
    whole = np.asarray(get_vad_model()(speech.copy())).ravel()
    session = speech_detector._session()
    monkeypatch.setattr(speech_detector, "_CHUNK_FRAMES", 100)
    found = speech_detector._probabilities(session, speech, GOES_ON)
    assert found.shape == whole.shape
    assert np.abs(found - whole)[:-1].max() < 1e-4


def test_blocks_side_by_side_give_what_one_after_the_other_gives(speech, monkeypatch):
    """In the same order, each begun afresh."""
    monkeypatch.setattr(speech_detector, "_BLOCK_FRAMES", 100)
    monkeypatch.setattr(speech_detector, "_quiet_windows", lambda _: [])
    session = speech_detector._session()
    alone = [
        speech_detector._probabilities(session, speech[at : at + 100 * FRAME], GOES_ON)
        for at in range(0, len(speech), 100 * FRAME)
    ]
    assert np.array_equal(speech_probabilities(speech), np.concatenate(alone))


def test_silence_costs_nothing(monkeypatch):
    """Digital silence is not heard at all."""
    monkeypatch.setattr(speech_detector, "_probabilities", pytest.fail)
    assert not speech_probabilities(np.zeros(16_000 * 60, np.float32)).any()


def test_a_canceled_recording_leaves_no_thread(speech, monkeypatch):
    """What was not begun is not done."""

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


def test_no_number_in_the_last_block_is_found(speech, monkeypatch):
    """Each block is looked at."""
    monkeypatch.setattr(speech_detector, "_BLOCK_FRAMES", 100)
    broken = speech.copy()
    broken[-1] = np.inf
    with pytest.raises(AudioUndecodable):
        speech_probabilities(broken)
