"""Speech recognition several times as fast: windows of speech, those of all callers together."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from resources.batch_queue import CALLERS
from resources.checkpoint import Checkpoint
from resources.checkpoint_journal import Journal
from resources.models import ModelFiles
from resources.speech_spans import SpeechActivity
from resources.transcriber import EngineInfo, OnProgress, OnSegment, Transcriber
from resources.whisper import WhisperTranscriber, ladder
from resources.whisper_device import Placement
from resources.whisper_engine import engine_of
from resources.whisper_flight import Flight
from resources.whisper_job import Asked
from resources.worker_transcriber import WorkerTranscriber
from ytcaption_assets.domain.request import TranscriptionOptions
from ytcaption_assets.domain.transcript import Recognition, Segment
from ytcaption_assets.settings import Settings

if TYPE_CHECKING:
    from faster_whisper import WhisperModel


def transcriber_of(settings: Settings) -> Transcriber:
    """What runs hear with: a worker where there may be one, else the engine itself."""
    local = local_transcriber_of(settings)
    if settings.worker == "off" and not settings.workers:
        return local
    return WorkerTranscriber.around(local, settings)


def local_transcriber_of(settings: Settings) -> WhisperTranscriber:
    """The engine that is set, in this process."""
    chosen = BatchedTranscriber if settings.engine == "batched" else WhisperTranscriber
    return chosen.from_settings(settings)


class BatchedTranscriber(WhisperTranscriber):
    """CTranslate2 directly: only the speech is encoded, and many windows are decoded at once.

    Same weights, search, thresholds, filters and times of words as `WhisperTranscriber`, which is
    what it is measured against (docs/engine.md). It carries no text from one window to the next.
    """

    def transcribe(
        self,
        waveform: np.ndarray,
        options: TranscriptionOptions,
        on_progress: OnProgress,
        on_segment: OnSegment | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Recognition:
        """See `Transcriber.transcribe`."""
        CALLERS.enter()
        try:
            return super().transcribe(waveform, options, on_progress, on_segment, checkpoint)
        finally:
            CALLERS.leave()

    def placed(
        self, model: str, on_bytes: Callable[[int, int | None], None] | None = None
    ) -> tuple[ModelFiles, Placement]:
        """On a CPU one worker of one thread a core: two threads in one window waste a third."""
        files, where = super().placed(model, on_bytes)
        if where.device == "cpu":
            where = replace(where, cpu_threads=1, workers=where.cpu_threads)
        return files, where

    def describe(self, model: str) -> EngineInfo:
        """See `Transcriber.describe`."""
        return replace(super().describe(model), engine="faster-whisper-batched")

    def _listen(
        self,
        model: "WhisperModel",
        waveform: np.ndarray,
        activity: SpeechActivity,
        options: TranscriptionOptions,
        on_progress: OnProgress,
        journal: Journal,
    ) -> tuple[str, float, Iterator[Segment]]:
        asked = Asked(
            language=options.language,
            task=options.task,
            beam_size=self.beam_size,
            temperatures=ladder(options.temperature),
            initial_prompt=options.initial_prompt,
            hotwords=options.hotwords,
        )
        flight = Flight(engine_of(model), waveform, activity, asked, on_progress, journal)
        language, probability = flight.language()
        journal.begin(language, probability)
        return language, probability, flight.segments()
