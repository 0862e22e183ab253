"""Voice activity detection: the probability of speech per frame, by Silero's model.

Recordings may have any length.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from resources.audio.samples import SAMPLE_RATE_HZ, release_pages
from ytcaption.domain.errors import AudioUndecodable

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

T = TypeVar("T")
_Work = Callable[["InferenceSession", np.ndarray, threading.Event], np.ndarray]

FRAME = 512  # samples: what the model was made for
FRAME_S = FRAME / SAMPLE_RATE_HZ

MIN_PROBABILITY = 0.3
"""A frame below this is not speech."""

_CONTEXT = 64  # samples of the previous frame that the model also gets
_STATE = (1, 1, 128)
_BLOCK_FRAMES = 10_000
"""Five minutes, each detected independently, in parallel."""

_CHUNK_FRAMES = 512
"""Frames per call of the model. With 10,000, as in faster-whisper, each step of the model goes
through main memory."""

_AHEAD = 64
"""Pieces that wait for a thread: they are slices, which take no memory."""

_WAIT_S = 0.5

_MIN_QUIET_S = 1.0
_SILENT = 5e-5  # two steps of 16-bit samples
_WINDOW = 160
"""Frames: five seconds, of which the last one overlaps."""

_QUIET, _LOUD, _MAX_GAIN = 0.01, 0.05, 100.0
"""Loudness below which audio is amplified, and the level it is amplified to. Silero detects the
same from 0.01 on; at 0.0003 it detects half."""


def speech_probabilities(
    waveform: np.ndarray, on_block: Callable[[], None] = lambda: None
) -> np.ndarray:
    """Return the probability of speech, 0 to 1, per frame; the last frame is padded with silence.

    Args:
        waveform: float32, shape (n_samples,), mono, 16 kHz, in [-1, 1].
        on_block: called between pieces of the work, and at least every half a second; may raise to
            cancel.

    Raises:
        AudioUndecodable: samples that are not finite.

    Source: snakers4/silero-vad, as shipped with faster-whisper.
    """
    session = _session()
    step = _BLOCK_FRAMES * FRAME
    blocks = (waveform[at : at + step] for at in range(0, len(waveform), step))
    parts = [np.zeros(0, np.float32)]
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), "vad")
    stopped = threading.Event()

    def in_parallel(work: _Work, pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        return _in_parallel(pool, lambda each: work(session, each, stopped), pieces, on_block)

    try:
        on_block()
        for part in in_parallel(_block_probabilities, blocks):
            on_block()
            parts.append(part)
        probabilities = np.concatenate(parts)
        windows = _quiet_windows(probabilities)
        samples = (waveform[first * FRAME : end * FRAME] for first, end in windows)
        second_pass = in_parallel(_window_probabilities, samples)
        for number, ((first, end), part) in enumerate(zip(windows, second_pass, strict=True)):
            if number % _AHEAD == 0:
                on_block()
                release_pages(waveform)
            np.maximum(probabilities[first:end], part, out=probabilities[first:end])
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)
        release_pages(waveform)
    return probabilities


def loudness(samples: np.ndarray) -> float:
    """Return the root mean square of the loudest twentieth: of the speech, not of the pauses."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    if not len(frames):
        return 0.0
    power = [
        np.mean(np.square(frames[at : at + _CHUNK_FRAMES]), axis=1)
        for at in range(0, len(frames), _CHUNK_FRAMES)
    ]
    return float(np.percentile(np.sqrt(np.concatenate(power)), 95))


def _session() -> "InferenceSession":
    from faster_whisper.vad import get_vad_model

    return get_vad_model().session


def _in_parallel(
    pool: ThreadPoolExecutor,
    work: Callable[[np.ndarray], T],
    pieces: Iterator[np.ndarray],
    on_wait: Callable[[], None],
) -> Iterator[T]:
    """Yield the result of each piece, in order; a few pieces are submitted ahead."""
    ahead: deque[Future[T]] = deque()
    for piece in pieces:
        ahead.append(pool.submit(work, piece))
        if len(ahead) > _AHEAD:
            yield _result(ahead.popleft(), on_wait)
    while ahead:
        yield _result(ahead.popleft(), on_wait)


def _result(future: Future[T], on_wait: Callable[[], None]) -> T:
    while True:
        try:
            return future.result(timeout=_WAIT_S)
        except TimeoutError:
            on_wait()


def _block_probabilities(
    session: "InferenceSession", samples: np.ndarray, stopped: threading.Event
) -> np.ndarray:
    if not np.isfinite(samples).all():
        raise AudioUndecodable("The audio has samples that are not numbers. Convert it first.")
    probabilities = (
        _probabilities(session, samples, stopped) if samples.any() else _no_speech(samples)
    )
    release_pages(samples)
    return probabilities


def _window_probabilities(
    session: "InferenceSession", samples: np.ndarray, stopped: threading.Event
) -> np.ndarray:
    """Return the probabilities of a quiet window."""
    is_silent = loudness(samples) < _SILENT
    return _no_speech(samples) if is_silent else _probabilities(session, samples, stopped)


def _no_speech(samples: np.ndarray) -> np.ndarray:
    return np.zeros(-(-len(samples) // FRAME), np.float32)


def _probabilities(
    session: "InferenceSession", samples: np.ndarray, stopped: threading.Event
) -> np.ndarray:
    """Return the probability of speech per frame; fewer frames once `stopped` is set.

    The detector starts from its initial state and adapts to the samples' own level.
    """
    gain = _gain(samples)
    hidden, cell = np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32)
    context = np.zeros(_CONTEXT, np.float32)
    parts = []
    step = _CHUNK_FRAMES * FRAME
    for at in range(0, len(samples), step):
        if stopped.is_set():
            break
        chunk = samples[at : at + step] * gain
        frames = np.pad(chunk, (0, -len(chunk) % FRAME)).reshape(-1, FRAME)
        inputs = np.empty((len(frames), _CONTEXT + FRAME), np.float32)
        inputs[:, _CONTEXT:] = frames
        inputs[0, :_CONTEXT], inputs[1:, :_CONTEXT] = context, frames[:-1, -_CONTEXT:]
        context = frames[-1, -_CONTEXT:]
        output, hidden, cell = session.run(None, {"input": inputs, "h": hidden, "c": cell})
        parts.append(np.asarray(output, np.float32).ravel())
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _quiet_windows(probabilities: np.ndarray) -> list[tuple[int, int]]:
    """Return windows of stretches without speech, for a second pass, each at its own level.

    After a loud speaker, or loud noise, the detector takes a quiet speaker for background: of four
    quiet recordings after a loud one it missed more than half of two, and all of one.
    """
    quiet = np.concatenate([[False], probabilities < MIN_PROBABILITY, [False]])
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8))).tolist()
    return [
        (at, min(at + _WINDOW, end))
        for first, end in zip(edges[::2], edges[1::2], strict=True)
        if (end - first) * FRAME_S >= _MIN_QUIET_S
        for at in range(first, max(end - _WINDOW // 5, first + 1), _WINDOW * 4 // 5)
    ]


def _gain(samples: np.ndarray) -> np.float32:
    level = loudness(samples)
    return np.float32(min(_LOUD / level, _MAX_GAIN) if 0.0 < level < _QUIET else 1.0)
