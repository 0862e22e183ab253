"""One window of speech on its way through the engine, and what came of it."""

from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from faster_whisper.transcribe import Segment

FULL_FRAMES = 3000
"""Of a window of 30 s, Whisper's own: the longest that the encoder takes."""

FRAMES_PER_S = 100


@dataclass(frozen=True)
class Asked:
    """What every window of a recording is decoded with.

    Attributes:
        language: Whisper's code; None is detected in each window.
        task: `transcribe` or `translate`.
        temperatures: tried one after the other until the text is not doubtful.
    """

    language: str | None
    task: str
    beam_size: int
    temperatures: tuple[float, ...]
    initial_prompt: str | None = None
    hotwords: str | None = None


@dataclass(frozen=True)
class Decoded:
    """What the decoder wrote at one try.

    Attributes:
        tokens: without the prompt.
        avg_logprob: mean over tokens, natural logarithm.
        is_capped: it was stopped at the length that speech can have.
        is_repeated: it says a phrase twice in a row, as it does when a window is too short for it.
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
        """Nobody speaks, by the decoder's own view: faster-whisper's thresholds."""
        return self.no_speech_prob > 0.6 and self.avg_logprob < -1.0

    @property
    def is_doubtful(self) -> bool:
        """It repeats itself or is unlikely: to be tried again; faster-whisper's thresholds."""
        if self.is_silence:
            return False
        if self.temperature == 0.0 and (self.is_capped or self.is_repeated):
            return True
        return self.compression_ratio > 2.4 or self.avg_logprob < -1.0


@dataclass(eq=False)
class Job:
    """A window that waits to be decoded.

    Attributes:
        mel: float32, shape (n_mels, n_frames), 100 frames a second, n_frames <= 3000.
        frames: what the encoder is given: the window, padded with silence.
        tries: what was decoded so far, each with its segments: first the window with little
            padding, then, where that is doubtful, the full 30 s at every temperature.
        language: the one it was decoded in, with its probability. Named before the first try.
        encoded: what the encoder made of it, kept as long as the next try needs the same.
        error: what went wrong.
        finished: where the job is put when nothing is left to do.
    """

    mel: np.ndarray
    frames: int
    asked: Asked
    finished: "SimpleQueue[Job]"
    is_canceled: bool = False
    language: str | None = None
    language_probability: float = 1.0
    tries: list[tuple[Decoded, list["Segment"]]] = field(default_factory=list)
    encoded: np.ndarray | None = None
    error: BaseException | None = None
    is_finished: bool = False

    def __post_init__(self) -> None:
        self.language = self.asked.language

    @property
    def seconds(self) -> float:
        """Of audio."""
        return self.mel.shape[1] / FRAMES_PER_S

    @property
    def temperature(self) -> float:
        """Of the next try. The second try is the first again, in a full window."""
        return self.asked.temperatures[max(0, len(self.tries) - 1)]

    @property
    def next_frames(self) -> int:
        """Encoder frames of the next try."""
        return FULL_FRAMES if self.tries else self.frames

    def add(self, decoded: Decoded, segments: list["Segment"]) -> None:
        """Notes a try; the job is done when it is good or nothing is left to try."""
        self.tries.append((decoded, segments))
        if len(self.tries) == 1 and self.frames < FULL_FRAMES:
            self.encoded = None  # the next try hears a full window
        if not decoded.is_doubtful or len(self.tries) > len(self.asked.temperatures):
            self.finish()

    def finish(self, error: BaseException | None = None) -> None:
        """Hands it back to the caller."""
        self.error, self.encoded, self.is_finished = error, None, True
        self.finished.put(self)

    def result(self) -> tuple[Decoded, list["Segment"]]:
        """The last try where it is good; else the likeliest, first of those without repetition."""
        last = self.tries[-1]
        if not last[0].is_doubtful:
            return last
        fresh = [each for each in self.tries if each[0].compression_ratio <= 2.4]
        return max(fresh or self.tries, key=lambda each: each[0].avg_logprob)
