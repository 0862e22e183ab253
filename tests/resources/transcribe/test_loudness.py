"""Quiet speech among louder speech is amplified; recordings on one level are not changed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.transcribe.loudness import amplify_quiet_speech
from resources.transcribe.speech_detector import loudness
from resources.transcribe.speech_spans import Span

pytestmark = pytest.mark.unit

RATE_HZ = 16_000


def tone(seconds: float, level: float) -> np.ndarray:
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return (level * np.sin(2 * np.pi * 300 * time_s)).astype(np.float32)


def test_quiet_span_is_amplified_and_the_loud_one_kept():
    """A speaker 46 dB below another ends 20 dB below; the other does not change."""
    loud, pause, quiet = tone(2, 0.4), np.zeros(RATE_HZ, np.float32), tone(2, 0.002)
    waveform = np.concatenate([loud, pause, quiet])
    spans = (Span(0, 2), Span(3, 5))
    result = amplify_quiet_speech(waveform, Span(0, 5), spans)
    assert np.array_equal(result[: len(loud)], loud)
    raised = loudness(result[-len(quiet) :])
    assert raised == pytest.approx(loudness(loud) / 10, rel=0.02)


@pytest.mark.parametrize("level", [0.5, 0.1, 0.06])
def test_ordinary_differences_are_left_alone(level):
    """Within 20 dB the decoder gets the original samples."""
    waveform = np.concatenate([tone(2, 0.5), tone(2, level)])
    assert np.shares_memory(
        amplify_quiet_speech(waveform, Span(0, 4), (Span(0, 2), Span(2, 4))), waveform
    )


def test_region_is_cut_out_of_the_waveform():
    """Only the region's samples are returned, whatever the rest contains."""
    waveform = np.concatenate([tone(2, 0.5), tone(2, 0.001)])
    result = amplify_quiet_speech(waveform, Span(2, 4), (Span(0, 2), Span(2, 4)))
    assert np.array_equal(result, waveform[2 * RATE_HZ :])


@pytest.mark.long
@given(st.lists(st.floats(0.0, 0.9), min_size=1, max_size=6))
def test_amplification_never_clips_or_lowers(levels):
    """Amplified speech stays below the loudest, and nothing gets quieter."""
    waveform = np.concatenate([tone(1, level) for level in levels])
    spans = tuple(Span(at, at + 1) for at in range(len(levels)))
    result = amplify_quiet_speech(waveform, Span(0, len(levels)), spans)
    assert len(result) == len(waveform)
    assert np.isfinite(result).all()
    assert np.abs(result).max() <= np.abs(waveform).max() + 1e-6
    assert (np.abs(result) >= np.abs(waveform) - 1e-6).all()
