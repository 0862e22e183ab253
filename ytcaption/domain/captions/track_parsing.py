"""Parse caption tracks as sites serve them (WebVTT, SubRip, TTML, YouTube's json3) into cues.

Tracks are untrusted: unreadable parts are left out, and times may overlap or go back.
"""

import html
import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ytcaption.domain.captions.ttml import read_ttml
from ytcaption.domain.captions.units import clean_text, pieces

MAX_TRACK_BYTES = 8 * 1024**2
"""About twice the size of ten hours of captions with word times."""

MAX_TRACK_WORDS = 1_000_000
"""Three times the characters of ten hours of Chinese; 8 MB could hold four million words."""

TTML = ("ttml", "dfxp", "tt")
"""The extensions that sites use for TTML."""

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")
_STAMP = re.compile(_TIME)
_MARKUP = re.compile(r"<([^<>]*)>|\{\\[^{}]*\}")
_LONGEST_MS = 10_000 * 3_600_000.0
"""Times of json3 beyond those that WebVTT can write are no times."""
_SPACES = re.compile(r"[\s\u200b\ufeff]+")
_SOUND = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|[♪♫]")


@dataclass(frozen=True)
class TrackWord:
    """A word, or a character in languages without spaces.

    Attributes:
        text: with a leading space where the language writes one.
        start_s: None where the track has no time for it.
    """

    text: str
    start_s: float | None = None


TrackLine = tuple[TrackWord, ...]
"""The words of one line; never empty."""


@dataclass(frozen=True)
class TrackCue:
    """Lines that are shown together."""

    start_s: float
    end_s: float
    lines: tuple[TrackLine, ...]


def read_track(data: bytes, extension: str) -> list[TrackCue]:
    """Return the cues in the order of the track; those that only describe a sound (`[Music]`) have
    no lines.

    Args:
        extension: `json3`, `vtt`, `srt`, or `ttml` by any of its names.

    Raises:
        ValueError: the data is no such track.
    """
    if len(data) > MAX_TRACK_BYTES:
        raise ValueError("the captions are larger than allowed")
    cues, words = [], 0
    for cue in _cues(data, extension):
        words += sum(map(len, cue.lines))
        if words > MAX_TRACK_WORDS:
            raise ValueError("the captions have more words than allowed")
        cues.append(cue)
    return cues


def _cues(data: bytes, extension: str) -> Iterator[TrackCue]:
    if extension == "json3":
        return _json3_cues(_json(data))
    if extension in ("vtt", "srt"):
        return _timed_cues(_decoded(data))
    if extension in TTML:
        return (
            TrackCue(text.start_s, text.end_s, tuple(filter(None, map(_line, text.lines))))
            for text in read_ttml(data)
        )
    raise ValueError("captions of this format are not read")


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("the captions are nested too deep") from None


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # old SubRip files


def _timed_cues(text: str) -> Iterator[TrackCue]:
    """Yield the cues of WebVTT and SubRip: a line of times, then text until an empty line."""
    times: tuple[float, float] | None = None
    lines: list[TrackLine] = []
    for row in [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        timing = _TIMING.match(row)
        if times is not None and (timing or not row):
            yield TrackCue(*times, tuple(lines))
            times = None
        if timing:
            times, lines = (_seconds(timing.groups()[:4]), _seconds(timing.groups()[4:])), []
        elif times is not None and (line := _marked_line(row)):
            lines.append(line)


def _marked_line(row: str) -> TrackLine:
    """Return the words of a line with tags; `<00:00:01.200>` is the time of the words after it."""
    parts: list[tuple[str, float | None]] = []
    at = 0
    for markup in _MARKUP.finditer(row):
        parts.append((html.unescape(row[at : markup.start()]), None))
        at = markup.end()
        if markup[1] and (stamp := _STAMP.fullmatch(markup[1])):
            parts.append(("", _seconds(stamp.groups())))
    parts.append((html.unescape(row[at:]), None))
    return _line(parts)


def _json3_cues(document: Any) -> Iterator[TrackCue]:
    """Yield one line per event; the times of its words are relative to its start."""
    events = document.get("events") if isinstance(document, dict) else None
    if not isinstance(events, list):
        raise ValueError("the captions are no json3")
    for event in events:
        start_ms = _number(event, "tStartMs")
        segments = event.get("segs") if isinstance(event, dict) else None
        if start_ms is None or not isinstance(segments, list):
            continue
        parts: list[tuple[str, float | None]] = []
        for segment in segments:
            text = segment.get("utf8") if isinstance(segment, dict) else None
            offset_ms = _number(segment, "tOffsetMs")
            if isinstance(text, str):
                time_s = None if offset_ms is None else (start_ms + offset_ms) / 1000
                parts.append((text, time_s))
        end_ms = start_ms + (_number(event, "dDurationMs") or 0)
        line = _line(parts)
        yield TrackCue(start_ms / 1000, end_ms / 1000, (line,) if line else ())


def _number(values: Any, name: str) -> float | None:
    value = values.get(name) if isinstance(values, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -_LONGEST_MS <= value <= _LONGEST_MS else None


def _line(parts: list[tuple[str, float | None]]) -> TrackLine:
    """Return the words of consecutive texts, each with its start time or None."""
    text, stamps = "", deque[tuple[int, float]]()
    for part, time_s in parts:
        if time_s is not None:
            stamps.append((len(text), time_s))
        part = _SPACES.sub(" ", part)
        text += part.lstrip() if text.endswith(" ") else part
    if not clean_text(_SOUND.sub("", text)).strip():
        return ()
    words: list[TrackWord] = []
    at = 0
    for piece in pieces(text):
        end = at + len(piece)
        time_s = None
        while stamps and stamps[0][0] < end:
            time_s = stamps.popleft()[1]
        at = end
        word = clean_text(piece).strip()
        # `>>` is a change of speakers.
        word = word.lstrip(">") if word.startswith(">>") else word
        if word:
            space = " " if piece[0] == " " and words else ""
            words.append(TrackWord(space + word, time_s))
    return tuple(words)


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = parts
    seconds_only = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return seconds_only + int((fraction or "0").ljust(3, "0")) / 1000
