"""Write a transcript as a file for reading: text, Markdown, TSV, JSON."""

import json
import re
from collections.abc import Iterator
from typing import Any

from ytcaption.domain.captions.breaks import LONG_PAUSE_MS, ends_sentence
from ytcaption.domain.captions.units import clean_text, is_invisible, needs_no_space
from ytcaption.domain.csv_safety import safe_cell
from ytcaption.domain.transcripts.transcript import Segment, Transcript, Word

_PARAGRAPH = 400  # characters after which a paragraph ends with its sentence
_LONGEST_PARAGRAPH = 1200
_CHAPTER_S = 600
_JSON_WIDTH = 100

_MARKDOWN = re.compile(r"([\\`*_\[\]|~$])")


def to_txt(transcript: Transcript) -> str:
    """Return one segment per line, as openai-whisper's `txt`."""
    return "".join(f"{text}\n" for _, text in _segments(transcript))


def to_tsv(transcript: Transcript, *, words: bool) -> str:
    """Return start and end in milliseconds and text, one segment per line, as openai-whisper's
    `tsv`.

    Args:
        words: one word per line instead.
    """
    rows = ["start\tend\ttext\n"]
    for spoken, text in _words(transcript) if words else _segments(transcript):
        start, end = (round(max(time_s, 0) * 1000) for time_s in (spoken.start_s, spoken.end_s))
        rows.append(f"{start}\t{max(start, end)}\t{safe_cell(text)}\n")
    return "".join(rows)


def to_markdown(transcript: Transcript) -> str:
    """Return paragraphs with their start times; a long text has a heading every ten minutes."""
    blocks = ["# Transcript\n"]
    with_headings = transcript.duration_s > _CHAPTER_S
    chapter = -1
    for start_s, text in _paragraphs(transcript):
        if with_headings and int(start_s // _CHAPTER_S) > chapter:
            chapter = int(start_s // _CHAPTER_S)
            blocks.append(f"## {_clock(chapter * _CHAPTER_S)}\n")
        blocks.append(f"**{_clock(start_s)}** {_markdown_escape(text)}\n")
    return "\n".join(blocks)


def to_json(transcript: Transcript, *, words: bool) -> str:
    """Return the whole document, which `Transcript.from_json` reads; one word per line.

    Args:
        words: False leaves the words out of the segments, which saves nine tenths of the bytes.
    """
    document = transcript.to_dict()
    if not words:
        for segment in document["segments"]:
            del segment["words"]
    return _pretty(document, "") + "\n"


def _segments(transcript: Transcript) -> Iterator[tuple[Segment, str]]:
    """Yield the segments that have text, with their text on one line."""
    for segment in transcript.segments:
        text = clean_text(segment.text).strip()
        if text and not is_invisible(text):
            yield segment, text


def _words(transcript: Transcript) -> Iterator[tuple[Word, str]]:
    """Yield the visible words, with their text on one line."""
    for word in transcript.words:
        text = clean_text(word.text).strip()
        if text and not is_invisible(text):
            yield word, text


def _paragraphs(transcript: Transcript) -> Iterator[tuple[float, str]]:
    start_s, paragraph = 0.0, ""
    segments = list(_segments(transcript))
    for (segment, text), following in zip(segments, [*segments[1:], None], strict=False):
        if paragraph:
            paragraph += ("" if needs_no_space(paragraph, text) else " ") + text
        else:
            start_s, paragraph = max(segment.start_s, 0.0), text
        if following is None:
            break
        pause_ms = (following[0].start_s - segment.end_s) * 1000
        full = len(paragraph) >= _PARAGRAPH and ends_sentence(text.split()[-1], following[1])
        if full or pause_ms > LONG_PAUSE_MS or len(paragraph) >= _LONGEST_PARAGRAPH:
            yield start_s, paragraph
            paragraph = ""
    if paragraph:
        yield start_s, paragraph


def _markdown_escape(text: str) -> str:
    """Return text that no Markdown or HTML renderer treats as markup."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", text)


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _pretty(value: Any, indent: str) -> str:
    """Return JSON in which short objects and lists of plain values are on one line."""
    if not isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    items = value.values() if isinstance(value, dict) else value
    if not any(isinstance(item, dict | list | tuple) and item for item in items):
        line = json.dumps(value, ensure_ascii=False)
        if len(indent) + len(line) <= _JSON_WIDTH:
            return line
    inner = indent + "  "
    if isinstance(value, dict):
        parts = [f"{inner}{json.dumps(key)}: {_pretty(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + _pretty(item, inner) for item in value) + f"\n{indent}]"
