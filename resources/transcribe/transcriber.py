"""What the graph asks of speech recognition, whichever engine does it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import dagster as dg
import numpy as np

from resources.transcribe.checkpoint import Checkpoint
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Recognition, Segment

OnProgress = Callable[[float, float], None]
"""Seconds of audio that are done, seconds in all. May raise to cancel."""

OnSegment = Callable[[Segment], None]
"""A segment of the result as soon as it is certain, with its index there."""


@dataclass(frozen=True)
class EngineInfo:
    """What a text was made with: the engine's part of its provenance.

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
    """Samples to words with times."""

    @abstractmethod
    def transcribe(
        self,
        waveform: np.ndarray,
        options: TranscriptionOptions,
        on_progress: OnProgress,
        on_segment: OnSegment | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Recognition:
        """What is said in a waveform.

        Args:
            waveform: float32, shape (n_samples,), mono, 16 kHz, in [-1, 1].
            on_progress: called as audio is done; what it raises ends the work.
            on_segment: called with each segment of the result, in their order, while it decodes;
                first with those that are known from a checkpoint.
            checkpoint: where earlier attempts at this audio, with these options, have left what
                they heard: it is not heard again, and this attempt leaves there what it hears.

        Raises:
            ModelUnavailable, ModelCorrupt: no weights.
            SetupError: the device or number format that is set does not work here.
            AudioUndecodable: samples that are not finite.
        """

    @abstractmethod
    def describe(self, model: str) -> EngineInfo:
        """The engine, weights and device that `transcribe` uses for a model."""
