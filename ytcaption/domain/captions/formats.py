"""Write a transcript as a file: SRT, WebVTT and ASS; text, Markdown, TSV and JSON."""

import io
import re
from collections.abc import Callable, Sequence
from enum import StrEnum

import pysubs2
from pysubs2.formats.substation import SubstationFormat

from ytcaption.domain.captions.cues import Cue, cues
from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.captions.text_formats import to_json, to_markdown, to_tsv, to_txt
from ytcaption.domain.errors import InvalidOption
from ytcaption.domain.transcripts.transcript import Transcript

_RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ps", "sd", "ur", "yi"})


class CaptionFormat(StrEnum):
    """The formats a transcript can be written in; the value is the file's extension."""

    SRT = "srt"
    VTT = "vtt"
    TXT = "txt"
    JSON = "json"
    TSV = "tsv"
    ASS = "ass"
    MD = "md"

    @property
    def extension(self) -> str:
        """The file's extension with its dot."""
        return f".{self.value}"

    @property
    def media_type(self) -> str:
        """The `Content-Type`; every format is UTF-8."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    CaptionFormat.SRT: "application/x-subrip",
    CaptionFormat.VTT: "text/vtt; charset=utf-8",
    CaptionFormat.TXT: "text/plain; charset=utf-8",
    CaptionFormat.JSON: "application/json",
    CaptionFormat.TSV: "text/tab-separated-values; charset=utf-8",
    CaptionFormat.ASS: "text/x-ssa; charset=utf-8",
    CaptionFormat.MD: "text/markdown; charset=utf-8",
}


def caption_formats(names: Sequence[str]) -> list[CaptionFormat]:
    """Return the formats of these names, each once.

    Raises:
        InvalidOption: an unknown name; the message lists the known ones.
    """
    known = [each.value for each in CaptionFormat]
    for name in names:
        if name.lower() not in known:
            raise InvalidOption(f"Unknown format '{name[:40]}'. Choose from {', '.join(known)}.")
    return list(dict.fromkeys(CaptionFormat(name.lower()) for name in names))


def render(
    transcript: Transcript,
    format: CaptionFormat,
    style: CaptionStyle | None = None,
    *,
    words: bool | None = None,
) -> str:
    """Return the transcript as the text of a file; lines end in LF.

    Args:
        style: of the captions; None: the default style of the text's language.
        words: WebVTT gets a timestamp before each word, for karaoke-like display; TSV a row per
            word; JSON has the words unless it is False.

    Raises:
        InvalidOption: the format cannot hold the times of words.
    """
    check_words(format, words)
    language = transcript.text_language
    style = style or CaptionStyle.for_language(language)
    if format is CaptionFormat.VTT:
        return to_vtt(cues(transcript, style), language, words=bool(words))
    if format is CaptionFormat.TSV:
        return to_tsv(transcript, words=bool(words))
    if format is CaptionFormat.JSON:
        return to_json(transcript, words=words is not False)
    return _WRITERS[format](transcript, style)


def check_words(format: CaptionFormat, words: bool | None) -> None:
    """Check that the format can hold the times of words, if they are requested.

    Raises:
        InvalidOption: it cannot; the message lists the formats that can.
    """
    if words and format not in _WITH_WORDS:
        raise InvalidOption(
            f"{format.value} cannot hold the times of words. Leave out words=true, or request "
            "json, vtt or tsv."
        )


def to_srt(captions: list[Cue]) -> str:
    r"""Return SubRip, which has no escapes: a spoken `-->` is split by a word joiner, U+2060.

    pysubs2 1.8 does not write it because it clamps times to 99:59:59,999, and treats `\N`, `\h` and
    `{...}` in spoken text as markup and deletes it.
    """
    return "".join(
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n"
        + cue.text.replace("-->", "--\u2060>")
        + "\n\n"
        for number, cue in enumerate(captions, 1)
    )


def to_vtt(captions: list[Cue], language: str | None, *, words: bool = False) -> str:
    """Return WebVTT as https://www.w3.org/TR/webvtt1/ defines it.

    pysubs2 1.8 does not write it because it does not escape `&`, `<` and `-->`, and has the faults
    of
    its SRT writer. The language is on the first line: the syntax allows text there, but no header.

    Args:
        words: write a timestamp before each word after the first, as YouTube's own files do.
    """
    header = f"WEBVTT Language: {language}\n" if language else "WEBVTT\n"
    blocks = (
        f"\n{number}\n{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n"
        f"{_timed_words(cue) if words else _vtt_escape(cue.text)}\n"
        for number, cue in enumerate(captions, 1)
    )
    return header + "".join(blocks)


def _timed_words(cue: Cue) -> str:
    lines = [""] * len(cue.lines)
    last_ms = cue.start_ms
    for word in cue.words:
        text = _vtt_escape(word.text)
        # Timestamps must increase and lie inside the cue (4.2.2 of the standard).
        if last_ms < word.start_ms < cue.end_ms:
            last_ms = word.start_ms
            text = f"<{_clock(last_ms, '.')}><c>{text}</c>"
        lines[word.line] += text
    return "\n".join(lines)


def _vtt_escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(time_ms: int, point: str) -> str:
    seconds, ms = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{ms:03d}"


class _LongSubstation(SubstationFormat):
    """pysubs2's writer clamps times to 9:59:59.99; this one writes more digits of hours."""

    @staticmethod
    def ms_to_timestamp(requested_ms: int) -> str:
        """Return `H:MM:SS.cc`, truncated: rounding up could make captions overlap."""
        return _clock(requested_ms, ".")[:-1].removeprefix("0")


_ASS_PICTURE = {
    "PlayResX": "1920",
    "PlayResY": "1080",
    "ScaledBorderAndShadow": "yes",
    "WrapStyle": "0",
}
_ASS_STYLE = pysubs2.SSAStyle(fontname="Arial", fontsize=60, outline=3, shadow=1, marginv=54)


def to_ass(captions: list[Cue], language: str | None) -> str:
    """Return Advanced SubStation Alpha, written by pysubs2, for a picture of 1920 x 1080."""
    file = pysubs2.SSAFile()
    file.info.update(_ASS_PICTURE)
    style = file.styles["Default"] = _ASS_STYLE.copy()
    # libass takes the direction of the line from its text for -1, else left to right.
    style.encoding = -1 if language in _RIGHT_TO_LEFT else 1
    file.events = [
        pysubs2.SSAEvent(start=cue.start_ms, end=cue.end_ms, text=_ass_escape(cue.text))
        for cue in captions
    ]
    text = io.StringIO()
    _LongSubstation.to_file(file, text, "ass", header_notice="")
    return text.getvalue()


_ASS_ESCAPE = re.compile(r"\\(?=[Nnh{}])")


def _ass_escape(text: str) -> str:
    """Return spoken text without markup, as FFmpeg's `ff_ass_bprint_text_event` does it.

    A word joiner, U+2060, follows a backslash that would begin an escape: ASS cannot escape it.
    """
    text = _ASS_ESCAPE.sub("\\\\\u2060", text)
    return text.replace("{", "\\{").replace("}", "\\}").replace("\n", "\\N")


_WITH_WORDS = frozenset({CaptionFormat.JSON, CaptionFormat.VTT, CaptionFormat.TSV})

_WRITERS: dict[CaptionFormat, Callable[[Transcript, CaptionStyle], str]] = {
    CaptionFormat.SRT: lambda transcript, style: to_srt(cues(transcript, style)),
    CaptionFormat.ASS: lambda transcript, style: to_ass(
        cues(transcript, style), transcript.text_language
    ),
    CaptionFormat.TXT: lambda transcript, _: to_txt(transcript),
    CaptionFormat.MD: lambda transcript, _: to_markdown(transcript),
}
