"""Turn the cues of a caption track into segments: each word once, with times that never go back."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from zlib import compress

from ytcaption.domain.caption_choice import TrackKind
from ytcaption.domain.captions.track_parsing import TrackCue, TrackLine, TrackWord, read_track
from ytcaption.domain.captions.units import needs_no_space
from ytcaption.domain.transcripts.transcript import Segment, Word

_ADJACENT_S = 0.1
"""The largest distance between a rolling cue and the one it continues."""

_ROLLING_SHARE, _ROLLING_CUES = 0.3, 3
"""A track rolls when at least this share, and this number, of its cues repeat the one before."""

_ROLLING_LINES = 16
"""Most lines that roll: the rows of CEA-608 are 15. Each cue is compared as often."""

_LONGEST_WORD_S = 2.0
"""Longest time of a timed word: silence follows it, although the line is still shown."""

_SHORTEST_S = 0.001


@dataclass(frozen=True)
class CaptionTrack:
    """A track as its source served it.

    Attributes:
        extension: one that `read_track` reads.
    """

    extension: str
    data: bytes

    def segments(self, kind: TrackKind) -> tuple[Segment, ...]:
        """Return the segments; an empty tuple for a track without text.

        Raises:
            ValueError: the track cannot be read.
        """
        rolls = True if kind == "automatic" else None
        if self.extension == "json3":
            rolls = False  # each event holds new words alone
        return track_segments(read_track(self.data, self.extension), rolls=rolls)


@dataclass(frozen=True)
class CaptionReference:
    """Captions that people made in the spoken language: the reference for measuring transcripts.

    Attributes:
        language: Whisper's code.
    """

    language: str
    track: CaptionTrack


def track_segments(cues: Sequence[TrackCue], *, rolls: bool | None = None) -> tuple[Segment, ...]:
    """Return segments in time order that do not overlap: one per cue that adds new text.

    Words have the track's times, or else a share of the cue's time by their length.

    Args:
        rolls: see `flattened`.
    """
    shown = _once(flattened(cues, rolls=rolls))
    segments = []
    for index, (cue, after) in enumerate(zip(shown, [*shown[1:], None], strict=False)):
        end_s = cue.end_s if after is None else min(cue.end_s, after.start_s)
        words = _timed(cue, max(end_s, cue.start_s + _SHORTEST_S))
        text = "".join(word.text for word in words)
        packed = text.encode()
        segments.append(
            Segment(
                index=index,
                start_s=words[0].start_s,
                end_s=words[-1].end_s,
                text=text,
                words=words,
                avg_logprob=0.0,
                no_speech_prob=0.0,
                compression_ratio=round(len(packed) / len(compress(packed)), 3),
                temperature=0.0,
            )
        )
    return tuple(segments)


def flattened(cues: Sequence[TrackCue], *, rolls: bool | None = None) -> list[TrackCue]:
    """Return the cues in time order, each with its new text on one line; cues without new text are
    left out.

    Args:
        rolls: whether lines stay on the screen while the next ones appear; None: decided by how
            many
            cues repeat the text of the one before.
    """
    ordered = sorted(cues, key=lambda cue: cue.start_s)
    known = [0, *(_repeated(before, cue) for before, cue in pairwise(ordered))][: len(ordered)]
    if rolls is None:
        repeating = sum(count > 0 for count in known)
        rolls = repeating >= max(_ROLLING_CUES, _ROLLING_SHARE * len(ordered))
    if not rolls:
        known = [0] * len(ordered)
    fresh = []
    for cue, count in zip(ordered, known, strict=True):
        words = _words(cue.lines)[count:]
        if words:
            fresh.append(TrackCue(cue.start_s, cue.end_s, (words,)))
    return fresh


def _repeated(before: TrackCue, cue: TrackCue) -> int:
    """Return how many words at the cue's beginning ended the previous cue.

    Whole lines are compared, so a word that ends one line and begins the next does not count; the
    last line may have grown. A line with its own times is new. More than `_ROLLING_LINES` lines do
    not roll.
    """
    if cue.start_s > before.end_s + _ADJACENT_S:
        return 0
    shown = [_texts(line) for line in before.lines[-_ROLLING_LINES:]]
    lines = [_texts(line) for line in cue.lines[:_ROLLING_LINES]]
    timed = [any(word.start_s is not None for word in line) for line in cue.lines[:_ROLLING_LINES]]
    for count in range(min(len(shown), len(lines)), 0, -1):
        *complete, last = shown[-count:]
        if any(timed[:count]) or lines[: count - 1] != complete:
            continue
        if lines[count - 1][: len(last)] == last:
            return sum(map(len, complete)) + len(last)
    return 0


def _texts(line: TrackLine) -> list[str]:
    return [word.text.strip() for word in line]


def _words(lines: Iterable[TrackLine]) -> TrackLine:
    """Return all words of the lines, as if written on one line."""
    words: list[TrackWord] = []
    for line in lines:
        for index, word in enumerate(line):
            joined = bool(words) and needs_no_space(words[-1].text, word.text)
            apart = index == 0 and bool(words) and not joined
            words.append(TrackWord(f" {word.text}", word.start_s) if apart else word)
    return tuple(words)


def _once(cues: Sequence[TrackCue]) -> list[TrackCue]:
    """Return the cues with those of the same start time merged."""
    together: list[list[TrackCue]] = []
    for cue in cues:
        if together and cue.start_s - together[-1][0].start_s < 2 * _SHORTEST_S:
            together[-1].append(cue)
        else:
            together.append([cue])
    return [
        TrackCue(
            same[0].start_s,
            max(cue.end_s for cue in same),
            (_words(line for cue in same for line in cue.lines),),
        )
        for same in together
    ]


@dataclass(frozen=True)
class _Known:
    """A time that the track states: of the word at this index, or of the end."""

    index: int
    time_s: float


def _timed(cue: TrackCue, end_s: float) -> tuple[Word, ...]:
    """Return the words of a flattened cue with times between its start and `end_s`."""
    words = cue.lines[0]
    first = words[0].start_s
    known = [_Known(0, cue.start_s if first is None else min(max(first, cue.start_s), end_s))]
    for index, word in enumerate(words[1:], 1):
        if word.start_s is not None and known[-1].time_s <= word.start_s <= end_s:
            known.append(_Known(index, word.start_s))
    has_times = any(word.start_s is not None for word in words)
    last = known[-1]
    if has_times:
        end_s = min(end_s, last.time_s + _LONGEST_WORD_S * (len(words) - last.index))
    timed: list[Word] = []
    for here, there in pairwise([*known, _Known(len(words), end_s)]):
        span = words[here.index : there.index]
        letters = [max(len(word.text.strip()), 1) for word in span]
        step_s = (there.time_s - here.time_s) / sum(letters)
        at_s = here.time_s
        for word, length in zip(span, letters, strict=True):
            after_s = at_s + step_s * length
            text = word.text if timed else word.text.strip()
            timed.append(Word(round(at_s, 3), round(after_s, 3), text, 1.0))
            at_s = after_s
    return tuple(timed)
