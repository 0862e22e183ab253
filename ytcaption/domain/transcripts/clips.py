"""Cut speech with its text into clips of the length that training a model needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ytcaption.domain.transcripts.transcript import Segment, Transcript, Word

PAD_S = 0.1
"""Seconds added before and after a clip, so that no sound is cut; never into other speech."""


@dataclass(frozen=True)
class Clip:
    """Text and when it is spoken, in seconds from the start of the media."""

    start_s: float
    end_s: float
    text: str

    @property
    def duration_s(self) -> float:
        """The clip's length in seconds."""
        return self.end_s - self.start_s


def clips(transcript: Transcript, *, min_s: float, max_s: float) -> list[Clip]:
    """Return segments in time order; those that are too long are cut at their longest pauses.

    Segments shorter than `min_s`, and those that cannot be cut to `max_s`, are left out.
    """
    parts = [part for segment in transcript.segments for part in _parts(segment, max_s)]
    result = []
    for index, (start_s, end_s, text) in enumerate(parts):
        before_s = parts[index - 1][1] if index else 0.0
        after_s = parts[index + 1][0] if index + 1 < len(parts) else transcript.duration_s
        padded = Clip(
            min(start_s, max(start_s - PAD_S, (before_s + start_s) / 2, 0.0)),
            max(end_s, min(end_s + PAD_S, (end_s + after_s) / 2, transcript.duration_s)),
            text,
        )
        clip = padded if padded.duration_s <= max_s else Clip(start_s, end_s, text)
        if text and min_s <= clip.duration_s <= max_s:
            result.append(clip)
    return result


def _parts(segment: Segment, max_s: float) -> Iterator[tuple[float, float, str]]:
    if segment.end_s - segment.start_s <= max_s or not segment.words:
        yield segment.start_s, segment.end_s, _plain(segment.text)
        return
    for words in _cut(segment.words, max_s):
        yield words[0].start_s, words[-1].end_s, _plain("".join(word.text for word in words))


def _cut(words: Sequence[Word], max_s: float) -> Iterator[Sequence[Word]]:
    """Cut at the longest pause, of equal ones the most central; repeat until the parts fit."""
    if words[-1].end_s - words[0].start_s <= max_s or len(words) == 1:
        yield words
        return
    middle = len(words) / 2
    cut = max(
        range(1, len(words)),
        key=lambda at: (
            round(words[at].start_s - words[at - 1].end_s, 2),
            -abs(at - middle),
        ),
    )
    yield from _cut(words[:cut], max_s)
    yield from _cut(words[cut:], max_s)


def _plain(text: str) -> str:
    """Return the text on one line."""
    return " ".join(text.split())
