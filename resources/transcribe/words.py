"""Converts faster-whisper's segments: words on one clock that never runs backwards."""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from resources.transcribe.speech_spans import Span
from ytcaption.domain.transcripts.transcript import Segment, Word

if TYPE_CHECKING:
    from faster_whisper.transcribe import Segment as DecodedSegment

_DIGITS = 3  # milliseconds: captions have no finer times


class WordClock:
    """Puts intervals in order: each starts no earlier than the one before ends, none passes the
    end.

    Attributes:
        now_s: where the last interval ended.
    """

    def __init__(self, duration_s: float, now_s: float = 0.0) -> None:
        self._end_s = duration_s
        self.now_s = now_s

    def interval(self, start_s: float, end_s: float) -> tuple[float, float]:
        """Return the nearest interval that keeps the order."""
        start = min(max(_finite(start_s), self.now_s), self._end_s)
        end = min(max(_finite(end_s), start), self._end_s)
        self.now_s = end
        return round(start, _DIGITS), round(end, _DIGITS)


def segments_with_words(
    decoded: Iterable["DecodedSegment"], region: Span, clock: WordClock, first_index: int
) -> Iterator[Segment]:
    """Yield segments with words, one at a time as the decoder makes them.

    A segment's text is that of its words, and so are its times.

    Args:
        decoded: times from the start of the region.
        region: on the clock of the recording.
    """
    index = first_index
    for segment in decoded:
        words = _words(segment, region, clock)
        text = "".join(word.text for word in words).strip()
        if not text:
            continue
        yield Segment(
            index=index,
            start_s=words[0].start_s,
            end_s=words[-1].end_s,
            text=text,
            words=words,
            avg_logprob=_finite(segment.avg_logprob),
            no_speech_prob=_finite(segment.no_speech_prob),
            compression_ratio=_finite(segment.compression_ratio),
            temperature=_finite(segment.temperature or 0.0),
        )
        index += 1


def _words(segment: "DecodedSegment", region: Span, clock: WordClock) -> tuple[Word, ...]:
    words = [
        Word(
            *clock.interval(region.start_s + word.start, region.start_s + word.end),
            text=word.word,
            probability=min(1.0, max(0.0, _finite(word.probability))),
        )
        for word in segment.words or ()
        if word.word.strip()
    ]
    if words:
        return tuple(words)
    if not any(char.isalnum() for char in segment.text):
        return ()  # punctuation that was attached to the word before it
    return _evenly_spaced_words(segment, region, clock)


def _evenly_spaced_words(
    segment: "DecodedSegment", region: Span, clock: WordClock
) -> tuple[Word, ...]:
    """Spread words without an alignment evenly over their segment."""
    texts = [f" {text}" for text in segment.text.split()]
    step = (segment.end - segment.start) / len(texts)
    edges = [region.start_s + segment.start + step * at for at in range(len(texts) + 1)]
    probability = min(1.0, math.exp(_finite(segment.avg_logprob)))
    return tuple(
        Word(*clock.interval(start, end), text=text, probability=probability)
        for text, (start, end) in zip(texts, pairwise(edges), strict=True)
    )


def _finite(number: float) -> float:
    value = float(number)
    return value if math.isfinite(value) else 0.0
