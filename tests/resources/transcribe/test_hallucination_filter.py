"""Hallucinated text is distinguished from speech by the audio and by its shape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.transcribe.hallucination_filter import (
    HallucinationFilter,
    has_repeated_phrase,
    is_loop,
    words_without_repeats,
)
from resources.transcribe.speech_spans import SpeechActivity
from ytcaption.domain.transcripts.transcript import DroppedSegment, Segment, Word

pytestmark = pytest.mark.unit

FRAME_S = 512 / 16_000


def activity(*spans: tuple[float, float], duration_s: float = 60.0) -> SpeechActivity:
    probabilities = np.zeros(int(duration_s / FRAME_S), np.float32)
    for start_s, end_s in spans:
        probabilities[int(start_s / FRAME_S) : int(end_s / FRAME_S)] = 0.9
    return SpeechActivity(probabilities, duration_s)


def segment(
    start_s: float,
    end_s: float,
    text: str = "Somebody says this.",
    *,
    avg_logprob: float = -0.2,
    compression_ratio: float = 1.2,
) -> Segment:
    texts = [f" {each}" for each in text.split()] or [text]
    edges = np.linspace(start_s, end_s, len(texts) + 1)
    words = tuple(
        Word(float(edges[at]), float(edges[at + 1]), each, 0.9) for at, each in enumerate(texts)
    )
    return Segment(
        0, start_s, end_s, text, words, avg_logprob, 0.1, compression_ratio, temperature=0.0
    )


def filtered(
    segments: list[Segment], activity: SpeechActivity
) -> tuple[list[Segment], list[DroppedSegment]]:
    """Return the kept and the dropped segments, both in time order."""
    segment_filter = HallucinationFilter(activity)
    for each in segments:
        segment_filter.add(each)
    segment_filter.finish()
    return segment_filter.kept, segment_filter.dropped


def test_speech_is_kept_and_text_over_silence_dropped():
    """Text between two stretches of speech is a hallucination."""
    first, made_up, last = segment(1, 4), segment(20, 22, "Thank you."), segment(41, 44)
    kept, dropped = filtered([first, made_up, last], activity((1, 5), (40, 45)))
    assert kept == [first, last]
    assert [(drop.text, drop.reason) for drop in dropped] == [("Thank you.", "no_speech")]
    assert (dropped[0].start_s, dropped[0].end_s) == (20, 22)


def test_words_slightly_outside_their_speech_are_kept():
    """The aligner is some tenths of a second off; no word is lost to that."""
    late = segment(5.1, 5.4, "Yes.")
    assert filtered([late], activity((1, 5)))[0] == [late]


def test_segment_that_is_partly_speech_is_kept():
    """A word over silence at the end of a sentence does not drop the sentence."""
    long = segment(3, 12, "this goes on far too long for what is said")
    assert filtered([long], activity((1, 5)))[0] == [long]


@pytest.mark.parametrize(
    "text",
    [
        "so " * 30,
        "I don't know. " * 12,
        "and then we go to the " * 10,
        "谢谢大家" * 20,
        "It was fine. " + "no no " * 40,
    ],
)
def test_loops_are_dropped(text):
    """A phrase that is repeated many times comes from the decoder, not from the speaker."""
    kept, dropped = filtered([segment(1, 9, text)], activity((0, 10)))
    assert not kept
    assert [drop.reason for drop in dropped] == ["loop"]


@pytest.mark.parametrize(
    "text",
    [
        "some more words words words words um and that should be all thanks",
        "No, no, no, no, no!",
        "Ask not what your country can do for you, ask what you can do for your country.",
        "We will, we will rock you. We will, we will rock you.",
        "广州市房地产中介协会分析",
        "",
    ],
)
def test_natural_repetition_is_kept(text):
    """Emphasis, disfluency and a refrain are speech."""
    assert not is_loop(text)


def test_repeated_segments_of_a_looping_window_are_dropped():
    """Of equal segments in a window that zlib halves, only the first is kept."""
    other = segment(0, 1, "Something else.")
    echoes = [segment(at, at + 1, "I am here.", compression_ratio=3.0) for at in range(1, 6)]
    kept, dropped = filtered([other, *echoes], activity((0, 10)))
    assert kept == [other, echoes[0]]
    assert [drop.reason for drop in dropped] == ["loop"] * 4


def test_refrain_in_an_ordinary_window_is_kept():
    """Equal segments alone are no loop."""
    refrain = [segment(at, at + 1, "Hallelujah.") for at in range(4)]
    assert filtered(refrain, activity((0, 10)))[0] == refrain


def test_unlikely_text_is_dropped():
    """Text to which the decoder itself gives a very low probability is listed as such."""
    _, dropped = filtered([segment(1, 3, avg_logprob=-1.8)], activity((0, 10)))
    assert [drop.reason for drop in dropped] == ["low_confidence"]


@given(
    st.lists(
        st.tuples(st.floats(0, 55), st.floats(0, 4), st.text(max_size=30), st.floats(-3, 0)),
        max_size=12,
    ),
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 9)), max_size=4),
)
def test_every_segment_is_kept_or_listed(decoded, spoken):
    """No segment disappears, and both lists keep their order."""
    segments = [
        segment(start, start + length, text, avg_logprob=logprob)
        for start, length, text, logprob in decoded
    ]
    kept, dropped = filtered(segments, activity(*((at, at + long) for at, long in spoken)))
    assert len(kept) + len(dropped) == len(segments)
    order = {id(each): at for at, each in enumerate(segments)}
    assert [order[id(each)] for each in kept] == sorted(order[id(each)] for each in kept)


def test_equal_segments_wait_until_they_are_known_to_be_no_loop():
    """The first is returned at once; the others when another text follows, and then all of them."""
    segment_filter = HallucinationFilter(activity((0, 60)))
    refrain = [segment(at, at + 1, "Hallelujah.") for at in range(3)]
    other = segment(9, 10, "Amen.")

    assert [segment_filter.add(each) for each in refrain] == [[refrain[0]], [], []]
    assert segment_filter.add(other) == [*refrain[1:], other]
    assert segment_filter.finish() == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Yes.", "yes", "No.", "so " * 30]),
            st.sampled_from([1.2, 3.0]),
            st.sampled_from([-0.2, -2.0]),
        ),
        max_size=12,
    )
)
def test_returned_segments_stay(decoded):
    """Whatever follows, a segment returned as kept is in the text, at the same position."""
    segments = [
        segment(at, at + 1, text, compression_ratio=ratio, avg_logprob=logprob)
        for at, (text, ratio, logprob) in enumerate(decoded)
    ]
    all_speech = activity((0, 60))
    segment_filter = HallucinationFilter(all_speech)
    returned = []
    for at, each in enumerate(segments, start=1):
        returned += segment_filter.add(each)
        assert filtered(segments[:at], all_speech)[0][: len(returned)] == returned
    assert [*returned, *segment_filter.finish()] == filtered(segments, all_speech)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Printing is the art of making books. Printing is the art of making books.", True),
        ("and so he said he would come, he said he would come and went", True),
        ("no, no, no, no way", False),
        ("ask what you can do, ask what he can do", False),
        ("今日はとてもいい天気です今日はとてもいい天気です", True),
        ("今日はとてもいい天気です", False),
    ],
)
def test_phrases_written_twice_are_detected(text, expected):
    """Four words or more, or eight letters in a text without spaces, twice in a row."""
    assert has_repeated_phrase(text) is expected


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ([" Ask", " what", " you", " can", ".", " Ask", " what", " you", " can", "."], 5),
        ([" so", " he", " would", " come", " So", " he", " would", " come", " so", " he"], 4),
        ([" no", ","] * 8, 16),
        ([" and", " so", " he", " would", " come", " so", " he", " would", " come"], 9),
        ([" a", " b", " c", " d"] * 3, 4),
        ([" a", " b", " c", " d"] * 4, 16),
        (list("今日はとてもいい天気です。今日はとてもいい天気です。"), 13),
        ([], 0),
    ],
)
def test_a_text_of_one_repeated_phrase_is_kept_once(words, kept):
    """Two or three copies, the last possibly incomplete; any other text stays whole."""
    assert words_without_repeats(words) == kept
