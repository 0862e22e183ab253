"""Speech recognition several times as fast: windows of speech, those of all callers together."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from resources.models.store import ModelFiles
from resources.transcribe.batch_queue import CALLERS
from resources.transcribe.checkpoint import Checkpoint
from resources.transcribe.checkpoint_journal import Journal
from resources.transcribe.device import Placement
from resources.transcribe.engine import engine_of
from resources.transcribe.recording_decoder import RecordingDecoder
from resources.transcribe.sequential import WhisperTranscriber, ladder
from resources.transcribe.speech_spans import SpeechActivity
from resources.transcribe.transcriber import EngineInfo, OnProgress, OnSegment
from resources.transcribe.window_job import Asked
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Recognition, Segment
from ytcaption.settings import Settings

if TYPE_CHECKING:
    from faster_whisper import WhisperModel


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
        flight = RecordingDecoder(engine_of(model), waveform, activity, asked, on_progress, journal)
        language, probability = flight.language()
        journal.begin(language, probability)
        return language, probability, flight.segments()
