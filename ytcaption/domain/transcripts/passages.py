"""Group segments into passages of about 30 s of speech.

Passages overlap, so that speech across the end of one is whole in the next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PASSAGE_S = 30.0
STEP_S = 15.0


@dataclass(frozen=True)
class Said:
    """A segment, as far as passages need it; times in seconds."""

    index: int
    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Passage:
    """Consecutive whole segments.

    Attributes:
        first_index, last_index: of the transcript's segments, both inclusive.
    """

    first_index: int
    last_index: int
    text: str


def passages(segments: Sequence[Said]) -> Iterator[Passage]:
    """Yield passages in order; each has at least one segment, and together they have all.

    A passage ends with the last segment that ends within `PASSAGE_S` of its start, and the next one
    begins `STEP_S` later, at a segment. The last passage is never part of the one before it.

    Args:
        segments: in time order.
    """
    begin, done = 0, 0
    while done < len(segments):
        start_s = segments[begin].start_s
        end = begin + 1
        while end < len(segments) and segments[end].end_s - start_s <= PASSAGE_S:
            end += 1
        if end > done:
            members = segments[begin:end]
            text = " ".join(" ".join(segment.text for segment in members).split())
            yield Passage(members[0].index, members[-1].index, text)
            done = end
        begin += 1
        while begin < done and segments[begin].start_s - start_s < STEP_S:
            begin += 1
