"""The rules of captions, held on any words and any times, and their order where they collide."""

import time
from itertools import pairwise

import pytest
from hypothesis import given

from tests.support.transcripts import make_segment, make_transcript, spoken
from tests.ytcaption.domain.captions.samples import (
    REAL,
    at_most,
    plain_words,
    real_transcript,
    said,
    shown,
    styles,
    transcripts,
)
from ytcaption.domain.captions.cues import MAX_DELAY_MS, Cue, cues
from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.captions.units import clean_text
from ytcaption.domain.transcripts.transcript import Transcript, Word

pytestmark = pytest.mark.unit

HOUR_MS = 3_600_000


def first_said_ms(cue: Cue) -> int:
    return cue.words[0].start_ms


@given(transcripts(), styles)
@at_most(80)
def test_no_word_is_lost_and_the_order_is_kept(transcript: Transcript, style: CaptionStyle):
    """The visible characters of all captions are those of all words, in order."""
    assert shown(cue.text for cue in cues(transcript, style)) == said(transcript)


@given(transcripts(), styles)
@at_most(80)
def test_lines_hold_their_limits(transcript: Transcript, style: CaptionStyle):
    """No line is empty or too wide, but for a single word that is wider than a line."""
    words = {clean_text(word.text).strip() for word in transcript.words}
    for cue in cues(transcript, style):
        assert 1 <= len(cue.lines) <= style.max_lines
        for line in cue.lines:
            assert line.strip() == line != ""
            assert line.isprintable() or not set(line) & set("\n\r\t\v\f\x00\x1c\x85\u2028\ufeff")
            assert style.columns(line) <= style.line_length or line in words


@pytest.mark.long
@given(transcripts(), styles)
@at_most(80)
def test_times_never_overlap_and_keep_their_gap(transcript: Transcript, style: CaptionStyle):
    """Whatever the times of words: integers, in order, a gap between, none longer than allowed."""
    captions = cues(transcript, style)
    for cue in captions:
        assert isinstance(cue.start_ms, int) and isinstance(cue.end_ms, int)
        assert 0 <= cue.start_ms < cue.end_ms <= cue.start_ms + style.max_duration_ms
    for cue, following in pairwise(captions):
        assert following.start_ms - cue.end_ms >= style.min_gap_ms


@given(transcripts(), styles)
@at_most(80)
def test_captions_are_short_only_where_speech_leaves_no_time(
    transcript: Transcript, style: CaptionStyle
):
    """One below the minimum is followed so fast that the next is already as late as allowed."""
    captions = cues(transcript, style)
    for cue, following in pairwise(captions):
        latest_end_ms = first_said_ms(following) + MAX_DELAY_MS - style.min_gap_ms
        room_ms = min(style.min_duration_ms, latest_end_ms - cue.start_ms)
        assert cue.duration_ms >= max(room_ms, 84)
    if captions:
        assert captions[-1].duration_ms >= style.min_duration_ms


@given(transcripts(), styles)
@at_most(80)
def test_captions_are_fast_only_where_no_silence_follows(
    transcript: Transcript, style: CaptionStyle
):
    """Above the reading speed, a caption lasts until the next or for the longest time allowed."""
    captions = cues(transcript, style)
    for cue, following in zip(captions, [*captions[1:], None], strict=False):
        if style.columns(cue.text) * 1000 / cue.duration_ms <= style.max_cps:
            continue
        as_long_as_allowed = cue.duration_ms == style.max_duration_ms
        assert as_long_as_allowed or (
            following is not None and cue.end_ms >= first_said_ms(following) - style.min_gap_ms
        )


@given(transcripts(), styles)
@at_most(80)
def test_a_caption_starts_with_its_first_word(transcript: Transcript, style: CaptionStyle):
    """It starts later only when the caption before it is not out of the way."""
    free_ms = 0
    for cue in cues(transcript, style):
        assert cue.start_ms == max(first_said_ms(cue), free_ms)
        free_ms = cue.end_ms + style.min_gap_ms


@given(transcripts(plain_words, odd_times=False))
@at_most(60)
def test_a_caption_lasts_until_its_last_word_is_said(transcript: Transcript):
    """With words in order, speech is covered to its end, but for the seven seconds and the gap."""
    captions = cues(transcript)
    ends = sorted(round(word.end_s * 1000) for word in transcript.words)
    at = 0
    for cue, following in zip(captions, [*captions[1:], None], strict=False):
        at += len(cue.words)
        limit = first_said_ms(following) - 84 if following else cue.end_ms
        assert cue.end_ms >= min(ends[at - 1], limit, cue.start_ms + 7000)


@given(transcripts(plain_words, odd_times=False))
@at_most(60)
def test_the_same_transcript_gives_the_same_captions(transcript: Transcript):
    """Captions depend on nothing but the transcript and the style."""
    assert cues(transcript) == cues(transcript)


@given(transcripts(), styles)
@at_most(60)
def test_the_words_of_a_caption_make_its_lines(transcript: Transcript, style: CaptionStyle):
    """`words` spells the lines and never goes back in time."""
    for cue in cues(transcript, style):
        for line, text in enumerate(cue.lines):
            assert "".join(word.text for word in cue.words if word.line == line) == text
        assert all(a.start_ms <= b.start_ms for a, b in pairwise(cue.words))


@pytest.mark.parametrize("name", REAL)
def test_real_speech_breaks_no_limit_but_reading_speed(name: str):
    """Of six clips transcribed by Whisper: only the speech itself decides the speed."""
    transcript = real_transcript(name)
    style = CaptionStyle.for_language(transcript.language)
    captions = cues(transcript)
    assert shown(cue.text for cue in captions) == said(transcript)
    for cue in captions:
        assert 830 <= cue.duration_ms <= 7000
        assert len(cue.lines) <= 2
        assert all(len(line) <= style.line_length for line in cue.lines)
        assert cue.start_ms - first_said_ms(cue) <= MAX_DELAY_MS
    assert all(b.start_ms - a.end_ms >= 84 for a, b in pairwise(captions))


def test_the_jfk_clip_reads_as_it_is_spoken():
    """Its three clauses are three captions."""
    assert [cue.text for cue in cues(real_transcript("jfk"))] == [
        "And so my fellow Americans,",
        "ask not what your country can do for you,",
        "ask what you can do for your country.",
    ]


def test_nothing_said_gives_no_captions():
    """A transcript without segments, or whose words are blank, is no error."""
    assert cues(make_transcript(language=None)) == []
    assert (
        cues(make_transcript(make_segment([Word(0, 1, " ", 1.0), Word(1, 2, "\u200b", 1.0)]))) == []
    )


def test_a_word_longer_than_a_line_stands_alone():
    """It is neither cut nor dropped, and no other word is on its line."""
    long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk"
    lines = [
        line for cue in cues(make_transcript(spoken(f"Das {long} ist groß."))) for line in cue.lines
    ]
    assert lines == ["Das", long, "ist groß."]
    (caption,) = cues(make_transcript(spoken(f"{long} ist groß.")))
    assert caption.lines == (long, "ist groß.")


def test_a_word_longer_than_a_caption_may_last_is_alone():
    """What follows is laid out as without it."""
    long, rest = "Aaaah", "I would like to thank all of you."
    segments = make_segment([Word(0, 9, f" {long}", 1)]), spoken(rest, start_s=9)
    first, second = cues(make_transcript(*segments))
    assert (first.text, first.duration_ms, second.text) == (long, 7000, rest)


def test_hours_past_a_day_do_not_wrap():
    """Speech thirty hours in has times past 108,000,000 ms."""
    (cue,) = cues(make_transcript(spoken("Good night.", start_s=30 * 3600)))
    assert cue.start_ms == 30 * HOUR_MS


def test_a_hundred_words_at_one_instant_stay_apart():
    """Where not all can hold, words, order and gap do, and each caption has two frames."""
    words = [Word(5.0, 5.0, f" word{index}", 0.1) for index in range(100)]
    captions = cues(make_transcript(make_segment(words)))
    assert " ".join(cue.text for cue in captions).split() == [f"word{i}" for i in range(100)]
    assert all(b.start_ms - a.end_ms == 84 for a, b in pairwise(captions))
    assert all(cue.duration_ms >= 84 for cue in captions)
    assert captions[-1].duration_ms >= 830


@pytest.mark.parametrize(
    ("start_s", "end_s"), [(2.0, 1.0), (-3.0, -1.0), (float("nan"), float("inf")), (1e9, 0.0)]
)
def test_impossible_times_are_put_right(start_s: float, end_s: float):
    """An end before its start, a time before the media or one that is no number loses no word."""
    words = [
        Word(1.0, 1.4, " Before", 1),
        Word(start_s, end_s, " odd", 1),
        Word(3, 3.5, " after.", 1),
    ]
    captions = cues(make_transcript(make_segment(words)))
    assert " ".join(cue.text for cue in captions).split() == ["Before", "odd", "after."]
    assert all(0 <= cue.start_ms < cue.end_ms for cue in captions)


def test_a_quick_reply_may_delay_the_next_caption():
    """A caption gets its 0.83 s when that makes the next at most half a second late."""
    style = CaptionStyle(line_length=20, max_lines=1)
    segment = spoken("Incomprehensibility. Counterrevolutionary.", word_s=0.5)
    first, second = cues(make_transcript(segment), style)
    assert first.duration_ms == 830
    assert second.start_ms == 914 and first_said_ms(second) == 500


@pytest.mark.parametrize(
    ("pause_s", "blank_ms"), [(0.0, 84), (0.05, 84), (0.4, 84), (0.6, 600), (1.0, 1000)]
)
def test_a_short_blank_between_captions_is_only_the_gap(pause_s: float, blank_ms: int):
    """A caption gives way before the next is spoken; half a second of nothing would flicker."""
    text = "The committee has finished its work. Nobody was surprised by the result."
    segment = spoken(text, word_s=0.4, pauses={"work.": pause_s})
    first, second = cues(make_transcript(segment))
    assert second.start_ms == first_said_ms(second) == round((6 * 0.4 + pause_s) * 1000)
    assert second.start_ms - first.end_ms == blank_ms


def test_a_caption_stays_for_reading_while_nothing_is_said():
    """Fast speech followed by silence is shown as long as it takes to read."""
    text = "Extraordinary circumstances necessitated reconsideration."
    first, _ = cues(
        make_transcript(spoken(f"{text} Yes.", word_s=0.2, pauses={"reconsideration.": 9}))
    )
    assert first.duration_ms == len(text) * 50


def test_text_without_word_times_is_spread_over_its_segment():
    """A segment that came without words, as captions from elsewhere, loses no text."""
    segment = make_segment(
        [], text="A sentence of somebody else, that came without any word times."
    )
    captions = cues(make_transcript(segment))
    assert " ".join(cue.text.replace("\n", " ") for cue in captions) == segment.text
    assert captions[0].start_ms == 0


@pytest.mark.slow
def test_ten_hours_take_seconds():
    """100,000 words, each with its own time, are cut in a few seconds of one core."""
    vocabulary = ["the", "cat", "sat", "on", "that", "mat,", "and", "then", "it", "slept.", "Why?"]
    words = [
        Word(index * 0.36, index * 0.36 + 0.3, f" {vocabulary[index % len(vocabulary)]}", 0.9)
        for index in range(100_000)
    ]
    transcript = make_transcript(make_segment(words))
    began = time.process_time()
    captions = cues(transcript)
    assert time.process_time() - began < 20
    assert captions[-1].end_ms > 9.9 * HOUR_MS


@pytest.mark.parametrize(
    "limits",
    [
        {"line_length": 0},
        {"max_lines": 0},
        {"wide_columns": 0},
        {"min_duration_ms": 0},
        {"min_duration_ms": 8000},
        {"min_gap_ms": -1},
        {"max_cps": 0},
        {"max_cps": float("nan")},
    ],
)
def test_a_style_that_cannot_be_met_is_refused(limits: dict[str, int]):
    """A limit of zero, or a shortest caption longer than the longest, is the caller's mistake."""
    with pytest.raises(ValueError):
        CaptionStyle(**limits)


def test_the_tightest_style_is_possible():
    """One word a line, one duration, no gap, less than a character a second."""
    style = CaptionStyle(
        line_length=1, max_lines=1, min_duration_ms=7000, min_gap_ms=0, max_cps=0.5, wide_columns=1
    )
    assert [cue.text for cue in cues(make_transcript(spoken("a b")), style)] == ["a", "b"]


@pytest.mark.parametrize(("last_end_s", "expected"), [(7.0, ["a b c"]), (7.01, ["a b", "c"])])
def test_words_of_a_caption_take_no_longer_than_it_may_last(last_end_s: float, expected: list[str]):
    """What would not be shown until it is said is in the next caption."""
    words = [Word(0, 0.5, " a", 1), Word(0.5, 1, " b", 1), Word(1, last_end_s, " c", 1)]
    assert [cue.text for cue in cues(make_transcript(make_segment(words)))] == expected
