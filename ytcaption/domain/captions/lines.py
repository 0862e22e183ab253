"""Decide which text fits on a line, and where the lines of a caption are best broken."""

import math

from ytcaption.domain.captions.breaks import Break
from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.captions.units import CaptionUnit

_UNEVEN = 24.0  # a line far from its ideal length; on the scale of `breaks`
_BOTTOM_HEAVY = 0.1  # by this share the last line is longer than the first


class Width:
    """The columns of any run of units on one line, by prefix sums."""

    def __init__(self, units: list[CaptionUnit]) -> None:
        self.sums = [0]
        for unit in units:
            self.sums.append(self.sums[-1] + unit.columns + unit.space)
        self.spaces = [int(unit.space) for unit in units]

    def __call__(self, first: int, end: int) -> int:
        """Return the columns of units `first` up to, but without, `end`."""
        return self.sums[end] - self.sums[first] - self.spaces[first]


def line_ends(width: Width, line_length: int) -> list[int]:
    """Return for each unit the end of the longest line that starts with it: at least that one
    unit."""
    count = len(width.spaces)
    ends: list[int] = []
    end = 0
    for first in range(count):
        end = max(end, first + 1)
        while end < count and width(first, end + 1) <= line_length:
            end += 1
        ends.append(end)
    return ends


def line_cuts(
    first: int, end: int, places: list[Break], width: Width, style: CaptionStyle
) -> list[int]:
    """Return where the caption's lines start, and its end.

    It uses as few lines as possible, broken where costs are low, of even length with the last one
    longest.
    """
    count, at = 0, first
    while at < end:
        at = _line_end(at, end, width, style.line_length)
        count += 1
    ideal = width(first, end) / count
    costs: dict[int, float] = {first: 0.0}
    origins: list[dict[int, int]] = []
    for line in range(count):
        target = ideal * (1 + _BOTTOM_HEAVY * (line - (count - 1) / 2))
        reached: dict[int, float] = {}
        origin: dict[int, int] = {}
        for start, cost_so_far in costs.items():
            for stop in range(start + 1, end + 1):
                columns = width(start, stop)
                if columns > style.line_length and stop > start + 1:
                    break
                cost = cost_so_far + _UNEVEN * ((columns - target) / style.line_length) ** 2
                if stop < end:
                    cost += places[stop].cost
                if cost < reached.get(stop, math.inf):
                    reached[stop], origin[stop] = cost, start
        costs = reached
        origins.append(origin)
    cuts = [end]
    for origin in reversed(origins):
        cuts.append(origin[cuts[-1]])
    return cuts[::-1]


def _line_end(first: int, end: int, width: Width, line_length: int) -> int:
    """Return the end of the longest line that starts with unit `first`."""
    stop = first + 1
    while stop < end and width(first, stop + 1) <= line_length:
        stop += 1
    return stop
