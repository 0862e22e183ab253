"""Speech recognition by faster-whisper: its most accurate mode, believed where somebody speaks."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import Field

from resources.audio.samples import give_back
from resources.models.store import ModelFiles, ensure_model
from resources.transcribe.checkpoint import Checkpoint
from resources.transcribe.checkpoint_journal import Journal
from resources.transcribe.device import Placement, loaded_model, placement
from resources.transcribe.hallucination_filter import SpeechFilter
from resources.transcribe.language import detect_language
from resources.transcribe.loudness import levelled
from resources.transcribe.speech_spans import SAMPLE_RATE_HZ, Span, SpeechActivity, speech_activity
from resources.transcribe.transcriber import EngineInfo, OnProgress, OnSegment, Transcriber
from resources.transcribe.words import WordClock, segments_with_words
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import DroppedSegment, Recognition, Segment
from ytcaption.settings import Settings, load_settings

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

__all__ = ["EngineInfo", "Transcriber", "WhisperTranscriber"]

logger = logging.getLogger(__name__)

MAX_GAP_S = 2.0
"""A longer pause ends a stretch of decoding: the decoder takes it for the end, and skips what
follows in its window. Ten minutes of clips between silence, noise and music, tiny.en: 11.5 % of the
words wrong with 10 s here, 6.6 with 5, 4.5 with 2; plain faster-whisper 16.6 %."""

_MAX_REGION_S = 600.0
"""Spectrograms are made for this much at once: 12 hours in one would take 15 GB."""


class WhisperTranscriber(Transcriber):
    """faster-whisper, sequential, with the times of words.

    Measured (benchmarks/README.md): batched decoding loses whole sentences at pauses; the times of
    words cost nothing and lower the error rate, because the next window starts after the last word.
    """

    models_home: str = Field(description="Weights, a folder a model.")
    device: str = Field(default="auto", description="`auto`, `cpu` or `cuda`.")
    compute_type: str = Field(default="auto", description="CTranslate2's number format.")
    cpu_threads: int = Field(default=0, description="Threads of the model. 0: one per core.")
    beam_size: int = Field(default=5, description="Width of the decoder's search.")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """As the settings say."""
        return cls(
            models_home=str(settings.models_home),
            device=settings.device,
            compute_type=settings.compute_type,
            cpu_threads=settings.cpu_threads,
            beam_size=settings.beam_size,
        )

    def transcribe(
        self,
        waveform: np.ndarray,
        options: TranscriptionOptions,
        on_progress: OnProgress,
        on_segment: OnSegment | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Recognition:
        """See `Transcriber.transcribe`."""
        duration_s = len(waveform) / SAMPLE_RATE_HZ
        timings_s: dict[str, float] = {}
        began = time.perf_counter()

        def lap(stage: str) -> None:
            nonlocal began
            now = time.perf_counter()
            timings_s[stage] = now - began
            began = now

        on_progress(0.0, duration_s)
        activity = speech_activity(waveform, lambda: on_progress(0.0, duration_s))
        lap("vad")
        if not activity.spans:
            on_progress(duration_s, duration_s)
            return Recognition(
                language=None,
                language_probability=0.0,
                duration_s=duration_s,
                speech_s=0.0,
                segments=(),
                dropped=(),
                timings_s=timings_s,
            )
        files, where = self.placed(options.model, lambda *_: on_progress(0.0, duration_s))
        model = loaded_model(files.directory, files.revision, where)
        lap("load")
        journal = Journal(checkpoint, self._identity(options.model))
        language, probability, heard = self._listen(
            model, waveform, activity, options, on_progress, journal
        )
        resumed_s = journal.done_s
        kept = _Kept(activity, on_segment)
        for segment in journal.segments:
            kept.add(segment)
        for segment in heard:
            journal.add(segment)
            kept.add(segment)
        segments, dropped = kept.finish()
        lap("model")
        on_progress(duration_s, duration_s)
        return Recognition(
            language=language if segments else None,
            language_probability=probability if segments else 0.0,
            duration_s=duration_s,
            speech_s=activity.speech_s,
            segments=segments,
            dropped=dropped,
            timings_s=timings_s,
            resumed_s=resumed_s,
        )

    def describe(self, model: str) -> EngineInfo:
        """See `Transcriber.describe`."""
        files, where = self.placed(model)
        return EngineInfo(
            engine="faster-whisper",
            engine_version=version("faster-whisper"),
            model=model,
            model_revision=files.revision,
            device=where.device,
            compute_type=where.compute_type,
        )

    def _identity(self, model: str) -> str:
        """All that decides what is heard, beside the audio and the options."""
        info = self.describe(model)
        return (
            f"{info.engine} {info.engine_version}, {info.model} {info.model_revision}, "
            f"{info.device} {info.compute_type}, beam {self.beam_size}"
        )

    def placed(
        self, model: str, on_bytes: Callable[[int, int | None], None] | None = None
    ) -> tuple[ModelFiles, Placement]:
        """The model's files, fetched if need be, and where it runs."""
        # The index's URL may hold a password, so it is no field: Dagster's UI shows fields.
        files = ensure_model(model, Path(self.models_home), on_bytes, load_settings().pip_index_url)
        size_bytes = (files.directory / "model.bin").stat().st_size
        where = placement(self.device, self.compute_type, self.cpu_threads, size_bytes)
        return files, where

    def _listen(
        self,
        model: "WhisperModel",
        waveform: np.ndarray,
        activity: SpeechActivity,
        options: TranscriptionOptions,
        on_progress: OnProgress,
        journal: Journal,
    ) -> tuple[str, float, Iterator[Segment]]:
        """The language, its probability and all that the decoder writes from where the journal
        ends on, as it does."""
        regions = activity.regions(max_gap_s=MAX_GAP_S, max_region_s=_MAX_REGION_S)
        journal.go_on(region.end_s for region in regions)
        language, probability = journal.language or detect_language(
            model, waveform, activity, options.language
        )
        journal.begin(language, probability)
        left = [region for region in regions if region.end_s > journal.done_s]
        heard = self._heard(
            model, waveform, activity, left, language, options, on_progress, journal
        )
        return language, probability, heard

    def _heard(
        self,
        model: "WhisperModel",
        waveform: np.ndarray,
        activity: SpeechActivity,
        regions: Sequence[Span],
        language: str,
        options: TranscriptionOptions,
        on_progress: OnProgress,
        journal: Journal,
    ) -> Iterator[Segment]:
        """All that the decoder writes, as it does, on the clock of the waveform."""
        clock = WordClock(activity.duration_s, journal.clock_s)
        number = len(journal.segments)
        for region in regions:
            on_progress(max(region.start_s, clock.now_s), activity.duration_s)
            found, _ = model.transcribe(
                levelled(waveform, region, activity.spans),
                language=language,
                task=options.task,
                beam_size=self.beam_size,
                temperature=ladder(options.temperature),
                word_timestamps=True,
                initial_prompt=options.initial_prompt,
                hotwords=options.hotwords,
            )
            for segment in segments_with_words(found, region, clock, number):
                number += 1
                yield segment
                on_progress(clock.now_s, activity.duration_s)
            journal.done(region.end_s, clock.now_s)
            give_back(waveform)


def ladder(start: float | None) -> tuple[float, ...]:
    """The temperatures that are tried until the text is not doubtful: OpenAI's steps of 0.2."""
    first = start or 0.0
    return tuple(round(first + step / 5, 3) for step in range(6) if first + step / 5 <= 1.0)


class _Kept:
    """What is believed of all that was heard, numbered without holes, told as soon as it is
    certain."""

    def __init__(self, activity: SpeechActivity, on_segment: OnSegment | None) -> None:
        self._filter = SpeechFilter(activity)
        self._on_segment = on_segment
        self._segments: list[Segment] = []

    def add(self, segment: Segment) -> None:
        self._take(self._filter.add(segment))

    def finish(self) -> tuple[tuple[Segment, ...], tuple[DroppedSegment, ...]]:
        self._take(self._filter.finish())
        dropped = tuple(self._filter.dropped)
        if dropped:
            heard = len(self._segments) + len(dropped)
            logger.info("dropped %d of %d segments", len(dropped), heard)
        return tuple(self._segments), dropped

    def _take(self, certain: list[Segment]) -> None:
        for segment in certain:
            numbered = replace(segment, index=len(self._segments))
            self._segments.append(numbered)
            if self._on_segment is not None:
                self._on_segment(numbered)
