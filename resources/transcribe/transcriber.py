"""The interface of speech recognition that assets, runs and workers use."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import dagster as dg
import numpy as np

from resources.transcribe.checkpoint import Checkpoint
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Recognition, Segment

OnProgress = Callable[[float, float], None]
"""Called with the seconds of audio that are done and the seconds in all. May raise to cancel."""

OnSegment = Callable[[Segment], None]
"""Called with a segment of the result as soon as it is final, with its index in the result."""


@dataclass(frozen=True)
class EngineInfo:
    """The engine's part of a transcript's provenance.

    Attributes:
        model_revision: hex SHA-256 of `model.bin`.
        compute_type: CTranslate2's, such as `int8`.
    """

    engine: str
    engine_version: str
    model: str
    model_revision: str
    device: str
    compute_type: str


class Transcriber(dg.ConfigurableResource, ABC):
    """Transcribes samples into words with times."""

    @abstractmethod
    def transcribe(
        self,
        waveform: np.ndarray,
        options: TranscriptionOptions,
        on_progress: OnProgress,
        on_segment: OnSegment | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Recognition:
        """Transcribe a waveform.

        Args:
            waveform: float32, shape (n_samples,), mono, 16 kHz, in [-1, 1].
            on_progress: called while work goes on; an exception ends the work.
            on_segment: called with each segment of the result, in order, during decoding;
                first with those that are known from a checkpoint.
            checkpoint: parts of earlier attempts at this audio with these options: that audio is
                not decoded again. This attempt saves its own parts there.

        Raises:
            ModelUnavailable, ModelCorrupt: no weights.
            SetupError: the configured device or number format does not work on this machine.
            AudioUndecodable: samples that are not finite.
        """

    @abstractmethod
    def describe(self, model: str) -> EngineInfo:
        """Return the engine, weights and device that `transcribe` uses for a model."""
