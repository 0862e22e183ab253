"""One window of speech in the batch engine, and the results of decoding it."""

from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from faster_whisper.transcribe import Segment

FULL_FRAMES = 3000
"""Frames of a window of 30 s, Whisper's own: the longest that the encoder takes."""

FRAMES_PER_S = 100


@dataclass(frozen=True)
class DecodingOptions:
    """Options shared by all windows of a recording.

    Attributes:
        language: Whisper's code; None: detected in each window.
        task: `transcribe` or `translate`.
        temperatures: tried one after the other until the text is plausible.
    """

    language: str | None
    task: str
    beam_size: int
    temperatures: tuple[float, ...]
    initial_prompt: str | None = None
    hotwords: str | None = None


@dataclass(frozen=True)
class DecodingResult:
    """The decoder's output of one try.

    Attributes:
        tokens: without the prompt.
        avg_logprob: mean over tokens, natural logarithm.
        is_capped: decoding was stopped at the greatest length that speech can have.
        is_repeated: a phrase occurs twice in a row, as happens when a window is too short for the
            decoder.
    """

    tokens: list[int]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float
    is_capped: bool
    is_repeated: bool = False

    @property
    def is_silence(self) -> bool:
        """Whether the decoder finds no speech, by faster-whisper's thresholds."""
        return self.no_speech_prob > 0.6 and self.avg_logprob < -1.0

    @property
    def is_doubtful(self) -> bool:
        """Whether to try again: repetitive or unlikely text, by faster-whisper's thresholds."""
        if self.is_silence:
            return False
        if self.temperature == 0.0 and (self.is_capped or self.is_repeated):
            return True
        return self.compression_ratio > 2.4 or self.avg_logprob < -1.0


@dataclass(eq=False)
class WindowJob:
    """A window that waits to be decoded.

    Attributes:
        mel: float32, shape (n_mels, n_frames), 100 frames a second, n_frames <= 3000.
        frames: encoder input of the first try: the window, padded with silence.
        finished: queue that receives the job when no try is left to do.
        language: language of the first try, with its probability. Set before the first try.
        tries: results so far, each with its segments: first the window with little padding, then,
            if that is doubtful, the full 30 s at every temperature.
        encoded: encoder output, kept while the next try can use it.
        error: exception that ended the job.
    """

    mel: np.ndarray
    frames: int
    options: DecodingOptions
    finished: "SimpleQueue[WindowJob]"
    is_canceled: bool = False
    language: str | None = None
    language_probability: float = 1.0
    tries: list[tuple[DecodingResult, list["Segment"]]] = field(default_factory=list)
    encoded: np.ndarray | None = None
    error: BaseException | None = None
    is_finished: bool = False

    def __post_init__(self) -> None:
        self.language = self.options.language

    @property
    def duration_s(self) -> float:
        """Seconds of audio."""
        return self.mel.shape[1] / FRAMES_PER_S

    @property
    def temperature(self) -> float:
        """Temperature of the next try. The second try repeats the first in a full window."""
        return self.options.temperatures[max(0, len(self.tries) - 1)]

    @property
    def next_frames(self) -> int:
        """Encoder frames of the next try."""
        return FULL_FRAMES if self.tries else self.frames

    def add(self, result: DecodingResult, segments: list["Segment"]) -> None:
        """Record a try; finish the job if the try is good or the last one."""
        self.tries.append((result, segments))
        if len(self.tries) == 1 and self.frames < FULL_FRAMES:
            self.encoded = None  # the next try encodes a full window
        if not result.is_doubtful or len(self.tries) > len(self.options.temperatures):
            self.finish()

    def finish(self, error: BaseException | None = None) -> None:
        """Return the job to its caller."""
        self.error, self.encoded, self.is_finished = error, None, True
        self.finished.put(self)

    def best_try(self) -> tuple[DecodingResult, list["Segment"]]:
        """Return the last try if it is good; else the most likely, if possible without
        repetition."""
        last = self.tries[-1]
        if not last[0].is_doubtful:
            return last
        not_repetitive = [each for each in self.tries if each[0].compression_ratio <= 2.4]
        return max(not_repetitive or self.tries, key=lambda each: each[0].avg_logprob)
