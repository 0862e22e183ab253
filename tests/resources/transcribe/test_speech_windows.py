"""Windows contain all of the speech and are cut at pauses."""

from itertools import pairwise

import numpy as np
import pytest

from resources.transcribe.speech_spans import SpeechActivity
from resources.transcribe.speech_windows import WindowCosts, speech_windows

pytestmark = pytest.mark.unit

FRAME_S = 512 / 16_000
COSTS = WindowCosts(max_s=20.0)


def activity(*stretches: tuple[float, float]) -> SpeechActivity:
    """Return the activity of given speech intervals; the recording ends a second after the last."""
    end_s = stretches[-1][1] + 1.0
    probabilities = np.full(int(end_s / FRAME_S), 0.01, np.float32)
    for start_s, stop_s in stretches:
        probabilities[int(start_s / FRAME_S) : int(stop_s / FRAME_S)] = 0.9
    return SpeechActivity(probabilities, end_s)


def cut(speech: SpeechActivity, costs: WindowCosts = COSTS):
    regions = speech.regions(max_gap_s=2.0, max_region_s=300.0)
    return [each for region in regions for each in speech_windows(speech, region, costs)]


def test_cuts_lie_in_pauses():
    """Every interval of speech is in one window, and most of the silence around it in none."""
    stretches = [(1.0 + at * 2.8, 3.0 + at * 2.8) for at in range(24)]
    speech = activity(*stretches)
    made = cut(speech)
    assert all(before.end_s <= after.start_s for before, after in pairwise(made))
    for start_s, end_s in stretches:
        assert any(w.start_s <= start_s + FRAME_S and end_s - FRAME_S <= w.end_s for w in made)
    assert all(each.duration_s <= COSTS.max_s for each in made)
    assert len(made) < len(stretches)


def test_longer_pauses_are_preferred():
    """Of two pauses, the longer one is where the cut goes."""
    speech = activity((0.5, 8.0), (8.15, 13.0), (13.9, 24.0))
    assert [round(each.start_s) for each in cut(speech)] == [0, 13]


@pytest.mark.parametrize("length_s", [45.0, 119.0])
def test_speech_without_a_pause_is_cut_at_the_least_speech(length_s):
    """No window is longer than the model takes, no audio is lost, the cut is at the quiet spot."""
    speech = activity((1.0, 1.0 + length_s))
    quiet = int(14.0 / FRAME_S)
    speech._probabilities[quiet] = 0.5
    made = cut(speech)
    assert made[0].end_s == pytest.approx(14.0, abs=0.1)
    assert all(each.duration_s <= COSTS.max_s for each in made)
    assert all(before.end_s == after.start_s for before, after in pairwise(made))
    assert made[-1].end_s >= 1.0 + length_s


def test_short_clip_is_one_window_without_its_silence():
    """Of three seconds in the middle of eight, half a second stays on either side."""
    speech = activity((2.0, 5.0))
    [only] = cut(speech)
    assert only.start_s == pytest.approx(1.5, abs=0.05)
    assert only.end_s == pytest.approx(5.5, abs=0.05)


def test_short_windows_are_padded_with_silence():
    """The encoder gets six seconds for a word or two, and a little padding for longer windows."""
    assert COSTS.encoded_s(1.7) == 6.0
    assert COSTS.encoded_s(10.0) == 11.5
