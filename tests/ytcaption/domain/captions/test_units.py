"""Which words may be parted: never a written word, a character, or a word and its punctuation."""

from dataclasses import replace

import pytest

from tests.support.transcripts import make_segment, make_transcript, spoken_tokens
from ytcaption.domain.captions.cues import cues
from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.captions.units import caption_units, clean_text, is_invisible
from ytcaption.domain.transcripts.transcript import Segment, Word

pytestmark = pytest.mark.unit


def units_of(*segments: Segment, max_columns: int = 42) -> list[str]:
    transcript = make_transcript(*segments)
    found = caption_units(transcript, len, max_columns=max_columns, max_span_ms=7000)
    return [(" " if unit.space else "") + unit.text for unit in found]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ((" well", "-known", " man"), [" well-known", " man"]),
        ((" Bonjour", " !", " Ça"), [" Bonjour !", " Ça"]),
        ((" dit", " «", " oui", " »"), [" dit", " « oui »"]),
        (("「", "東", "京", "」", "と", "、", "大"), [" 「東", "京」", "と、", "大"]),
        (("スパ", "ー", "っ", "て"), [" スパーっ", "て"]),
        (("私", "は", "i", "Phone", "を"), [" 私", "は", "iPhone", "を"]),
        (("2", "024", "年"), [" 2024", "年"]),
        (("น", "้", "ำ", "ดี"), [" น้ำ", "ดี"]),
        ((" e", "\u0301", "t", " x"), [" e\u0301t", " x"]),
        (("语", "👍", "🏽", "好"), [" 语", "👍🏽", "好"]),
        (("👩", "\u200d", "👧", "好"), [" 👩\u200d👧", "好"]),
        (("ក", "\u200cខ", "គ\u200c", "ឃ"), [" ក\u200cខ", "គ\u200cឃ"]),
        ((" Yes.", " -", " No."), [" Yes.", " - No."]),
        ((" New York ", "is"), [" New York", " is"]),
        ((" a", " ", "b"), [" a", " b"]),
        ((" a", "\u200b ", "b"), [" a", " b"]),
        ((" a", "\u200b", "b"), [" ab"]),
        ((" a", "\u200b\u200b", "b"), [" ab"]),
    ],
)
def test_what_is_written_together_stays_together(tokens: tuple[str, ...], expected: list[str]):
    """Units are the places at which a line may end, in scripts with and without spaces."""
    assert units_of(spoken_tokens(*tokens)) == expected


def test_written_words_wider_than_a_line_are_parted_at_spoken_words():
    """A chain that no line can hold is cut between the decoder's words, for a line must hold it."""
    assert units_of(spoken_tokens(" ha", "-ha", "-ha", "-ha"), max_columns=6) == [
        " ha-ha",
        "-ha-ha",
    ]


def test_segments_are_joined_by_a_space_where_the_script_has_one():
    """The first word of a segment may come without its space; Chinese and Japanese get none."""
    one, two = spoken_tokens("Hello,"), spoken_tokens("you.", start_s=1)
    assert units_of(one, two) == [" Hello,", " you."]
    one, two = spoken_tokens("你好", "。"), spoken_tokens("再见", start_s=1)
    assert units_of(one, two) == [" 你好。", "再见"]
    chinese, english = spoken_tokens("你好"), spoken_tokens("OK", start_s=1)
    assert units_of(chinese, english) == [" 你好", "OK"]
    chinese, english = spoken_tokens("你好", start_s=1), spoken_tokens("OK")
    assert units_of(english, chinese) == [" OK", "你好"]


def test_times_never_go_back_and_never_overlap():
    """A word that starts before the one in front of it starts with it; ends give way to starts."""
    words = [Word(1, 3, " a", 1), Word(2, 1, " b", 1), Word(0.5, 4, " c", 1), Word(3, 3.2, " d", 1)]
    found = caption_units(
        make_transcript(make_segment(words)), len, max_columns=42, max_span_ms=7000
    )
    assert [(unit.start_ms, unit.end_ms) for unit in found] == [
        (1000, 2000), (2000, 2000), (2000, 3000), (3000, 3200)
    ]  # fmt: skip


def test_a_unit_lasts_until_the_last_of_its_words():
    """It opens a segment if the first of them does."""
    segments = spoken_tokens(" well", "-known", " man"), spoken_tokens(" here", start_s=1)
    found = caption_units(make_transcript(*segments), len, max_columns=42, max_span_ms=7000)
    assert [(unit.text, unit.start_ms, unit.end_ms, unit.opens_segment) for unit in found] == [
        ("well-known", 0, 400, True),
        ("man", 400, 600, False),
        ("here", 1000, 1200, True),
    ]


def test_words_without_times_share_their_segment_by_length():
    """With the spaces between them."""
    segment = replace(make_segment([], text="ab cdef g"), start_s=10.0, end_s=19.0)
    found = caption_units(make_transcript(segment), len, max_columns=42, max_span_ms=7000)
    assert [(unit.text, unit.start_ms, unit.end_ms) for unit in found] == [
        ("ab", 10_000, 12_000), ("cdef", 12_000, 17_000), ("g", 17_000, 19_000)
    ]  # fmt: skip


def test_cleaned_text_is_one_line_of_valid_unicode():
    """Line breaks become a space, control characters go, a lone surrogate becomes U+FFFD."""
    assert clean_text(" a\r\n\tb\x00\u2028c\ufeff \x85") == " a b c "
    assert clean_text("\ud800").encode() == "\ufffd".encode()
    assert clean_text("fin\u00a0! e\u0301 👩\u200d👧 \u202aשלום\u202c") == (
        "fin\u00a0! e\u0301 👩\u200d👧 \u202aשלום\u202c"
    )


def test_only_what_cannot_be_seen_is_invisible():
    """Format characters are; private characters and lone accents are not."""
    assert is_invisible("\u200b\u00a0\u2060")
    assert not is_invisible("\ue000")
    assert not is_invisible("\u0301")


@pytest.mark.parametrize("language", ["zh", "yue", "ja", "ko"])
def test_east_asian_lines_hold_sixteen_characters(language: str):
    """In these languages a character is a column, wide or not."""
    style = CaptionStyle.for_language(language)
    assert (style.line_length, style.columns("漢字kana"), style.columns("한국")) == (16, 6, 2)


def test_the_number_and_length_of_lines_can_be_chosen():
    """For languages that are written in wide characters by a length of their own."""
    for language, length in (("en", 30), ("ja", 12)):
        style = CaptionStyle.for_language(language, line_length=30, cjk_line_length=12, max_lines=3)
        assert (style.line_length, style.max_lines) == (length, 3)
    assert CaptionStyle.for_language("en") == CaptionStyle("en")


def test_wide_characters_take_two_columns_in_other_languages():
    """An English caption that quotes Chinese stays within the picture."""
    assert CaptionStyle.for_language("en").columns("say 你好") == 8
    assert CaptionStyle("en", wide_columns=3).columns("say 你好") == 10


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_no_line_starts_with_closing_or_ends_with_opening_punctuation(language: str):
    """Kinsoku holds where the decoder gives every mark as a word of its own."""
    tokens = (
        list(
            "彼は「今日は、とても寒いですね。」と言った。『そうですか？』（笑）そして、帰りました。"
        )
        * 6
    )
    captions = cues(make_transcript(spoken_tokens(*tokens), language=language))
    lines = [line for cue in captions for line in cue.lines]
    assert len(lines) > 12
    assert not [line for line in lines if line[0] in "、。」』？）"]
    assert not [line for line in lines if line[-1] in "「『（"]
