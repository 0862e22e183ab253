"""Captions that read well: where they are cut and where their lines break."""

from typing import Any

import pytest

from tests.support.transcripts import make_transcript, spoken, spoken_tokens
from ytcaption.domain.captions.breaks import Break, breaks, ends_clause, ends_sentence
from ytcaption.domain.captions.cues import cues
from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.captions.units import CaptionUnit, caption_units
from ytcaption.domain.transcripts.transcript import Segment

pytestmark = pytest.mark.unit


def texts(*segments: Segment, language: str = "en", style: CaptionStyle | None = None) -> list[str]:
    return [cue.text for cue in cues(make_transcript(*segments, language=language), style)]


def test_a_new_sentence_starts_a_new_caption():
    """Two sentences that would fit one caption are two."""
    found = texts(
        spoken("The committee has finished its work. Nobody was surprised by the result.")
    )
    assert found == ["The committee has finished its work.", "Nobody was surprised by the result."]


def test_very_short_sentences_share_a_caption():
    """A one-word answer is not flashed on its own."""
    assert texts(spoken("No. I never saw him.")) == ["No. I never saw him."]


def test_captions_join_words_of_neighbouring_segments():
    """The decoder's cut in the middle of a sentence is none in the captions."""
    one = spoken("I would like to thank", word_s=0.25)
    two = spoken("all of you for coming.", start_s=1.25, word_s=0.25)
    assert texts(one, two) == ["I would like to thank\nall of you for coming."]


def test_a_long_pause_ends_a_caption():
    """What is said after more than two seconds of silence is not shown before it is said."""
    found = texts(spoken("Wait for it here.", pauses={"for": 2.5}))
    assert found == ["Wait for", "it here."]
    assert texts(spoken("a I", pauses={"a": 2.01})) == ["a", "I"]
    found = texts(spoken("No. I never saw him.", pauses={"No.": 2.5}))
    assert found == ["No.", "I never saw him."]


def test_a_long_sentence_is_cut_at_its_clauses():
    """Commas are better cuts than the brim of the caption."""
    text = (
        "When the long winter had finally come to its end, the people of the valley opened "
        "their doors, and the children ran down to the river."
    )
    found = texts(spoken(text))
    assert [caption.replace("\n", " ") for caption in found] == [
        "When the long winter had finally come to its end,",
        "the people of the valley opened their doors,",
        "and the children ran down to the river.",
    ]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "She put every one of the old books back into the enormous cupboard of the library"),
        ("de", "Sie stellte jedes der alten Bücher wieder in den riesigen Schrank der Bibliothek"),
        ("fr", "Elle a remis tous les vieux livres dans la grande armoire de la bibliothèque"),
        ("es", "Ella guardó todos los libros viejos en el enorme armario de la biblioteca"),
    ],
)
def test_no_line_ends_with_an_article_or_preposition(language: str, text: str):
    """Small words stay with the word they belong to."""
    small = "the a of into in den der le la les de el los dans".split()  # noqa: SIM905
    for caption in texts(spoken(text), language=language):
        assert not [line for line in caption.split("\n") if line.split()[-1] in small]


def test_two_lines_are_even_and_the_lower_is_the_longer():
    """Text of one clause and a half is not left with a word on its second line."""
    (caption,) = texts(spoken("Yesterday evening somebody carefully opened seventeen windows"))
    upper, lower = caption.split("\n")
    assert abs(len(upper) - len(lower)) < 12
    (caption,) = texts(spoken("aaaaaaaa bbbbbbbb cccccccc dddddddd eeeeeeee"))
    assert caption == "aaaaaaaa bbbbbbbb\ncccccccc dddddddd eeeeeeee"


def test_of_three_lines_each_is_even():
    """Not only the last one."""
    style = CaptionStyle("en", line_length=20, max_lines=3)
    (caption,) = texts(spoken(" ".join(["aaaaa"] * 7)), style=style)
    assert [len(line.split()) for line in caption.split("\n")] == [2, 2, 3]


def test_a_line_may_be_full():
    """To the last column."""
    style = CaptionStyle("en", line_length=10, max_lines=1)
    assert texts(spoken("aaaa bbbbb"), style=style) == ["aaaa bbbbb"]
    assert texts(spoken("aaaa bbbbbb"), style=style) == ["aaaa", "bbbbbb"]


def test_fast_sentences_share_a_caption_and_slow_ones_do_not():
    """Where the first alone could not be seen, or not be read."""
    brief = "I never saw him. That is all I know."
    fast = "Nobody believed that any more. Everybody had seen it happen."
    assert len(texts(spoken(brief, start_s=60, word_s=0.1))) == 1
    assert len(texts(spoken(fast, start_s=60, word_s=0.19))) == 1
    for text in (brief, fast):
        assert len(texts(spoken(text, start_s=60, word_s=0.5))) == 2


def test_no_more_captions_are_made_than_needed():
    """Clauses that fit one caption share it, a line each."""
    found = texts(spoken("When winter came, the people left the valley."))
    assert found == ["When winter came,\nthe people left the valley."]


def test_what_fits_one_line_stays_on_one():
    """No line is broken without need."""
    assert texts(spoken("Exactly forty two characters, no more now.")) == [
        "Exactly forty two characters, no more now."
    ]


def test_no_word_is_left_over():
    """A sentence just too long for one caption is cut into halves, not a caption and a word."""
    words = " ".join(["seventeen"] * 9)
    captions = texts(spoken(words))
    assert len(captions) == 2
    assert min(len(caption) for caption in captions) > 30


def test_a_first_word_is_not_cut_off_at_its_comma():
    """Better to cut before a conjunction than to show one word for a moment."""
    said = "everybody who came to our meeting had said"
    what = "that the old town hall should be preserved"
    slow, rest = spoken("Well,", word_s=1.0), spoken(f"{said} {what}", start_s=1.0, word_s=0.25)
    found = [caption.replace("\n", " ") for caption in texts(slow, rest)]
    assert found == [f"Well, {said}", what]


@pytest.mark.parametrize("lines", [1, 2, 3, 4])
def test_the_number_of_lines_can_be_set(lines: int):
    """There may be one to four lines, each within its length."""
    style = CaptionStyle("en", line_length=20, max_lines=lines)
    found = texts(spoken("some words that go on and on " * 8), style=style)
    assert max(caption.count("\n") + 1 for caption in found) == lines


def test_japanese_prefers_to_break_after_particles():
    """Between hiragana and the kanji of the next phrase, not inside a compound."""
    tokens = [
        "客",
        "観",
        "的",
        "実",
        "在",
        "の",
        "判",
        "断",
        "的",
        "知",
        "識",
        "が",
        "整",
        "理",
        "する",
        "ので",
        "ある",
    ]
    (caption,) = texts(spoken_tokens(*tokens), language="ja")
    assert caption.split("\n")[0][-1] in "のがる"


def test_thai_breaks_at_its_spaces():
    """Thai writes a space where others write a comma."""
    tokens = (["ก"] * 12 + [" ข"] + ["ค"] * 11) * 3
    transcript = make_transcript(spoken_tokens(*tokens), language="th")
    units = caption_units(transcript, len, max_columns=42, max_span_ms=7000)
    costs = [place.cost for place in breaks(units, "th")]
    assert costs[12] < costs[11] and costs[12] < costs[13]


def between(
    previous: str, text: str, language: str | None, *, pause_ms: int = 0, opens: bool = False
) -> Break:
    """The break between two words with a space between them."""
    one = CaptionUnit(previous, 0, 0, True, False, len(previous))
    other = CaptionUnit(text, pause_ms, pause_ms, True, opens, len(text))
    return breaks([one, other], language)[1]


def cost(previous: str, text: str, language: str | None, **more: Any) -> float:
    return between(previous, text, language, **more).cost


def test_breaks_are_better_after_sentences_than_after_clauses_than_anywhere():
    """In between are conjunctions and the decoder's own cuts; worst is after a small word."""
    ordered = [
        cost("cat.", "Dogs", "en"),
        cost("cat,", "dogs", "en"),
        cost("cat", "because", "en"),
        cost("cat", "dogs", "en", opens=True),
        cost("cat", "dogs", "en"),
        cost("the", "dogs", "en"),
    ]
    assert ordered == sorted(set(ordered)) and ordered[0] == 0
    assert cost("Mr.", "Smith", "en") >= cost("cat", "dogs", "en")


def test_small_words_are_those_of_the_language():
    """Also within quotes; none are known of an unknown language."""
    for word in ("der", "„der", "Der"):
        assert cost(word, "Hund", "de") > cost("Hund", "Katze", "de")
    assert cost("der", "dog", "en") == cost("cat", "dog", "en") == cost("the", "dog", None)


def test_a_pause_makes_a_break_better():
    """The longer, the better, up to a second, whose cost is that of a sentence's end."""
    pauses = (0, 300, 600, 900, 1000)
    costs = [cost("cat", "dogs", "en", pause_ms=pause_ms) for pause_ms in pauses]
    assert costs == sorted(set(costs), reverse=True) and costs[-1] == 0


@pytest.mark.parametrize("word", ["cat.", "cat,", "cat"])
def test_more_than_two_seconds_of_silence_end_a_caption(word: str):
    """After a sentence and within one."""
    assert between(word, "Dogs", "en", pause_ms=2001).forced
    assert not between(word, "Dogs", "en", pause_ms=2000).forced


def test_pauses_and_sentences_are_not_kept_within_a_caption():
    """A breath may be, words that follow each other are."""
    kept = [between("cat", "dogs", "en", pause_ms=ms).keep_cost for ms in (0, 250, 500, 1000)]
    assert kept[:2] == [0, 0] and 0 < kept[2] < kept[3]
    assert between("cat.", "Dogs", "en").keep_cost > 0
    assert between("Mr.", "Smith", "en").keep_cost == 0


@pytest.mark.parametrize(
    ("previous", "text", "is_phrase"),
    [
        ("ไทย", "ไทย", True),
        ("ລາວ", "ລາວ", True),
        ("བོད", "བོད", True),
        ("မြန်", "မာ", True),
        ("ខ្មែរ", "ភាសា", True),
        ("ภาษา", "english", False),
        ("english", "ภาษา", False),
        ("ភាសា", "english", False),
    ],
)
def test_a_space_is_a_comma_between_words_of_scripts_without_spaces(
    previous: str, text: str, is_phrase: bool
):
    """Thai, Lao, Tibetan, Burmese and Khmer; a space beside a foreign word is none."""
    comma, space = cost("cat,", "dog", "en"), cost("cat", "dog", "en")
    assert cost(previous, text, "th") == (comma if is_phrase else space)


def test_japanese_phrases_begin_with_other_letters_than_they_end_with():
    """Hiragana ends one; before hiragana there is no end, nor between two kanji."""
    phrase = cost("は", "東", "ja")
    assert phrase == cost("は", "カ", "ja") == cost("は", "api", "ja")
    assert cost("東", "京", "ja") > phrase < cost("api", "京", "ja")
    assert cost("東", "は", "ja") > phrase < cost("が", "は", "ja")
    assert cost("ね、", "東", "ja") < phrase
    assert cost("は", "東", "zh") == cost("東", "京", "zh")


@pytest.mark.parametrize(
    ("text", "following", "ends"),
    [
        ("done.", "Then", True),
        ("done.”", "Then", True),
        ("done?", "then", True),
        ("done.", "then", False),
        ("done.", "“Then", True),
        ("done.", "“then", False),
        ("Mr.", "Smith", False),
        ("“Mr.", "Smith", False),
        ("J.", "Smith", False),
        ("(J.", "Smith", False),
        ("I…", "Well", True),
        ("語.", "次", True),
        ("3.", "Mai", False),
        ("12.", "Mai", False),
        ("125.", "Then", True),
        ("4k.", "Then", True),
        ("1984.", "Then", True),
        ("well…", "I", True),
        ("well…", "and", False),
        ("です。", "次", True),
        ("है।", "वह", True),
        ("کیا؟", "ہاں", True),
        ("done", "Then", False),
        ("done,", "Then", False),
        ("end.", None, True),
    ],
)
def test_a_sentence_does_not_end_after_an_abbreviation(
    text: str, following: str | None, ends: bool
):
    """The punctuation, the word before it and the word after it decide."""
    assert ends_sentence(text, following) is ends


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("well,", True),
        ("well,”", True),
        ("である、", True),
        ("نعم،", True),
        ("so —", True),
        ("so", False),
        ("”so", False),
        ("”", False),
    ],
)
def test_clause_ends_are_seen_in_every_script(text: str, ends: bool):
    """Commas, colons and dashes of the scripts Whisper writes."""
    assert ends_clause(text) is ends
