"""Measure the quality of captions: how many exceed each limit, and the first that does."""

from dataclasses import dataclass
from typing import Any

from ytcaption.domain.captions.cues import Cue
from ytcaption.domain.captions.style import CaptionStyle

KINDS: tuple[str, ...] = (
    "line_too_long",
    "too_many_lines",
    "empty_line",
    "overlap",
    "gap_too_short",
    "too_long",
    "too_short",
    "too_fast",
)
"""The limits that a caption can exceed."""


@dataclass(frozen=True)
class CaptionQA:
    """Counts of captions against the limits of their style.

    Attributes:
        cues: all captions.
        cues_ok: captions within every limit.
        over: captions that exceed a limit, by kind (see `KINDS`).
        first: number (from 1) of the first such caption, by kind that occurs.
        max_cps: highest reading speed, characters a second.
        max_line_columns: widest line.
    """

    cues: int
    cues_ok: int
    over: dict[str, int]
    first: dict[str, int]
    max_cps: float
    max_line_columns: int

    @property
    def ok_share(self) -> float:
        """The share (0 to 1) of captions within every limit; 1 where there are no captions."""
        return self.cues_ok / self.cues if self.cues else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, flat except for `first`, for an asset's metadata."""
        return {
            "cues": self.cues,
            "ok_share": round(self.ok_share, 4),
            "max_cps": round(self.max_cps, 1),
            "max_line_columns": self.max_line_columns,
            **self.over,
            "first": self.first,
        }


def qa_report(cues: list[Cue], style: CaptionStyle) -> CaptionQA:
    """Check every caption against every limit of the style; a gap counts for the caption after
    it."""
    over = dict.fromkeys(KINDS, 0)
    first: dict[str, int] = {}
    ok = 0
    previous_ends = [None, *(cue.end_ms for cue in cues)]
    for number, (cue, previous_end_ms) in enumerate(zip(cues, previous_ends, strict=False), 1):
        kinds = _broken_limits(cue, previous_end_ms, style)
        ok += not kinds
        for kind in kinds:
            over[kind] += 1
            first.setdefault(kind, number)
    return CaptionQA(
        cues=len(cues),
        cues_ok=ok,
        over=over,
        first=first,
        max_cps=max((reading_speed(cue, style) for cue in cues), default=0.0),
        max_line_columns=max(
            (style.columns(line) for cue in cues for line in cue.lines), default=0
        ),
    )


def reading_speed(cue: Cue, style: CaptionStyle) -> float:
    """Return characters a second; a line break counts as one character."""
    return style.columns(cue.text) * 1000 / max(cue.duration_ms, 1)


def _broken_limits(cue: Cue, previous_end_ms: int | None, style: CaptionStyle) -> list[str]:
    gap_ms = None if previous_end_ms is None else cue.start_ms - previous_end_ms
    broken = {
        "line_too_long": any(style.columns(line) > style.line_length for line in cue.lines),
        "too_many_lines": len(cue.lines) > style.max_lines,
        "empty_line": not cue.lines or not all(line.strip() for line in cue.lines),
        "overlap": gap_ms is not None and gap_ms < 0,
        "gap_too_short": gap_ms is not None and 0 <= gap_ms < style.min_gap_ms,
        "too_long": cue.duration_ms > style.max_duration_ms,
        "too_short": cue.duration_ms < style.min_duration_ms,
        "too_fast": reading_speed(cue, style) > style.max_cps,
    }
    return [kind for kind in KINDS if broken[kind]]
