"""Words are on one clock, in order, within the audio, and together form the segment's text."""

import math
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.transcribe.speech_spans import Span
from resources.transcribe.words import WordClock, segments_with_words

pytestmark = pytest.mark.unit


def decoded_segment(words, text=None, *, start=0.0, end=5.0, avg_logprob=-0.3):
    return SimpleNamespace(
        start=start,
        end=end,
        text=text if text is not None else "".join(word[2] for word in words),
        words=[
            SimpleNamespace(start=first, end=last, word=word, probability=0.9)
            for first, last, word in words
        ],
        avg_logprob=avg_logprob,
        no_speech_prob=0.1,
        compression_ratio=1.1,
        temperature=0.0,
    )


WHOLE = Span(0.0, 100.0)


def converted(*segments, region=WHOLE, duration_s=100.0):
    return list(segments_with_words(segments, region, WordClock(duration_s), 0))


def test_times_are_on_the_clock_of_the_recording():
    """A region that begins at 40 s shifts its words by 40 s."""
    (segment,) = converted(
        decoded_segment([(0.5, 1.0, " Hello"), (1.0, 1.5, " there.")]), region=Span(40, 60)
    )
    assert [(word.start_s, word.end_s) for word in segment.words] == [(40.5, 41.0), (41.0, 41.5)]
    assert (segment.start_s, segment.end_s, segment.text) == (40.5, 41.5, "Hello there.")


def test_words_without_an_alignment_are_spread_evenly():
    """Every segment has words, whatever the aligner returned."""
    (segment,) = converted(decoded_segment([], "Two words", start=2.0, end=4.0))
    assert [(word.text, word.start_s, word.end_s) for word in segment.words] == [
        (" Two", 2.0, 3.0),
        (" words", 3.0, 4.0),
    ]


def test_segment_of_punctuation_is_omitted():
    """Marks that were attached to the word before them leave no empty segment."""
    assert converted(decoded_segment([], " ...")) == []
    assert converted(decoded_segment([(1.0, 1.2, " ")], " ")) == []


def test_index_counts_the_returned_segments():
    """Segments are numbered without gaps."""
    segments = converted(
        decoded_segment([(0, 1, " a")]), decoded_segment([], "?"), decoded_segment([(2, 3, " b")])
    )
    assert [segment.index for segment in segments] == [0, 1]


times = st.floats(min_value=-5, max_value=120, allow_nan=False) | st.just(math.nan)
words = st.lists(
    st.tuples(times, times, st.text(st.characters(codec="utf-8"), max_size=6)), max_size=6
)


@given(st.lists(words, max_size=5), st.floats(0, 50), st.floats(1, 100))
def test_words_never_overlap_or_leave_the_audio(segments, start_s, duration_s):
    """Whatever the decoder's times, the words' are finite, in order, and within the audio."""
    given_segments = [decoded_segment(each) for each in segments]
    result = converted(*given_segments, region=Span(start_s, 100), duration_s=duration_s)
    flat = [word for segment in result for word in segment.words]
    for word in flat:
        assert 0 <= word.start_s <= word.end_s <= round(duration_s, 3)
        assert 0 <= word.probability <= 1
    assert all(before.end_s <= after.start_s for before, after in pairwise(flat))
    for segment in result:
        assert segment.words
        assert segment.text == "".join(word.text for word in segment.words).strip()
        assert (segment.start_s, segment.end_s) == (
            segment.words[0].start_s,
            segment.words[-1].end_s,
        )
