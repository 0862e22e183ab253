"""Speech intervals of a recording, from the detector's probabilities.

Two thresholds: a span lasts as long as the probability stays above the low one, so that quiet
endings stay in it, and counts only if it exceeds the high one somewhere. With one threshold of 0.3
an orchestra had half a second of speech; with one of 0.5 quiet speakers lost words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from resources.audio.samples import SAMPLE_RATE_HZ
from resources.transcribe.speech_detector import FRAME_S, MIN_PROBABILITY, speech_probabilities

_LOW, _HIGH = MIN_PROBABILITY, 0.5
_MIN_SPEECH_S = 0.2
_MIN_SILENCE_S = 0.5
_MAX_SPAN_S = 120.0

_EDGE_S = 5.0
"""A silence up to this length is kept at the beginning and end of a recording: it costs nothing
within a window of 30 s, and cutting the beginning changes what the decoder makes of the rest."""


@dataclass(frozen=True)
class Span:
    """The interval from `start_s` to `end_s`, in seconds."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


class SpeechActivity:
    """The voice activity of one waveform.

    Attributes:
        spans: speech in time order, not overlapping.
    """

    def __init__(self, probabilities: np.ndarray, duration_s: float) -> None:
        self._probabilities = probabilities
        self.duration_s = duration_s
        self.spans = tuple(
            Span(first * FRAME_S, min(end * FRAME_S, duration_s))
            for first, end in _runs(probabilities)
        )

    @property
    def speech_s(self) -> float:
        """Seconds of speech."""
        return sum(span.duration_s for span in self.spans)

    def speech_share(self, start_s: float, end_s: float) -> float:
        """Return the share of an interval that may be speech, 0 to 1, by the low threshold
        alone."""
        first = max(0, int(start_s / FRAME_S))
        frames = self._probabilities[first : max(first + 1, int(np.ceil(end_s / FRAME_S)))]
        return float(np.mean(frames >= _LOW)) if len(frames) else 0.0

    def pauses(self, within: Span, min_s: float) -> list[Span]:
        """Return the pauses of at least `min_s` between the first and last speech of an
        interval."""
        first = int(within.start_s / FRAME_S)
        speech = np.flatnonzero(
            self._probabilities[first : int(np.ceil(within.end_s / FRAME_S))] >= _LOW
        )
        wide = np.flatnonzero(np.diff(speech) - 1 >= min_s / FRAME_S)
        return [
            Span((first + int(speech[at]) + 1) * FRAME_S, (first + int(speech[at + 1])) * FRAME_S)
            for at in wide.tolist()
        ]

    def least_speech_s(self, within: Span) -> float:
        """Return the time in an interval with the lowest probability of speech."""
        first = int(within.start_s / FRAME_S)
        frames = self._probabilities[first : max(first + 1, int(within.end_s / FRAME_S))]
        return (first + int(np.argmin(frames)) + 0.5) * FRAME_S

    def regions(self, *, max_gap_s: float, max_region_s: float) -> list[Span]:
        """Return the intervals to decode: all of the audio except silences over `max_gap_s`.

        Of such a silence half of `max_gap_s` stays on either side; a silence at the beginning or
        the end of the audio stays whole up to `_EDGE_S`. A region longer than `max_region_s` is cut
        in the longest pause of its second half.
        """
        groups = _groups(self.spans, max_gap_s, max_region_s)
        if not groups:
            return []
        margin_s = max_gap_s / 2
        start_s = groups[0][0].start_s
        edges = [0.0 if start_s <= _EDGE_S else start_s - margin_s]
        for before, after in pairwise(groups):
            quiet_from, quiet_to = before[-1].end_s, after[0].start_s
            middle = (quiet_from + quiet_to) / 2
            edges += [min(quiet_from + margin_s, middle), max(quiet_to - margin_s, middle)]
        end_s = groups[-1][-1].end_s
        is_near_end = self.duration_s - end_s <= _EDGE_S
        edges.append(self.duration_s if is_near_end else end_s + margin_s)
        return [Span(*pair) for pair in zip(edges[::2], edges[1::2], strict=True)]


def detect_speech(
    waveform: np.ndarray, on_block: Callable[[], None] = lambda: None
) -> SpeechActivity:
    """Detect the speech of a waveform. Arguments and errors: see `speech_probabilities`."""
    probabilities = speech_probabilities(waveform, on_block)
    return SpeechActivity(probabilities, len(waveform) / SAMPLE_RATE_HZ)


def _runs(probabilities: np.ndarray) -> list[tuple[int, int]]:
    """Return the first frame and the end frame of each span."""
    above = np.flatnonzero(probabilities >= _LOW)
    if not len(above):
        return []
    breaks = np.flatnonzero(np.diff(above) > _MIN_SILENCE_S / FRAME_S)
    starts = above[np.concatenate([[0], breaks + 1])]
    ends = above[np.concatenate([breaks, [len(above) - 1]])] + 1
    return [
        part
        for first, end in zip(starts.tolist(), ends.tolist(), strict=True)
        if (end - first) * FRAME_S >= _MIN_SPEECH_S and probabilities[first:end].max() >= _HIGH
        for part in _split(probabilities, first, end)
    ]


def _split(probabilities: np.ndarray, first: int, end: int) -> list[tuple[int, int]]:
    """Cut speech without pauses where its probability is lowest."""
    parts = []
    while (end - first) * FRAME_S > _MAX_SPAN_S:
        half = first + int(_MAX_SPAN_S / FRAME_S / 2)
        cut = half + int(np.argmin(probabilities[half : 2 * half - first]))
        parts.append((first, cut))
        first = cut
    return [*parts, (first, end)]


def _groups(spans: Sequence[Span], max_gap_s: float, max_group_s: float) -> list[list[Span]]:
    groups: list[list[Span]] = []
    for span in spans:
        if not groups or span.start_s - groups[-1][-1].end_s > max_gap_s:
            groups.append([span])
            continue
        groups[-1].append(span)
        while len(group := groups[-1]) > 1 and group[-1].end_s - group[0].start_s > max_group_s:
            cut = _longest_pause(group)
            groups[-1:] = [group[:cut], group[cut:]]
    return groups


def _longest_pause(group: list[Span]) -> int:
    """Return the index of the span after the longest pause of the second half, by time."""
    middle_s = (group[0].start_s + group[-1].end_s) / 2
    after = [at for at in range(1, len(group)) if group[at].start_s >= middle_s] or [len(group) - 1]
    return max(after, key=lambda at: group[at].start_s - group[at - 1].end_s)
