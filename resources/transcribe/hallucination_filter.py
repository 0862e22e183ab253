"""Drops text that the decoder made up: over silence, noise and music, and in loops.

Whisper was trained to write something for every window. What it writes without speech is fluent
("Thank you very much."), and once it repeats itself it goes on. Both are distinguished from speech
by the audio and the shape of the text, not by a list of phrases.
"""

import re
import zlib
from collections.abc import Sequence

from resources.transcribe.speech_spans import SpeechActivity
from ytcaption.domain.transcripts.transcript import DroppedSegment, DropReason, Segment

_MIN_SPEECH_SHARE = 0.1
"""Share of the words' time that must be speech: word times are some tenths of a second off."""

_EDGE_S = 0.2
_MIN_LOGPROB = -1.5
_MAX_COMPRESSION_RATIO = 2.4
"""Text that zlib compresses more than this is suspected (openai/whisper's threshold). The decoder
has tried every temperature by then."""

_LOOP_RUN = 4
_LOOP_SEGMENTS = 3
_LONGEST_PHRASE = 12
_MIN_REPEATED_WORDS, _MIN_REPEATED_LETTERS = 4, 8
_MAX_COPIES = 3
"""Of one phrase: a decoder that writes more copies is in a loop."""


class HallucinationFilter:
    """Decides which segments to keep, one after the other in time order. Decisions are final.

    Attributes:
        kept: segments kept so far.
        dropped: segments dropped so far, with the reason.
    """

    def __init__(self, activity: SpeechActivity) -> None:
        self.kept: list[Segment] = []
        self.dropped: list[DroppedSegment] = []
        self._activity = activity
        self._run: list[Segment] = []
        self._decided = 0

    def add(self, segment: Segment) -> list[Segment]:
        """Add a segment and return those that are now known to be kept.

        Of equal segments in a row, all but the first are undecided until the run ends: it may turn
        out to be a loop.
        """
        if self._run and _has_same_words(segment, self._run[0]):
            self._run.append(segment)
            return []
        kept = self.finish()
        self._run, self._decided = [segment], 0
        return kept + self._decide(segment, _drop_reason(segment, self._activity))

    def finish(self) -> list[Segment]:
        """Decide the undecided segments and return those that are kept: no more follow."""
        is_loop = len(self._run) >= _LOOP_SEGMENTS and any(
            segment.compression_ratio > _MAX_COMPRESSION_RATIO for segment in self._run
        )
        return [
            kept
            for segment in self._run[self._decided :]
            for kept in self._decide(
                segment, "loop" if is_loop else _drop_reason(segment, self._activity)
            )
        ]

    def _decide(self, segment: Segment, reason: DropReason | None) -> list[Segment]:
        self._decided += 1
        if reason is None:
            self.kept.append(segment)
            return [segment]
        self.dropped.append(DroppedSegment(segment.start_s, segment.end_s, segment.text, reason))
        return []


def is_loop(text: str) -> bool:
    """Return whether one phrase, four times or more in a row, makes up half of a text."""
    data = text.encode()
    if len(data) / len(zlib.compress(data)) <= _MAX_COMPRESSION_RATIO:
        return False
    units = _units(text)
    return any(
        _longest_run(units, size) * size * 2 >= len(units)
        for size in range(1, min(_LONGEST_PHRASE, len(units) // _LOOP_RUN) + 1)
    )


def has_repeated_phrase(text: str) -> bool:
    """Return whether a phrase of four words or more occurs twice in a row: rare in real speech."""
    units = _units(text)
    least = _MIN_REPEATED_WORDS if " " in text.strip() else _MIN_REPEATED_LETTERS
    return any(
        units[at : at + size] == units[at + size : at + 2 * size]
        for size in range(least, len(units) // 2 + 1)
        for at in range(len(units) - 2 * size + 1)
    )


def words_without_repeats(words: Sequence[str]) -> int:
    """Return how many words to keep if a text is one phrase, written two or three times.

    The last copy may be incomplete. Of any other text all words are kept.

    Args:
        words: with their spaces and punctuation, which may be words of their own.
    """
    units, word_indexes = [], []
    for word_index, word in enumerate(words):
        word_units = _units(word)
        units += word_units
        word_indexes += [word_index] * len(word_units)
    has_spaces = any(word.startswith(" ") for word in words[1:])
    least = _MIN_REPEATED_WORDS if has_spaces else _MIN_REPEATED_LETTERS
    sizes = (size for size in range(1, len(units) // 2 + 1) if units[size:] == units[:-size])
    shortest = next(sizes, 0)
    if shortest < least or len(units) // shortest > _MAX_COPIES:
        return len(words)
    return word_indexes[shortest]


def _units(text: str) -> list[str]:
    """Return the text's words, or its letters if it is written without spaces."""
    units = re.findall(r"\w+", text.lower())
    return list("".join(units)) if len(units) * 10 < len(text) else units


def _drop_reason(segment: Segment, activity: SpeechActivity) -> DropReason | None:
    share = max(
        (
            activity.speech_share(word.start_s - _EDGE_S, word.end_s + _EDGE_S)
            for word in segment.words
        ),
        default=activity.speech_share(segment.start_s, segment.end_s),
    )
    if share < _MIN_SPEECH_SHARE:
        return "no_speech"
    if is_loop(segment.text):
        return "loop"
    if segment.avg_logprob < _MIN_LOGPROB:
        return "low_confidence"
    return None


def _longest_run(units: list[str], size: int) -> int:
    """Return the most repetitions in a row of a phrase of `size` units; 0 below four."""
    longest = run = size
    for at in range(size, len(units)):
        run = run + 1 if units[at] == units[at - size] else size
        longest = max(longest, run)
    times = longest // size
    return times if times >= _LOOP_RUN else 0


def _has_same_words(one: Segment, other: Segment) -> bool:
    return re.findall(r"\w+", one.text.lower()) == re.findall(r"\w+", other.text.lower())
