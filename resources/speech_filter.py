"""Text that the decoder made up: over silence, noise and music, and in loops.

Whisper was trained to write something for every window. What it writes where nobody speaks is
fluent ("Thank you very much."), and once it repeats itself it goes on. Both are told from speech by
the audio and the shape of the text, not by a list of phrases.
"""

import re
import zlib
from collections.abc import Sequence

from resources.speech_spans import SpeechActivity
from ytcaption_assets.domain.transcript import DroppedSegment, DropReason, Segment

_MIN_SHARE = 0.1
"""Of the words' time that must be speech: words are placed some tenths of a second off."""

_EDGE_S = 0.2
_HOPELESS_LOGPROB = -1.5
_LOOP_RATIO = 2.4
"""Text that zlib makes smaller than this is suspected (openai/whisper's threshold). The decoder has
by then tried every temperature."""

_LOOP_RUN = 4
_LOOP_SEGMENTS = 3
_LONGEST_PHRASE = 12


def believed(
    segments: Sequence[Segment], activity: SpeechActivity
) -> tuple[list[Segment], list[DroppedSegment]]:
    """The segments that somebody said, and the others with the reason, both in time order."""
    kept: list[Segment] = []
    dropped: list[DroppedSegment] = []
    echoes = _echoes(segments)
    for at, segment in enumerate(segments):
        reason = "loop" if at in echoes else _doubt(segment, activity)
        if reason is None:
            kept.append(segment)
        else:
            dropped.append(DroppedSegment(segment.start_s, segment.end_s, segment.text, reason))
    return kept, dropped


def is_loop(text: str) -> bool:
    """Whether one phrase, four times or more in a row, makes up half of a text."""
    data = text.encode()
    if len(data) / len(zlib.compress(data)) <= _LOOP_RATIO:
        return False
    units = re.findall(r"\w+", text.lower())
    if len(units) * 10 < len(text):
        units = list("".join(units))  # written without spaces
    return any(
        _longest_run(units, size) * size * 2 >= len(units)
        for size in range(1, min(_LONGEST_PHRASE, len(units) // _LOOP_RUN) + 1)
    )


def _doubt(segment: Segment, activity: SpeechActivity) -> DropReason | None:
    share = max(
        (activity.share(word.start_s - _EDGE_S, word.end_s + _EDGE_S) for word in segment.words),
        default=activity.share(segment.start_s, segment.end_s),
    )
    if share < _MIN_SHARE:
        return "no_speech"
    if is_loop(segment.text):
        return "loop"
    if segment.avg_logprob < _HOPELESS_LOGPROB:
        return "low_confidence"
    return None


def _longest_run(units: list[str], size: int) -> int:
    """How often a phrase of `size` units comes in a row, at most; 0 below four times."""
    longest = run = size
    for at in range(size, len(units)):
        run = run + 1 if units[at] == units[at - size] else size
        longest = max(longest, run)
    times = longest // size
    return times if times >= _LOOP_RUN else 0


def _echoes(segments: Sequence[Segment]) -> set[int]:
    """Indexes of segments that only repeat the one before, in a window that is a loop."""
    found: set[int] = set()
    first = 0
    for at in range(1, len(segments) + 1):
        if at < len(segments) and _same(segments[at], segments[first]):
            continue
        run = range(first, at)
        if len(run) >= _LOOP_SEGMENTS and any(
            segments[each].compression_ratio > _LOOP_RATIO for each in run
        ):
            found.update(run[1:])
        first = at
    return found


def _same(one: Segment, other: Segment) -> bool:
    return re.findall(r"\w+", one.text.lower()) == re.findall(r"\w+", other.text.lower())
