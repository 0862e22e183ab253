"""Caption files: other people's readers find in them what we wrote, whatever was said."""

import html
import re

import pysubs2
import pytest
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from tests.support.transcripts import make_transcript, spoken
from tests.ytcaption.domain.captions.samples import REAL, at_most, real_transcript, transcripts
from ytcaption.domain.captions.cues import Cue, CueWord, cues
from ytcaption.domain.captions.formats import CaptionFormat, caption_formats, render, to_srt, to_vtt
from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.errors import InvalidOption
from ytcaption.domain.transcripts.transcript import Transcript

pytestmark = pytest.mark.unit

END = Cue(359_000_000, 359_001_000, ("The end.",))
"""Last, since pysubs2's SRT reader takes digits that end a file for the number of a caption."""

LATE = 30 * 3600.0


def pysubs2_events(text: str, format_: str) -> list[tuple[int, int, str]]:
    file = pysubs2.SSAFile.from_string(text, format_=format_, keep_html_tags=True)
    return [(event.start, event.end, event.text) for event in file.events]


def expected(captions: list[Cue]) -> list[tuple[int, int, str]]:
    return [(cue.start_ms, cue.end_ms, cue.text.replace("\n", "\\N")) for cue in captions]


def webvtt_captions(text: str) -> list[tuple[int, int, str]]:
    return [
        (caption.start_in_ms, caption.end_in_ms, html.unescape(caption.text))
        for caption in _timed(text)
    ]


def _timed(text: str):
    for caption in webvtt.from_string(text):
        caption.start_in_ms = _ms(caption.start)
        caption.end_in_ms = _ms(caption.end)
        yield caption


def _ms(clock: str) -> int:
    hours, minutes, seconds = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)


def unescaped_ass(text: str) -> str:
    return re.sub(r"\\([{}])", r"\1", text.replace("\u2060", ""))


@given(transcripts())
@at_most(80)
def test_pysubs2_reads_our_srt(transcript: Transcript):
    """The same captions, texts and times, markup in the text included."""
    captions = [*cues(transcript), END]
    found = pysubs2_events(to_srt(captions), "srt")
    assert [(a, b, text.replace("\u2060", "")) for a, b, text in found] == expected(
        [
            Cue(c.start_ms, c.end_ms, tuple(x.replace("\u2060", "") for x in c.lines))
            for c in captions
        ]
    )


@pytest.mark.slow
@given(transcripts(), st.booleans())
@at_most(80)
def test_webvtt_py_reads_our_vtt(transcript: Transcript, words: bool):
    """It reads the same captions, texts and times, with word timestamps or without."""
    captions = cues(transcript)
    assert webvtt_captions(to_vtt(captions, "en", words=words)) == [
        (cue.start_ms, cue.end_ms, cue.text) for cue in captions
    ]


@given(transcripts())
@at_most(60)
def test_pysubs2_reads_our_vtt(transcript: Transcript):
    """A second reader agrees."""
    captions = [*cues(transcript), END]
    found = pysubs2_events(to_vtt(captions, None), "vtt")
    assert [(start, end, html.unescape(text)) for start, end, text in found] == expected(captions)


@given(transcripts())
@at_most(60)
def test_pysubs2_reads_our_ass(transcript: Transcript):
    """The same texts, and times to the centisecond, which is all that ASS holds."""
    captions = cues(transcript)
    found = pysubs2_events(render(transcript, CaptionFormat.ASS), "ass")
    assert [(start, end) for start, end, _ in found] == [
        (cue.start_ms // 10 * 10, cue.end_ms // 10 * 10) for cue in captions
    ]
    assert [unescaped_ass(text) for _, _, text in found] == [
        cue.text.replace("\u2060", "").replace("\n", "\\N") for cue in captions
    ]


@given(transcripts(), st.sampled_from(CaptionFormat))
@at_most(80)
def test_every_format_is_utf_8_with_unix_lines(transcript: Transcript, format_: CaptionFormat):
    """Whatever was decoded, each file can be written, and none ends a line in another way."""
    if format_ is CaptionFormat.JSON and "\ud800" in transcript.text:
        return  # the document itself cannot be stored, see Transcript.to_json
    text = render(transcript, format_)
    text.encode()
    assert "\r" not in text and (not text or text.endswith("\n"))


@given(transcripts())
@at_most(60)
def test_a_blank_line_only_parts_captions(transcript: Transcript):
    """Text can neither end its own caption nor begin a new one."""
    captions = cues(transcript)
    for text in (to_srt(captions), to_vtt(captions, None)):
        assert text.count("-->") == len(captions)
    assert to_srt(captions).count("\n\n") == len(captions)
    assert to_vtt(captions, None).count("\n\n") == len(captions)


@pytest.mark.parametrize("name", REAL)
def test_real_transcripts_come_back_from_every_player_format(name: str):
    """Six clips in five languages survive three formats."""
    transcript = real_transcript(name)
    captions = cues(transcript)
    assert pysubs2_events(render(transcript, CaptionFormat.SRT), "srt") == expected(captions)
    assert webvtt_captions(render(transcript, CaptionFormat.VTT)) == [
        (cue.start_ms, cue.end_ms, cue.text) for cue in captions
    ]
    assert len(pysubs2_events(render(transcript, CaptionFormat.ASS), "ass")) == len(captions)


@pytest.mark.parametrize(
    ("format_", "clock"),
    [
        (CaptionFormat.SRT, "30:00:00,000 --> 30:00:00,830"),
        (CaptionFormat.VTT, "30:00:00.000 --> 30:00:00.830"),
        (CaptionFormat.ASS, "30:00:00.00,30:00:00.83"),
        (CaptionFormat.TSV, "108000000\t108000600\t"),
        (CaptionFormat.MD, "**30:00:00**"),
    ],
)
def test_thirty_hours_in_no_format_wraps(format_: CaptionFormat, clock: str):
    """ASS by pysubs2 alone stops at ten hours."""
    assert clock in render(make_transcript(spoken("Good night.", start_s=LATE)), format_)


def test_four_days_in_srt_and_vtt_have_three_digits_of_hours():
    """SRT by pysubs2 alone stops at a hundred hours."""
    transcript = make_transcript(spoken("Still here.", start_s=100 * 3600))
    assert "\n100:00:00,000 --> " in render(transcript, CaptionFormat.SRT)
    assert webvtt_captions(render(transcript, CaptionFormat.VTT))[0][0] == 360_000_000


def test_vtt_begins_as_the_standard_says():
    """Signature and language on one line, then a blank one; no language where nothing is said."""
    assert render(real_transcript("jfk"), CaptionFormat.VTT).startswith(
        "WEBVTT Language: en\n\n1\n00:"
    )
    assert render(make_transcript(language=None), CaptionFormat.VTT) == "WEBVTT\n"


def test_a_translation_is_in_english():
    """The header names the language of the text, not of the speech."""
    spoken_in_german = make_transcript(spoken("Good day."), language="de")
    translated = Transcript(**(spoken_in_german.__dict__ | {"task": "translate"}))
    assert render(translated, CaptionFormat.VTT).startswith("WEBVTT Language: en\n")


def test_word_timestamps_are_inside_their_caption_and_increase():
    """Each word after the first carries the time at which it is said."""
    text = render(real_transcript("jfk"), CaptionFormat.VTT, words=True)
    assert "And<00:00:00.520><c> so</c><00:00:00.840><c> my</c>" in text
    for caption in _timed(text):
        times = [_ms(clock) for clock in re.findall(r"<([\d:.]+)>", caption.raw_text)]
        assert caption.start_in_ms < times[0] and times[-1] < caption.end_in_ms
        assert times == sorted(set(times))


def test_word_timestamps_are_on_the_line_of_their_word():
    """None for a word that starts with its caption, with the word before it, or at the end."""
    words = [(0, 0, "So"), (300, 0, " <b>"), (300, 0, " my"), (700, 1, "fellow"), (900, 1, " x")]
    cue = Cue(0, 900, ("So <b> my", "fellow x"), tuple(CueWord(*word) for word in words))
    assert to_vtt([cue], None, words=True) == (
        "WEBVTT\n\n1\n00:00:00.000 --> 00:00:00.900\n"
        "So<00:00:00.300><c> &lt;b&gt;</c> my\n<00:00:00.700><c>fellow</c> x\n"
    )


def test_vtt_escapes_markup_and_srt_has_none():
    """A spoken tag is text in VTT; SRT cannot escape, but a spoken arrow breaks neither."""
    transcript = make_transcript(spoken("<b> & --> 1"))
    assert "\n&lt;b&gt; &amp; --&gt; 1\n" in render(transcript, CaptionFormat.VTT)
    assert "\n<b> & --\u2060> 1\n" in render(transcript, CaptionFormat.SRT)


def test_a_spoken_timing_line_begins_no_caption():
    """Not in the eyes of a reader that looks for an arrow between two times."""
    timing = "00:00:01,000 --> 00:00:02,000"
    transcript = make_transcript(spoken(f"{timing} {timing.replace(',', '.')}"))
    captions = cues(transcript)
    assert len(webvtt.from_string(render(transcript, CaptionFormat.VTT))) == len(captions)
    arrows = re.findall(r"[\d:,.]+ --> [\d:,.]+", render(transcript, CaptionFormat.SRT))
    assert len(arrows) == len(captions)


def test_a_caption_that_ends_with_a_number_keeps_it():
    """pysubs2 takes digits before the next caption for its number: VTT captions have one, too."""
    segments = (spoken("It was 1984"), spoken("1985", start_s=9), spoken("The end.", start_s=20))
    for format_ in (CaptionFormat.SRT, CaptionFormat.VTT):
        found = pysubs2_events(render(make_transcript(*segments), format_), format_)
        assert [text for *_, text in found] == ["It was 1984", "1985", "The end."]


def test_ass_escapes_its_own_markup():
    """Braces and backslashes are text, as FFmpeg writes them for libass."""
    transcript = make_transcript(spoken("{\\i1} C:\\new"))
    assert "\\{\\i1\\} C:\\\u2060new\n" in render(transcript, CaptionFormat.ASS)


def test_ass_is_laid_out_for_a_full_hd_picture():
    """Sizes are read by it; the file names no other program."""
    text = render(make_transcript(spoken("Hello.")), CaptionFormat.ASS)
    assert pysubs2.SSAFile.from_string(text).info.items() >= {
        ("PlayResX", "1920"), ("PlayResY", "1080"), ("ScaledBorderAndShadow", "yes")
    }  # fmt: skip
    assert not [line for line in text.splitlines() if line.startswith(";")]
    assert "\nDialogue: 0,0:00:00.00,0:00:00.83,Default,,0,0,0,,Hello.\n" in text


@pytest.mark.parametrize("format_", ["srt", "vtt", "ass"])
def test_captions_are_laid_out_as_requested(format_: str):
    """A style that is given is used, else that of the language."""
    said = "one two three four five six"
    transcript = make_transcript(spoken(said))
    style = CaptionStyle("en", line_length=14)
    narrow = pysubs2_events(render(transcript, CaptionFormat(format_), style), format_)
    assert [text for *_, text in narrow] == ["one two three\\Nfour five six"]
    usual = pysubs2_events(render(transcript, CaptionFormat(format_)), format_)
    assert [text for *_, text in usual] == [said]


@pytest.mark.parametrize("format_", CaptionFormat)
def test_times_of_words_are_refused_where_a_format_has_no_place_for_them(format_: CaptionFormat):
    """With the formats that have one."""
    transcript = make_transcript(spoken("Hello there."))
    render(transcript, format_, words=False)
    if format_ in ("json", "vtt", "tsv"):
        assert render(transcript, format_, words=True)
    else:
        with pytest.raises(InvalidOption, match="json, vtt or tsv"):
            render(transcript, format_, words=True)


def test_captions_are_numbered_from_one():
    """As players expect."""
    transcript = make_transcript(spoken("One."), spoken("Two.", start_s=9))
    for format_ in (CaptionFormat.SRT, CaptionFormat.VTT):
        assert re.findall(r"^\d+$", render(transcript, format_), re.M) == ["1", "2"]


def test_ass_takes_the_direction_of_right_to_left_text():
    """libass's encoding -1, for Arabic, Hebrew and the like."""
    style = r"^Style: Default,.*,{}$"
    hebrew = render(make_transcript(spoken("שלום עולם."), language="he"), CaptionFormat.ASS)
    english = render(make_transcript(spoken("Hello.")), CaptionFormat.ASS)
    assert re.search(style.format(-1), hebrew, re.M) and re.search(style.format(1), english, re.M)


def test_formats_are_chosen_by_name():
    """In any case, each once, in their order; an unknown one is refused with those there are."""
    assert caption_formats(["VTT", "srt", "vtt"]) == [CaptionFormat.VTT, CaptionFormat.SRT]
    with pytest.raises(InvalidOption, match=r"docx.*srt, vtt, txt, json, tsv, ass, md"):
        caption_formats(["srt", "docx"])


@pytest.mark.parametrize("format_", CaptionFormat)
def test_formats_name_their_extension_and_media_type(format_: CaptionFormat):
    """The value is the extension; text types say that they are UTF-8."""
    assert format_.extension == f".{format_}"
    assert format_.media_type.startswith(("text/", "application/"))
    assert format_.media_type.startswith("text/") == ("charset=utf-8" in format_.media_type)


@pytest.mark.parametrize("format_", CaptionFormat)
def test_nothing_said_is_a_valid_file(format_: CaptionFormat):
    """A header where the format has one, and no captions."""
    text = render(make_transcript(language=None), format_)
    assert "-->" not in text and "Dialogue" not in text
