"""Cuts speech at real pauses into the windows that are decoded together.

A window costs more than its length (the encoder's attention grows with the square of it), and every
cut costs words: the shorter the pause, the more likely. The cheapest division of a region by both
costs is found exactly.
"""

from dataclasses import dataclass
from itertools import pairwise

from resources.transcribe.speech_spans import Span, SpeechActivity

_MARGIN_S = 0.5
"""Seconds of the pause that are kept on either side of the speech."""

_MIN_PAUSE_S = 0.1
_GROWTH_S = 6.0
"""Window length at which attention costs as much as all else in the encoder: base, one thread: 120
ms for 10 s, 207 for 15 s, 809 for 30 s."""


@dataclass(frozen=True)
class WindowCosts:
    """The costs that decide where speech is cut.

    Attributes:
        max_s: longest window.
        padding_s: silence added for the encoder after every window.
        least_s: shortest encoder input, padding included: the decoder repeats the text of shorter
            ones.
        window_price_s: cost of a window besides encoding its length, in seconds of encoding.
        cut_price_s: cost of a cut within a word, in seconds of encoding.
        pause_scale_s: a pause of this length reduces the cost of a cut to a third.
    """

    max_s: float = 20.0
    padding_s: float = 1.5
    least_s: float = 6.0
    window_price_s: float = 10.0
    cut_price_s: float = 40.0
    pause_scale_s: float = 0.3

    def encoded_s(self, window_s: float) -> float:
        """Return the length of the encoder's input for a window of `window_s` seconds."""
        return max(self.least_s, window_s + self.padding_s)


def speech_windows(activity: SpeechActivity, region: Span, costs: WindowCosts) -> list[Span]:
    """Return the windows of one region, in time order, not overlapping, with all of its speech.

    Args:
        region: one of `activity.regions`.
    """
    inside = [span for span in activity.spans if region.start_s <= span.start_s < region.end_s]
    start_s = max(region.start_s, inside[0].start_s - _MARGIN_S)
    end_s = min(region.end_s, inside[-1].end_s + _MARGIN_S)
    pauses = _cuts(activity, Span(start_s, end_s), costs.max_s)
    edges = [Span(start_s, start_s), *pauses, Span(end_s, end_s)]
    best: list[tuple[float, int]] = [(0.0, 0)]
    for at in range(1, len(edges)):
        choices = [
            (best[first][0] + _price(edges[first], edges[at], costs), first)
            for first in range(at)
            if _window(edges[first], edges[at]).duration_s <= costs.max_s or first == at - 1
        ]
        best.append(min(choices))
    path = [len(edges) - 1]
    while path[-1]:
        path.append(best[path[-1]][1])
    path.reverse()
    return [_window(edges[first], edges[last]) for first, last in pairwise(path)]


def _window(before: Span, after: Span) -> Span:
    """Return the window from one pause to the next, with the margins kept of both."""
    start_s = max((before.start_s + before.end_s) / 2, before.end_s - _MARGIN_S)
    return Span(start_s, min((after.start_s + after.end_s) / 2, after.start_s + _MARGIN_S))


def _price(before: Span, after: Span, costs: WindowCosts) -> float:
    encoded_s = costs.encoded_s(_window(before, after).duration_s)
    cut = costs.cut_price_s * 3.0 ** -(after.duration_s / costs.pause_scale_s)
    return encoded_s * (1 + encoded_s / _GROWTH_S) + costs.window_price_s + cut


def _cuts(activity: SpeechActivity, region: Span, max_s: float) -> list[Span]:
    """Return where a region may be cut: its pauses, and the least speech where there is no
    pause."""
    pauses = activity.pauses(region, _MIN_PAUSE_S)
    cuts: list[Span] = []
    now_s = region.start_s
    for pause in [*pauses, Span(region.end_s, region.end_s)]:
        while pause.start_s - now_s > max_s:
            cut_s = activity.least_speech_s(Span(now_s + max_s / 2, now_s + max_s - _MARGIN_S))
            cuts.append(Span(cut_s, cut_s))
            now_s = cut_s
        cuts.append(pause)
        now_s = pause.end_s
    return cuts[:-1]
