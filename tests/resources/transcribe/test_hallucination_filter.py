"""Invented text is told from speech by the audio and by its shape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.transcribe.hallucination_filter import (
    SpeechFilter,
    believed,
    is_doubled,
    is_loop,
    said_once,
)
from resources.transcribe.speech_spans import SpeechActivity
from ytcaption.domain.transcripts.transcript import Segment, Word

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


def test_speech_is_kept_and_text_over_silence_dropped():
    """What lies between two stretches of speech was made up."""
    said, made_up, said_too = segment(1, 4), segment(20, 22, "Thank you."), segment(41, 44)
    kept, dropped = believed([said, made_up, said_too], activity((1, 5), (40, 45)))
    assert kept == [said, said_too]
    assert [(drop.text, drop.reason) for drop in dropped] == [("Thank you.", "no_speech")]
    assert (dropped[0].start_s, dropped[0].end_s) == (20, 22)


def test_words_placed_beside_their_speech_are_kept():
    """The aligner is some tenths of a second off; nobody loses a word to that."""
    late = segment(5.1, 5.4, "Yes.")
    assert believed([late], activity((1, 5)))[0] == [late]


def test_segment_that_is_partly_speech_is_kept():
    """A word over silence at the end of a sentence does not cost the sentence."""
    long = segment(3, 12, "this goes on far too long for what is said")
    assert believed([long], activity((1, 5)))[0] == [long]


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
    """A phrase that comes again and again is the decoder's, not the speaker's."""
    kept, dropped = believed([segment(1, 9, text)], activity((0, 10)))
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
def test_people_who_repeat_themselves_are_believed(text):
    """Emphasis, disfluency and a refrain are speech."""
    assert not is_loop(text)


def test_echoed_segments_of_a_looping_window_are_dropped():
    """The same segment again and again, in a window that zlib halves: the first is kept."""
    said = segment(0, 1, "Something else.")
    echoes = [segment(at, at + 1, "I am here.", compression_ratio=3.0) for at in range(1, 6)]
    kept, dropped = believed([said, *echoes], activity((0, 10)))
    assert kept == [said, echoes[0]]
    assert [drop.reason for drop in dropped] == ["loop"] * 4


def test_refrain_in_an_ordinary_window_is_kept():
    """Equal segments alone prove nothing."""
    refrain = [segment(at, at + 1, "Hallelujah.") for at in range(4)]
    assert believed(refrain, activity((0, 10)))[0] == refrain


def test_hopeless_text_is_dropped():
    """Text that the decoder itself thinks next to impossible is listed as such."""
    _, dropped = believed([segment(1, 3, avg_logprob=-1.8)], activity((0, 10)))
    assert [drop.reason for drop in dropped] == ["low_confidence"]


@given(
    st.lists(
        st.tuples(st.floats(0, 55), st.floats(0, 4), st.text(max_size=30), st.floats(-3, 0)),
        max_size=12,
    ),
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 9)), max_size=4),
)
def test_every_segment_is_kept_or_listed(found, spoken):
    """Nothing vanishes, and both parts stay in their order."""
    segments = [
        segment(start, start + length, text, avg_logprob=logprob)
        for start, length, text, logprob in found
    ]
    kept, dropped = believed(segments, activity(*((at, at + long) for at, long in spoken)))
    assert len(kept) + len(dropped) == len(segments)
    order = {id(each): at for at, each in enumerate(segments)}
    assert [order[id(each)] for each in kept] == sorted(order[id(each)] for each in kept)


def test_equal_segments_wait_until_it_is_certain_that_they_are_no_loop():
    """The first is shown at once; the others when another text follows, and then all of them."""
    sieve = SpeechFilter(activity((0, 60)))
    refrain = [segment(at, at + 1, "Hallelujah.") for at in range(3)]
    other = segment(9, 10, "Amen.")

    assert [sieve.add(each) for each in refrain] == [[refrain[0]], [], []]
    assert sieve.add(other) == [*refrain[1:], other]
    assert sieve.finish() == []


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
def test_what_was_shown_stays(found):
    """Whatever follows, a segment that was called certain is in the text, at the same place."""
    segments = [
        segment(at, at + 1, text, compression_ratio=ratio, avg_logprob=logprob)
        for at, (text, ratio, logprob) in enumerate(found)
    ]
    heard = activity((0, 60))
    sieve = SpeechFilter(heard)
    shown = []
    for at, each in enumerate(segments, start=1):
        shown += sieve.add(each)
        assert believed(segments[:at], heard)[0][: len(shown)] == shown
    assert [*shown, *sieve.finish()] == believed(segments, heard)[0]


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
def test_phrases_written_twice_are_seen(text, expected):
    """Four words or more, or eight letters where no blanks are written, twice in a row."""
    assert is_doubled(text) is expected


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
def test_a_text_that_is_one_phrase_again_is_kept_once(words, kept):
    """Two or three times, the last perhaps in part, with its punctuation; else it stays whole."""
    assert said_once(words) == kept
