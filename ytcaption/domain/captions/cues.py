"""Lay out captions: which words each one shows, on which lines, and from when to when.

The rules, by precedence where speech is too dense for all of them:

1. No word is lost and the order is kept; a line holds at most `line_length` columns unless it is
   one single word.
2. Captions do not overlap.
3. There is a gap of at least `min_gap_ms` between captions.
4. A caption lasts at most `max_duration_ms`.
5. A caption lasts at least `min_duration_ms`; the next one may start up to `MAX_DELAY_MS` late to
   allow it.
6. A caption shows at most `max_cps` characters a second; it stays on in the following silence.

The cuts are chosen over the whole text at once, by dynamic programming over the costs of `breaks`.
A greedy cut would fill each caption completely and leave single words over.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from ytcaption.domain.captions.breaks import Break, breaks
from ytcaption.domain.captions.lines import Width, line_cuts, line_ends
from ytcaption.domain.captions.style import TWO_FRAMES_MS, CaptionStyle
from ytcaption.domain.captions.units import CaptionUnit, caption_units
from ytcaption.domain.transcripts.transcript import Transcript

MAX_DELAY_MS = 500
"""How late a caption may start so that the one before it can be read."""

_CHAIN_MS = 420  # ten frames: a shorter blank between two captions is seen as flicker

_CUE = 4.0  # each caption costs, so that few are made
_FULL = 2.0  # a full caption, growing with the square: splits come out even
_LEFTOVER = 6.0  # a caption of next to no text
_TOO_BRIEF = 24.0  # no time to be seen
_TOO_FAST = 10.0  # no time to be read


class CueWord(NamedTuple):
    """A word in a caption: when it is spoken, its line, and its text with the space before it."""

    start_ms: int
    line: int
    text: str


@dataclass(frozen=True)
class Cue:
    """One caption, in milliseconds from the start of the media. No line is empty."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    words: tuple[CueWord, ...] = ()

    @property
    def text(self) -> str:
        """The lines, joined by line breaks."""
        return "\n".join(self.lines)

    @property
    def duration_ms(self) -> int:
        """How long the caption is shown."""
        return self.end_ms - self.start_ms


def cues(transcript: Transcript, style: CaptionStyle | None = None) -> list[Cue]:
    """Return the captions in time order; none for a transcript without text.

    Args:
        style: None: the default style of the text's language.
    """
    style = style or CaptionStyle.for_language(transcript.text_language)
    units = caption_units(
        transcript,
        style.columns,
        max_columns=style.line_length,
        max_span_ms=style.max_duration_ms,
    )
    if not units:
        return []
    places = breaks(units, style.language)
    width = Width(units)
    spans = list(pairwise(_cuts(units, places, width, style)))
    lines = [line_cuts(first, end, places, width, style) for first, end in spans]
    # A line break is read like the space it stands for, which Chinese has not.
    characters = [sum(width(*line) + 1 for line in pairwise(cuts)) - 1 for cuts in lines]
    times = _schedule(units, spans, characters, style)
    return [_cue(units, cuts, time) for cuts, time in zip(lines, times, strict=True)]


def _cuts(
    units: list[CaptionUnit], places: list[Break], width: Width, style: CaptionStyle
) -> list[int]:
    """Return where captions start, and the end of the text, at the lowest total cost.

    Each caption's text fits its lines and its words take at most `max_duration_ms`,
    unless it is a single unit.
    """
    count = len(units)
    ends = [*line_ends(width, style.line_length), count]
    reach = list(range(count + 1))
    for _ in range(style.max_lines):
        reach = [ends[end] for end in reach]

    starts = [unit.start_ms for unit in units]
    sums, spaces = width.sums, width.spaces
    kept = [0.0]
    for place in places:
        kept.append(kept[-1] + place.keep_cost)
    capacity = style.line_length * style.max_lines
    scarce = max(4, style.line_length // 3)
    ms_a_column = 1000 / style.max_cps
    shortest, longest = style.min_duration_ms, style.max_duration_ms

    best = [0.0] * (count + 1)
    came_from = [0] * (count + 1)
    lowest = 0
    for end in range(1, count + 1):
        last_end_ms = units[end - 1].end_ms
        if places[end - 1].forced:
            lowest = end - 1
        while lowest < end - 1 and (reach[lowest] < end or last_end_ms - starts[lowest] > longest):
            lowest += 1
        next_start_ms = starts[end] - style.min_gap_ms if end < count else math.inf
        kept_to_end, sum_to_end = kept[end], sums[end]
        cheapest, origin = math.inf, end - 1
        for first in range(end - 1, lowest - 1, -1):
            columns = sum_to_end - sums[first] - spaces[first]
            available = next_start_ms - starts[first]
            cost = best[first] + kept_to_end - kept[first + 1] + _FULL * (columns / capacity) ** 2
            if columns < scarce:
                cost += _LEFTOVER * (1 - columns / scarce)
            if available < shortest:
                cost += _TOO_BRIEF * (1 - available / shortest)
            if available < columns * ms_a_column:
                cost += _TOO_FAST * (1 - available / (columns * ms_a_column))
            if cost < cheapest:
                cheapest, origin = cost, first
        best[end] = cheapest + _CUE + (places[end].cost if end < count else 0.0)
        came_from[end] = origin

    cuts = [count]
    while cuts[-1] > 0:
        cuts.append(came_from[cuts[-1]])
    return cuts[::-1]


def _schedule(
    units: list[CaptionUnit],
    spans: list[tuple[int, int]],
    characters: list[int],
    style: CaptionStyle,
) -> list[tuple[int, int]]:
    """Return the start and end of each caption by rules 2 to 6."""
    gap, shortest = style.min_gap_ms, style.min_duration_ms
    barely = min(TWO_FRAMES_MS, shortest)
    times: list[tuple[int, int]] = []
    free_ms = 0
    followings = [*spans[1:], None]
    for (first, end), following, count in zip(spans, followings, characters, strict=True):
        start = max(units[first].start_ms, free_ms)
        wanted = max(
            units[end - 1].end_ms,
            start + shortest,
            start + math.ceil(count * 1000 / style.max_cps),
        )
        stop = wanted = min(wanted, start + style.max_duration_ms)
        if following is not None:
            next_ms = units[following[0]].start_ms
            limit = next_ms - gap
            if wanted > limit:
                for_reading = min(start + shortest, limit + MAX_DELAY_MS)
                stop = max(limit, for_reading, start + barely)
            elif limit - wanted < _CHAIN_MS:
                stop = min(limit, start + style.max_duration_ms)
        times.append((start, stop))
        free_ms = stop + gap
    return times


def _cue(units: list[CaptionUnit], cuts: list[int], time: tuple[int, int]) -> Cue:
    words: list[CueWord] = []
    for line, (first, end) in enumerate(pairwise(cuts)):
        for index in range(first, end):
            unit = units[index]
            lead = " " if unit.space and index > first else ""
            words.append(CueWord(unit.start_ms, line, lead + unit.text))
    lines = tuple(
        "".join(word.text for word in words if word.line == line) for line in range(len(cuts) - 1)
    )
    return Cue(*time, lines, tuple(words))
