"""What one attempt hears, on its way into the checkpoint, and what earlier attempts have heard."""

import logging
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from resources.transcribe.checkpoint import Checkpoint, Part
from ytcaption.domain.transcripts.transcript import Segment, Word

logger = logging.getLogger(__name__)

SAVE_S = 15.0
"""Wall seconds between two parts: as much as a killed run loses, and what is decoded at once."""


class Journal:
    """Keeps what is heard of one recording.

    Attributes:
        segments: what earlier attempts have heard, as the decoder wrote it.
        language: Whisper's code and its probability, as they heard it; None where they did not.
        done_s: the engine goes on here.
        clock_s: where the last word of `segments` ends.
    """

    def __init__(self, checkpoint: Checkpoint | None = None, engine: str = "") -> None:
        """Reads what earlier attempts have left.

        Args:
            engine: all that decides what is heard, beside the audio and the options.
        """
        self.segments: list[Segment] = []
        self.language: tuple[str, float] | None = None
        self.done_s = self.clock_s = 0.0
        self._save = checkpoint.save if checkpoint is not None else None
        self._engine = engine
        self._number = 0
        self._new: list[Segment] = []
        self._saved_at = time.monotonic()
        if checkpoint is not None and checkpoint.state:
            self._read(checkpoint.state)

    def go_on(self, ends_s: Iterable[float]) -> None:
        """Makes sure that the engine can go on where earlier attempts ended: else it starts anew.

        Args:
            ends_s: of what the engine decodes at once.
        """
        if not self.done_s:
            return
        if self.done_s in ends_s:
            logger.info("goes on at %.1f s, which an earlier attempt reached", self.done_s)
        else:
            self._forget("the audio is cut in other places now")

    def begin(self, language: str, probability: float) -> None:
        """The language is known; the decoder begins."""
        self.language = language, probability

    def add(self, segment: Segment) -> None:
        """The decoder wrote it."""
        if self._save is not None:
            self._new.append(segment)

    def done(self, end_s: float, clock_s: float) -> None:
        """All before `end_s` was added; kept now, or a little later with what follows."""
        if self._save is None or self.language is None:
            return
        if time.monotonic() - self._saved_at < SAVE_S:
            return
        language, probability = self.language
        self._save(
            Part(
                number=self._number,
                engine=self._engine,
                language=language,
                language_probability=probability,
                done_s=end_s,
                clock_s=clock_s,
                segments=[_raw(each) for each in self._new],
            )
        )
        self._number += 1
        self._new = []
        self._saved_at = time.monotonic()

    def _read(self, state: Iterable[Part]) -> None:
        try:
            parts = sorted(state, key=lambda part: part["number"])
            if [part["number"] for part in parts] != list(range(len(parts))):
                raise ValueError("a part is missing")
            if any(part["engine"] != self._engine for part in parts):
                logger.info("what an earlier attempt heard is another engine's: starting anew")
                return
            for part in parts:
                self._take(part)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._forget(f"the checkpoint is damaged ({error!r:.200})")

    def _take(self, part: Part) -> None:
        segments = [_segment(each) for each in part["segments"]]
        done_s, clock_s = float(part["done_s"]), float(part["clock_s"])
        times = [t for each in segments for t in (each.start_s, each.end_s)]
        if times != sorted(times) or not self.done_s < done_s or not self.clock_s <= clock_s:
            raise ValueError("times run backwards")
        self.segments += segments
        self.language = str(part["language"]), float(part["language_probability"])
        self.done_s, self.clock_s, self._number = done_s, clock_s, part["number"] + 1

    def _forget(self, reason: str) -> None:
        logger.warning("what an earlier attempt heard is not used: %s", reason)
        self.segments, self.language = [], None
        self.done_s = self.clock_s = 0.0
        self._number = 0


def _raw(segment: Segment) -> dict[str, Any]:
    return asdict(segment) | {"words": [asdict(word) for word in segment.words]}


def _segment(raw: dict[str, Any]) -> Segment:
    words = tuple(Word(**word) for word in raw["words"])
    values: dict[str, Any] = {**raw, "words": words}
    segment = Segment(**values)
    numbers = (segment.index, segment.avg_logprob, segment.no_speech_prob, segment.temperature)
    if not all(isinstance(each, int | float) for each in numbers):
        raise TypeError("a score is no number")
    if not isinstance(segment.text, str) or not all(isinstance(each.text, str) for each in words):
        raise TypeError("a text is none")
    return segment
