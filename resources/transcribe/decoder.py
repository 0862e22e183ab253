"""The decoding strategy of `WhisperTranscriber`: how the speech of a recording becomes segments.

Implementations: `SequentialDecoder` (faster-whisper, one window after the other) and
`BatchedDecoder` (CTranslate2, windows of all callers in shared batches).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from resources.transcribe.checkpoint import CheckpointJournal
from resources.transcribe.device import Placement
from resources.transcribe.speech_spans import SpeechActivity
from resources.transcribe.transcriber import OnProgress
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Segment

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

MAX_GAP_S = 2.0
"""A longer pause ends a decoding region: the decoder takes it for the end of speech and skips what
follows in its window. Ten minutes of clips between silence, noise and music, tiny.en: 11.5 % of the
words wrong with 10 s here, 6.6 with 5, 4.5 with 2; plain faster-whisper 16.6 %."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A waveform, the speech detected in it, and the options to decode it with.

    Attributes:
        waveform: float32, shape (n_samples,), mono, 16 kHz.
    """

    waveform: np.ndarray
    activity: SpeechActivity
    options: TranscriptionOptions
    beam_size: int


class Decoding(NamedTuple):
    """The language of a recording and its segments.

    Attributes:
        language: Whisper's code, with its probability, 0 to 1.
        segments: yielded in order while decoding goes on, from where the journal ends; times are
            seconds from the start of the recording. Hallucinations are included.
    """

    language: str
    language_probability: float
    segments: Iterator[Segment]


class Decoder(Protocol):
    """Decodes recordings with a loaded model."""

    @property
    def engine(self) -> str:
        """The decoder's name in `EngineInfo`."""
        ...

    def adapt(self, placement: Placement) -> Placement:
        """Return the placement with the number of threads and workers that suits this decoder."""
        ...

    def session(self) -> AbstractContextManager[None]:
        """Return a context that spans one transcription, from speech detection on."""
        ...

    def decode(
        self,
        model: "WhisperModel",
        recording: Recording,
        on_progress: OnProgress,
        journal: CheckpointJournal,
    ) -> Decoding:
        """Detect the language and start to decode where the journal ends.

        Args:
            on_progress: called while segments are decoded; an exception ends the work.
            journal: it is given the language and the boundaries that are reached; the caller adds
                the segments.
        """
        ...


def temperature_ladder(start: float | None) -> tuple[float, ...]:
    """Return the temperatures tried until the text is plausible, in OpenAI's steps of 0.2."""
    first = start or 0.0
    return tuple(round(first + step / 5, 3) for step in range(6) if first + step / 5 <= 1.0)
