"""Split the words of a transcript into the units that captions are made of.

A unit is what may begin or end a line: a written word with its punctuation. Whisper's words often
are not: `well` + `-known`, `iPhone` in Japanese as `i` + `Phone`, `」` on its own, a Thai vowel
sign cut from its consonant.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ytcaption.domain.transcripts.transcript import Segment, Transcript

_CJK = "\u2e80-\u312f\u3190-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"
_UNSPACED = re.compile(f"[\u0e00-\u109f\u1780-\u17ff{_CJK}]")
"""Scripts without spaces: Thai, Lao, Tibetan, Burmese, Khmer, Chinese, Japanese; not Hangul."""
_CJK_CHARACTER = re.compile(f"[{_CJK}]")
_PIECE = re.compile(rf"\s*(?:[{_CJK}]|[^\s{_CJK}]+)")

# Kinsoku shori (JIS X 4051, W3C jlreq): what starts no line, and what ends none; with Latin marks.
_NO_LINE_START = frozenset(
    "、。，．・：；？！‼⁇⁈⁉ー々〻ゝゞヽヾぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ"
    "）」』】〕〉》〙〗｝］｠〟’”»…‥〜～゛゜"
    ".,:;!?)]}%،؛؟।॥၊။"
    "\u0e2f\u0e30\u0e32\u0e33\u0e45\u0e46"  # Thai signs that follow their letter
    "\u0eb0\u0eb2\u0eb3\u0ec6"  # and the Lao ones
)
_NO_LINE_END = frozenset(
    "（「『【〔〈《〘〖｛［｟〝‘“«([{¿¡"
    "\u0e40\u0e41\u0e42\u0e43\u0e44"  # Thai vowels that are written before their letter
    "\u0ec0\u0ec1\u0ec2\u0ec3\u0ec4"  # and the Lao ones
)
_JOINERS = frozenset("\u200c\u200d")
"""Zero-width (non-)joiners: parts of words in Persian and Indic scripts, and of emoji."""
_DASHES = frozenset(("-", "–", "—", "‐", "―"))

_CLEAN: dict[int, str | None] = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0xFEFF)),
    **dict.fromkeys((*range(0x09, 0x0E), *range(0x1C, 0x20), 0x85, 0x2028, 0x2029), " "),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}
"""Removes control characters and byte order marks; line breaks become spaces, surrogates U+FFFD."""


class CaptionUnit(NamedTuple):
    """A piece of text that is never broken.

    Attributes:
        space: a space is written before it when it does not start a line.
        opens_segment: it is the first unit of a decoder's segment.
        columns: its width.
    """

    text: str
    start_ms: int
    end_ms: int
    space: bool
    opens_segment: bool
    columns: int


def clean_text(text: str) -> str:
    """Return `text` on one line, encodable as UTF-8; a space around it is kept."""
    if not text.isprintable():
        text = text.translate(_CLEAN)
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def is_invisible(text: str) -> bool:
    """Return whether the text shows nothing: white space and format characters only."""
    return not text.isprintable() and all(unicodedata.category(c) in ("Cf", "Zs") for c in text)


def pieces(text: str) -> list[str]:
    """Return words with the space before them; single characters for Chinese and Japanese."""
    return _PIECE.findall(text)


def needs_no_space(previous: str, text: str) -> bool:
    """Return whether the texts of two neighbouring segments are joined without a space, as in
    Chinese
    and Japanese.
    """
    return bool(_CJK_CHARACTER.match(previous[-1]) or _CJK_CHARACTER.match(text[0]))


def caption_units(
    transcript: Transcript, columns: Callable[[str], int], *, max_columns: int, max_span_ms: int
) -> list[CaptionUnit]:
    """Return all text of the transcript in order, with times that never go back.

    Args:
        columns: returns the width of a text.
        max_columns: words that belong together are split when wider than this, the width of a line.
        max_span_ms: they are also split when they last longer than this, as long as a caption may.
    """
    units: list[CaptionUnit] = []
    for word in _timed(transcript):
        if units and _belong_together(units, word):
            last = units[-1]
            joined = f"{last.text} {word.text}" if word.space else last.text + word.text
            width = last.columns + word.space + columns(word.text)
            if width <= max_columns and word.end_ms - last.start_ms <= max_span_ms:
                units[-1] = last._replace(text=joined, end_ms=word.end_ms, columns=width)
                continue
        units.append(word._replace(columns=columns(word.text)))
    return units


def _timed(transcript: Transcript) -> list[CaptionUnit]:
    """Return the words, stripped, in integer milliseconds, without their columns.

    Starts never decrease; an end is neither before its start nor past the next start.
    """
    words: list[CaptionUnit] = []
    clock = 0
    after_space = True
    for segment in transcript.segments:
        opens = True
        for raw, start_s, end_s in _words(segment):
            cleaned = clean_text(raw)
            text = cleaned.strip()
            after_space = after_space or cleaned[:1] != text[:1]
            joins = text in _JOINERS and bool(words) and not after_space
            if not text or (is_invisible(text) and not joins):
                after_space = after_space or cleaned[-1:] != text[-1:]
                continue
            start = max(clock, _milliseconds(start_s, clock))
            end = max(start, _milliseconds(end_s, start))
            if words and words[-1].end_ms > start:
                words[-1] = words[-1]._replace(end_ms=start)
            space = after_space
            if opens and words and not joins:
                space = space or not needs_no_space(words[-1].text, text)
            words.append(CaptionUnit(text, start, end, space, opens, 0))
            clock, opens, after_space = start, False, cleaned[-1] != text[-1]
    return words


def _words(segment: Segment) -> Iterator[tuple[str, float, float]]:
    """Yield text, start and end of each word; text without word times is spread over its
    segment."""
    if segment.words:
        for word in segment.words:
            yield word.text, word.start_s, word.end_s
        return
    parts = pieces(clean_text(segment.text))
    total = sum(map(len, parts))
    step_s = (segment.end_s - segment.start_s) / total if total else 0.0
    at_s = segment.start_s
    for piece in parts:
        yield piece, at_s, at_s + step_s * len(piece)
        at_s += step_s * len(piece)


def _milliseconds(time_s: float, otherwise: int) -> int:
    return round(time_s * 1000) if math.isfinite(time_s) else otherwise


def _belong_together(units: list[CaptionUnit], word: CaptionUnit) -> bool:
    """Return whether no line break is allowed between the last unit and the word."""
    previous, text = units[-1].text, word.text
    last, first = previous[-1], text[0]
    if word.space:
        # French ` !`, a lone bracket, and the dash that opens a speaker's line.
        return (
            all(c in _NO_LINE_START for c in text)
            or all(c in _NO_LINE_END for c in previous)
            or (previous in _DASHES and (len(units) == 1 or units[-2].text[-1] in ".!?…"))
        )
    if first in _NO_LINE_START or last in _NO_LINE_END or _continues_character(last, first):
        return True
    return not (_UNSPACED.match(first) or _UNSPACED.match(last))


def _continues_character(last: str, first: str) -> bool:
    """Return whether both are parts of one character as a reader sees it."""
    return last in _JOINERS or first in _JOINERS or unicodedata.category(first)[0] == "M"
