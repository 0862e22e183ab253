"""Text that the decoder made up: over silence, noise and music, and in loops.

Whisper was trained to write something for every window. What it writes where nobody speaks is
fluent ("Thank you very much."), and once it repeats itself it goes on. Both are told from speech by
the audio and the shape of the text, not by a list of phrases.
"""

import re
import zlib
from collections.abc import Sequence

from resources.transcribe.speech_spans import SpeechActivity
from ytcaption.domain.transcripts.transcript import DroppedSegment, DropReason, Segment

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
_DOUBLED_WORDS, _DOUBLED_LETTERS = 4, 8
_COPIES = 3
"""Of one phrase: a decoder that writes more of them has lost its way."""


class SpeechFilter:
    """Judges segments one after the other, in time order. What it says of one is its last word.

    Attributes:
        kept: that somebody said, so far.
        dropped: the others, with the reason.
    """

    def __init__(self, activity: SpeechActivity) -> None:
        self.kept: list[Segment] = []
        self.dropped: list[DroppedSegment] = []
        self._activity = activity
        self._run: list[Segment] = []
        self._judged = 0

    def add(self, segment: Segment) -> list[Segment]:
        """Those that are certain to be kept now. Of equal segments all but the first wait until
        the run of them ends: it may turn out to be a loop."""
        if self._run and _same(segment, self._run[0]):
            self._run.append(segment)
            return []
        kept = self.finish()
        self._run, self._judged = [segment], 0
        return kept + self._judge(segment, _doubt(segment, self._activity))

    def finish(self) -> list[Segment]:
        """Those that waited for what comes next, when nothing does."""
        looped = len(self._run) >= _LOOP_SEGMENTS and any(
            each.compression_ratio > _LOOP_RATIO for each in self._run
        )
        return [
            kept
            for each in self._run[self._judged :]
            for kept in self._judge(each, "loop" if looped else _doubt(each, self._activity))
        ]

    def _judge(self, segment: Segment, reason: DropReason | None) -> list[Segment]:
        self._judged += 1
        if reason is None:
            self.kept.append(segment)
            return [segment]
        self.dropped.append(DroppedSegment(segment.start_s, segment.end_s, segment.text, reason))
        return []


def believed(
    segments: Sequence[Segment], activity: SpeechActivity
) -> tuple[list[Segment], list[DroppedSegment]]:
    """The segments that somebody said, and the others with the reason, both in time order."""
    sieve = SpeechFilter(activity)
    for segment in segments:
        sieve.add(segment)
    sieve.finish()
    return sieve.kept, sieve.dropped


def is_loop(text: str) -> bool:
    """Whether one phrase, four times or more in a row, makes up half of a text."""
    data = text.encode()
    if len(data) / len(zlib.compress(data)) <= _LOOP_RATIO:
        return False
    units = _units(text)
    return any(
        _longest_run(units, size) * size * 2 >= len(units)
        for size in range(1, min(_LONGEST_PHRASE, len(units) // _LOOP_RUN) + 1)
    )


def is_doubled(text: str) -> bool:
    """Whether a phrase of four words or more is written twice in a row: people seldom do that."""
    units = _units(text)
    least = _DOUBLED_WORDS if " " in text.strip() else _DOUBLED_LETTERS
    return any(
        units[at : at + size] == units[at + size : at + 2 * size]
        for size in range(least, len(units) // 2 + 1)
        for at in range(len(units) - 2 * size + 1)
    )


def said_once(words: Sequence[str]) -> int:
    """How many of a text's words are left where all of it is one phrase, written two or three times
    (the last time perhaps in part); else all of them.

    Args:
        words: with their blanks and punctuation, which may be words of their own.
    """
    units, places = [], []
    for place, word in enumerate(words):
        found = _units(word)
        units += found
        places += [place] * len(found)
    least = _DOUBLED_WORDS if any(word.startswith(" ") for word in words[1:]) else _DOUBLED_LETTERS
    sizes = (size for size in range(1, len(units) // 2 + 1) if units[size:] == units[:-size])
    shortest = next(sizes, 0)
    if shortest < least or len(units) // shortest > _COPIES:
        return len(words)
    return places[shortest]


def _units(text: str) -> list[str]:
    """Its words; its letters where it is written without spaces."""
    units = re.findall(r"\w+", text.lower())
    return list("".join(units)) if len(units) * 10 < len(text) else units


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


def _same(one: Segment, other: Segment) -> bool:
    return re.findall(r"\w+", one.text.lower()) == re.findall(r"\w+", other.text.lower())
