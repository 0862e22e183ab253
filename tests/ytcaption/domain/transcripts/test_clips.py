"""Stretches of speech for those who train models."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.transcripts import make_segment, make_transcript, spoken
from ytcaption.domain.transcripts.clips import PAD_S, clips
from ytcaption.domain.transcripts.transcript import Segment, Word

pytestmark = pytest.mark.unit


def test_segments_are_clips_with_a_little_around():
    """Not into what comes before or behind, nor out of the audio."""
    first = spoken("one two three", start_s=1.0)
    second = spoken("four five", start_s=first.end_s + 0.06)
    found = clips(make_transcript(first, second, duration_s=9.0), min_s=0.1, max_s=9.0)
    assert [clip.text for clip in found] == ["one two three", "four five"]
    assert found[0].start_s == 1.0 - PAD_S
    assert round(found[0].end_s, 3) == round(first.end_s + 0.03, 3) == round(found[1].start_s, 3)
    assert found[1].end_s == second.end_s + PAD_S


def test_what_is_too_long_is_cut_at_its_longest_pause():
    """Words stay whole and keep their order."""
    segment = spoken("a b c d e f", pauses={"b": 0.9, "d": 0.4})
    found = clips(make_transcript(segment), min_s=0.1, max_s=2.0)
    assert [clip.text for clip in found] == ["a b", "c d e f"]
    found = clips(make_transcript(segment), min_s=0.1, max_s=0.7)
    assert [clip.text for clip in found] == ["a b", "c d", "e f"]


def test_what_is_too_short_or_cannot_be_cut_is_left_out():
    """A word of ten seconds is no example of anything; nor is a tenth of a second."""
    long = make_segment([Word(0.0, 10.0, " looong", 0.9)])
    without_words = Segment(0, 20.0, 40.0, "lines of captions", (), -0.2, 0.01, 1.3, 0.0)
    short = make_segment([Word(50.0, 50.1, " ah", 0.9)])
    empty = make_segment([], text="")
    found = clips(make_transcript(long, without_words, short, empty), min_s=1.0, max_s=5.0)
    assert found == []


@given(
    st.lists(st.tuples(st.floats(0.05, 2), st.floats(0, 3)), min_size=1, max_size=60),
    st.floats(1, 10),
)
def test_clips_are_in_order_and_within_their_limits(times, max_s: float):
    """This holds whatever the words' times are."""
    words, start_s = [], 0.0
    for number, (length_s, pause_s) in enumerate(times):
        words.append(Word(start_s, start_s + length_s, f" w{number}", 0.9))
        start_s += length_s + pause_s
    found = clips(make_transcript(make_segment(words)), min_s=0.5, max_s=max_s)
    assert all(0.5 <= clip.duration_s <= max_s for clip in found)
    assert all(a.end_s <= b.start_s + 1e-9 for a, b in pairwise(found))
    said = " ".join(clip.text for clip in found).split()
    assert said == sorted(said, key=lambda word: int(word[1:]))
