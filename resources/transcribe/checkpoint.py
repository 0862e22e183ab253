"""Checkpoints: what an attempt has decoded so far, saved so that the next attempt resumes there.

A checkpoint is a list of parts. Each holds what was decoded since the part before it, so that
saving costs the same at the end of ten hours as at their beginning. Parts are JSON: they are stored
in the database and sent between a run and a worker.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from ytcaption.domain.transcripts.transcript import Segment, Word

logger = logging.getLogger(__name__)

SAVE_INTERVAL_S = 15.0
"""Wall-clock seconds between two parts: a killed run loses this much, and the window or region that
was being decoded."""


class Part(TypedDict):
    """Everything decoded between the end of the part before and `done_s`.

    Attributes:
        number: from 0. Saving a part invalidates parts saved under this and higher numbers.
        engine: identity of what decoded it: an attempt resumes only from parts of the same engine,
            version, model and number format.
        language: Whisper's code of the recording's language, with its probability, 0 to 1.
        done_s: where the next attempt resumes: the end of a unit that the engine decodes at once.
        clock_s: where the last word ended (`WordClock.now_s`).
        segments: `Segment`s as decoded, before any is dropped, in the form of
            `dataclasses.asdict`.
    """

    number: int
    engine: str
    language: str
    language_probability: float
    done_s: float
    clock_s: float
    segments: list[dict[str, Any]]


@dataclass(frozen=True)
class Checkpoint:
    """The parts of earlier attempts, and a function that saves the parts of this one.

    Attributes:
        state: the parts saved for this audio and these options, by number; empty if there are none.
            The reader validates them: they may be damaged or belong to another engine.
        save: stores a part; called by the transcribing thread, about twice a minute. An exception
            ends the work (ClaimLost: the run must stop). An unavailable store must not raise: the
            part is saved together with the next one.
    """

    state: Sequence[Part]
    save: Callable[[Part], None]


class CheckpointJournal:
    """Reads the parts of earlier attempts at one recording and writes those of this attempt.

    Attributes:
        segments: decoded by earlier attempts, before any is dropped.
        language: Whisper's code and its probability found by earlier attempts; None if unknown.
        done_s: decoding resumes here.
        clock_s: where the last word of `segments` ends.
    """

    def __init__(self, checkpoint: Checkpoint | None = None, engine: str = "") -> None:
        """Read what earlier attempts have left.

        Args:
            engine: identity of everything that decides the result, besides audio and options.
        """
        self.segments: list[Segment] = []
        self.language: tuple[str, float] | None = None
        self.done_s = self.clock_s = 0.0
        self._save = checkpoint.save if checkpoint is not None else None
        self._engine = engine
        self._number = 0
        self._unsaved: list[Segment] = []
        self._saved_at = time.monotonic()
        if checkpoint is not None and checkpoint.state:
            self._read(checkpoint.state)

    def resume(self, boundaries_s: Iterable[float]) -> None:
        """Check that decoding can resume where earlier attempts ended; else start over.

        Args:
            boundaries_s: ends of the units that the engine decodes at once.
        """
        if not self.done_s:
            return
        if self.done_s in boundaries_s:
            logger.info("resuming at %.1f s, where an earlier attempt ended", self.done_s)
        else:
            self._discard("the audio is now cut in other places")

    def set_language(self, language: str, probability: float) -> None:
        """Record the language; decoding begins."""
        self.language = language, probability

    def add(self, segment: Segment) -> None:
        """Add a decoded segment to the next part."""
        if self._save is not None:
            self._unsaved.append(segment)

    def mark_done(self, end_s: float, clock_s: float) -> None:
        """Record that everything before `end_s` was added; save a part if it is time for one."""
        if self._save is None or self.language is None:
            return
        if time.monotonic() - self._saved_at < SAVE_INTERVAL_S:
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
                segments=[_segment_to_json(segment) for segment in self._unsaved],
            )
        )
        self._number += 1
        self._unsaved = []
        self._saved_at = time.monotonic()

    def _read(self, state: Iterable[Part]) -> None:
        try:
            parts = sorted(state, key=lambda part: part["number"])
            if [part["number"] for part in parts] != list(range(len(parts))):
                raise ValueError("a part is missing")
            if any(part["engine"] != self._engine for part in parts):
                logger.info("the checkpoint belongs to another engine: starting over")
                return
            for part in parts:
                self._append(part)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self._discard(f"the checkpoint is damaged ({error!r:.200})")

    def _append(self, part: Part) -> None:
        segments = [_segment_from_json(segment) for segment in part["segments"]]
        done_s, clock_s = float(part["done_s"]), float(part["clock_s"])
        times = [t for segment in segments for t in (segment.start_s, segment.end_s)]
        if times != sorted(times) or not self.done_s < done_s or not self.clock_s <= clock_s:
            raise ValueError("times run backwards")
        self.segments += segments
        self.language = str(part["language"]), float(part["language_probability"])
        self.done_s, self.clock_s, self._number = done_s, clock_s, part["number"] + 1

    def _discard(self, reason: str) -> None:
        logger.warning("the result of an earlier attempt is not used: %s", reason)
        self.segments, self.language = [], None
        self.done_s = self.clock_s = 0.0
        self._number = 0


def _segment_to_json(segment: Segment) -> dict[str, Any]:
    return asdict(segment) | {"words": [asdict(word) for word in segment.words]}


def _segment_from_json(values: dict[str, Any]) -> Segment:
    words = tuple(Word(**word) for word in values["words"])
    fields: dict[str, Any] = {**values, "words": words}
    segment = Segment(**fields)
    numbers = (segment.index, segment.avg_logprob, segment.no_speech_prob, segment.temperature)
    if not all(isinstance(number, int | float) for number in numbers):
        raise TypeError("a score is not a number")
    if not isinstance(segment.text, str) or not all(isinstance(word.text, str) for word in words):
        raise TypeError("a text is not a string")
    return segment
