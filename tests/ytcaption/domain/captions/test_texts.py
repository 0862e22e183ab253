"""Files that are read rather than played: TSV, text, JSON and Markdown."""

import json

import pytest

from tests.support.transcripts import make_segment, make_transcript, spoken
from tests.ytcaption.domain.captions.samples import REAL, real_transcript
from ytcaption.domain.captions.formats import CaptionFormat, render
from ytcaption.domain.transcripts.transcript import Transcript, Word

pytestmark = pytest.mark.unit

HOSTILE = "<b>bold</b> --> {\\i1} C:\\new\\home \\N &amp; &lt; 1 < 2 & [x](y) *a* _b_ `c` #d |"


def test_tsv_has_the_columns_of_openai_whisper():
    """start, end, text; tabs in the text are spaces; a formula is quoted."""
    odd = make_segment([Word(1.0, 2.5, "=1+1\tand", 1.0)])
    text = render(make_transcript(spoken("Hello there."), odd), CaptionFormat.TSV)
    assert text == "start\tend\ttext\n0\t600\tHello there.\n1000\t2500\t'=1+1 and\n"


def test_tsv_may_have_a_row_a_word():
    """Words that cannot be seen have none, and an end is never before its start."""
    words = [Word(0.5, 1.0, " Hello", 1), Word(1, 2, " \u200b", 1), Word(3.0, 2.5, "\tthere.", 1)]
    text = render(make_transcript(make_segment(words)), CaptionFormat.TSV, words=True)
    assert text == "start\tend\ttext\n500\t1000\tHello\n3000\t3000\tthere.\n"


def test_txt_is_a_segment_a_line():
    """As openai-whisper's; silent segments leave no blank line."""
    silent = make_segment([Word(1.0, 2.0, " ", 1.0)])
    transcript = make_transcript(spoken("Hello\u2028there."), silent, spoken("You.", start_s=3))
    assert render(transcript, CaptionFormat.TXT) == "Hello there.\nYou.\n"


@pytest.mark.parametrize("name", REAL)
def test_json_is_the_whole_document_and_readable(name: str):
    """`Transcript.from_json` reads it back, and a word is a line."""
    transcript = real_transcript(name)
    text = render(transcript, CaptionFormat.JSON)
    assert Transcript.from_json(text.encode()) == transcript
    assert json.loads(text) == json.loads(transcript.to_json())
    words = [line for line in text.splitlines() if '"start_s"' in line and '"probability"' in line]
    assert len(words) == len(transcript.words)


def test_json_without_words_has_the_segments():
    """`words=False` leaves out the words and nothing else."""
    transcript = real_transcript("jfk")
    whole = json.loads(render(transcript, CaptionFormat.JSON))
    short = json.loads(render(transcript, CaptionFormat.JSON, words=False))
    for segment in whole["segments"]:
        assert segment.pop("words")
    assert short == whole


@pytest.mark.parametrize("words", [False, True])
def test_json_is_no_wall_of_text(words: bool):
    """Lines that hold no text of a segment have at most a hundred columns; no letter is escaped."""
    transcript = make_transcript(spoken("日本 über"), spoken("alles. " * 100), language="ja")
    text = render(transcript, CaptionFormat.JSON, words=words)
    assert '"日本 über"' in text and ('" 日本"' in text) == words
    lines = text.splitlines()
    assert all(len(line) <= 100 for line in lines if not line.lstrip().startswith('"text"'))
    assert lines[0] == "{" and lines[-1] == "}"


def test_markdown_shows_markup_as_text():
    """No character of the speech becomes a tag, link, heading, list or emphasis."""
    text = render(make_transcript(spoken(HOSTILE)), CaptionFormat.MD)
    assert text == (
        "# Transcript\n\n**0:00** &lt;b&gt;bold&lt;/b&gt; --&gt; {\\\\i1} C:\\\\new\\\\home \\\\N "
        "&amp;amp; &amp;lt; 1 &lt; 2 &amp; \\[x\\](y) \\*a\\* \\_b\\_ \\`c\\` #d \\|\n"
    )


def test_markdown_has_paragraphs_at_pauses_and_headings_in_long_media():
    """A time begins each paragraph; after ten minutes the next part has its heading."""
    segments = (
        spoken("First part."),
        spoken("Second part.", start_s=5),
        spoken("Third.", start_s=700),
    )
    assert render(make_transcript(*segments), CaptionFormat.MD).split("\n\n") == [
        "# Transcript", "## 0:00", "**0:00** First part.", "**0:05** Second part.",
        "## 10:00", "**11:40** Third.\n",
    ]  # fmt: skip


def test_markdown_breaks_long_speech_at_a_sentence():
    """Speech without pauses is no wall of text."""
    sentence = "This speaker never stops for a breath and goes on. "
    segments = [spoken(sentence, start_s=index * 3.0) for index in range(30)]
    paragraphs = render(make_transcript(*segments), CaptionFormat.MD).split("\n\n")[1:]
    assert len(paragraphs) == 4
    assert all(paragraph.rstrip().endswith("goes on.") for paragraph in paragraphs)


def test_markdown_joins_segments_as_their_script_does():
    """A space between words, none between Chinese characters."""
    for one, other, together in (
        ("Hello,", "you.", "Hello, you."),
        ("你好，", "再见。", "你好，再见。"),
    ):
        segments = make_segment([], text=one), make_segment([], text=other)
        text = render(make_transcript(*segments), CaptionFormat.MD)
        assert text == f"# Transcript\n\n**0:00** {together}\n"


def test_markdown_breaks_no_sentence_at_an_abbreviation():
    """However long the paragraph is."""
    sentence = "This speaker never stops for a breath and goes on. "
    first = spoken(sentence * 10 + "He met Mr.", word_s=0.1)
    second = spoken("Smith there.", start_s=first.end_s)
    third = spoken("And left.", start_s=second.end_s)
    paragraphs = render(make_transcript(first, second, third), CaptionFormat.MD).split("\n\n")[1:]
    assert [paragraph.split()[-1] for paragraph in paragraphs] == ["there.", "left."]
