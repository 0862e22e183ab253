"""The Whisper transcriber of this process: speech detection, decoding, hallucination filter."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import Field

from resources.audio.samples import SAMPLE_RATE_HZ
from resources.models.store import ModelFiles, ensure_model
from resources.transcribe.batched_decoder import BatchedDecoder
from resources.transcribe.checkpoint import Checkpoint, CheckpointJournal
from resources.transcribe.decoder import Decoder, Recording
from resources.transcribe.device import Placement, choose_placement, loaded_model
from resources.transcribe.hallucination_filter import HallucinationFilter
from resources.transcribe.sequential_decoder import SequentialDecoder
from resources.transcribe.speech_spans import SpeechActivity, detect_speech
from resources.transcribe.transcriber import EngineInfo, OnProgress, OnSegment, Transcriber
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import DroppedSegment, Recognition, Segment
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

logger = logging.getLogger(__name__)

EngineName = Literal["batched", "sequential"]
"""Values of `YTCAPTION_ENGINE`."""

DECODERS: dict[EngineName, Decoder] = {
    "batched": BatchedDecoder(),
    "sequential": SequentialDecoder(),
}


class WhisperTranscriber(Transcriber):
    """Whisper in this process, by one of the `DECODERS`."""

    models_home: str = Field(description="Folder of the weights, with a folder per model.")
    engine: EngineName = Field(description="How speech is decoded.")
    device: str = Field(default="auto", description="`auto`, `cpu` or `cuda`.")
    compute_type: str = Field(default="auto", description="CTranslate2's number format.")
    cpu_threads: int = Field(default=0, description="Threads of the model. 0: one per core.")
    beam_size: int = Field(default=5, description="Width of the decoder's search.")

    @classmethod
    def from_settings(cls, settings: Settings, engine: EngineName | None = None) -> Self:
        """Return the transcriber that the settings describe.

        Args:
            engine: in place of the settings' own.
        """
        return cls(
            models_home=str(settings.models_home),
            engine=engine or settings.speech.engine,
            device=settings.speech.device,
            compute_type=settings.speech.compute_type,
            cpu_threads=settings.speech.cpu_threads,
            beam_size=settings.speech.beam_size,
        )

    @property
    def decoder(self) -> Decoder:
        """The decoding strategy."""
        return DECODERS[self.engine]

    def transcribe(
        self,
        waveform: np.ndarray,
        options: TranscriptionOptions,
        on_progress: OnProgress,
        on_segment: OnSegment | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Recognition:
        """See `Transcriber.transcribe`."""
        with self.decoder.session():
            return self._transcribe(waveform, options, on_progress, on_segment, checkpoint)

    def _transcribe(
        self,
        waveform: np.ndarray,
        options: TranscriptionOptions,
        on_progress: OnProgress,
        on_segment: OnSegment | None,
        checkpoint: Checkpoint | None,
    ) -> Recognition:
        duration_s = len(waveform) / SAMPLE_RATE_HZ
        timings_s: dict[str, float] = {}
        began = time.perf_counter()

        def lap(stage: str) -> None:
            nonlocal began
            now = time.perf_counter()
            timings_s[stage] = now - began
            began = now

        on_progress(0.0, duration_s)
        activity = detect_speech(waveform, lambda: on_progress(0.0, duration_s))
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
        files, placement = self.prepare_model(
            options.model, lambda *_: on_progress(0.0, duration_s)
        )
        model = loaded_model(files.directory, files.revision, placement)
        lap("load")
        journal = CheckpointJournal(checkpoint, self._identity(options.model))
        recording = Recording(waveform, activity, options, self.beam_size)
        language, probability, decoded = self.decoder.decode(model, recording, on_progress, journal)
        resumed_s = journal.done_s
        result = _FilteredSegments(activity, on_segment)
        for segment in journal.segments:
            result.add(segment)
        for segment in decoded:
            journal.add(segment)
            result.add(segment)
        segments, dropped = result.finish()
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
        files, placement = self.prepare_model(model)
        return EngineInfo(
            engine=self.decoder.engine,
            engine_version=version("faster-whisper"),
            model=model,
            model_revision=files.revision,
            device=placement.device,
            compute_type=placement.compute_type,
        )

    def prepare_model(
        self, model: str, on_bytes: Callable[[int, int | None], None] | None = None
    ) -> tuple[ModelFiles, Placement]:
        """Return the model's files, fetched if necessary, and where the model runs."""
        # The index's URL may hold a password, so it is no field: Dagster's UI shows fields.
        files = ensure_model(
            model, Path(self.models_home), on_bytes, load_settings().speech.pip_index_url
        )
        size_bytes = (files.directory / "model.bin").stat().st_size
        placement = choose_placement(self.device, self.compute_type, self.cpu_threads, size_bytes)
        return files, self.decoder.adapt(placement)

    def _identity(self, model: str) -> str:
        """Return what decides the result, besides the audio and the options."""
        info = self.describe(model)
        return (
            f"{info.engine} {info.engine_version}, {info.model} {info.model_revision}, "
            f"{info.device} {info.compute_type}, beam {self.beam_size}"
        )


class _FilteredSegments:
    """Collects the segments that pass the hallucination filter, numbered without gaps.

    Each is passed to `on_segment` as soon as the filter's decision is final.
    """

    def __init__(self, activity: SpeechActivity, on_segment: OnSegment | None) -> None:
        self._filter = HallucinationFilter(activity)
        self._on_segment = on_segment
        self._segments: list[Segment] = []

    def add(self, segment: Segment) -> None:
        self._append(self._filter.add(segment))

    def finish(self) -> tuple[tuple[Segment, ...], tuple[DroppedSegment, ...]]:
        self._append(self._filter.finish())
        dropped = tuple(self._filter.dropped)
        if dropped:
            decoded_count = len(self._segments) + len(dropped)
            logger.info("dropped %d of %d segments", len(dropped), decoded_count)
        return tuple(self._segments), dropped

    def _append(self, kept: list[Segment]) -> None:
        for segment in kept:
            numbered = replace(segment, index=len(self._segments))
            self._segments.append(numbered)
            if self._on_segment is not None:
                self._on_segment(numbered)
