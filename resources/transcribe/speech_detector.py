"""How likely each moment is speech: Silero's model, over recordings of any length."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from resources.audio.samples import give_back
from ytcaption.domain.errors import AudioUndecodable

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

T = TypeVar("T")
_Work = Callable[["InferenceSession", np.ndarray, threading.Event], np.ndarray]

SAMPLE_RATE_HZ = 16_000
FRAME = 512  # samples: what the model was made for
FRAME_S = FRAME / SAMPLE_RATE_HZ

MAYBE = 0.3
"""What is less likely than this is not speech."""

_CONTEXT = 64  # samples of the frame before that the model is shown, too
_STATE = (1, 1, 128)
_BLOCK_FRAMES = 10_000
"""Five minutes, heard on their own: side by side."""

_CHUNK_FRAMES = 512
"""Handed to the model at once. With 10,000, as faster-whisper does it, each of its steps goes
through memory."""

_AHEAD = 64
"""Pieces that wait for a thread: they are slices, which take no memory."""

_WAIT_S = 0.5

_AGAIN_S = 1.0
_SILENT = 5e-5  # two steps of 16-bit samples
_WINDOW = 160
"""Frames: five seconds, of which the last overlaps."""

_QUIET, _LOUD, _MAX_GAIN = 0.01, 0.05, 100.0
"""Loudness below which audio is amplified, and to what. Silero hears no difference from 0.01 on; at
0.0003 it hears half."""


def speech_probabilities(
    waveform: np.ndarray, on_block: Callable[[], None] = lambda: None
) -> np.ndarray:
    """Of speech, 0 to 1, for each frame of the waveform, the last one filled up with silence.

    Args:
        waveform: float32, shape (n_samples,), mono, 16 kHz, in [-1, 1].
        on_block: called between pieces of the work, and at least every half a second; may raise to
            cancel.

    Raises:
        AudioUndecodable: samples that are not finite.

    Source: snakers4/silero-vad, as faster-whisper ships it.
    """
    session = _session()
    step = _BLOCK_FRAMES * FRAME
    blocks = (waveform[at : at + step] for at in range(0, len(waveform), step))
    found = [np.zeros(0, np.float32)]
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), "vad")
    stopped = threading.Event()

    def side_by_side(work: _Work, pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        return _side_by_side(pool, lambda each: work(session, each, stopped), pieces, on_block)

    try:
        on_block()
        for block in side_by_side(_block, blocks):
            on_block()
            found.append(block)
        probabilities = np.concatenate(found)
        windows = _quiet_windows(probabilities)
        samples = (waveform[first * FRAME : end * FRAME] for first, end in windows)
        heard = side_by_side(_alone, samples)
        for number, ((first, end), alone) in enumerate(zip(windows, heard, strict=True)):
            if number % _AHEAD == 0:
                on_block()
                give_back(waveform)
            np.maximum(probabilities[first:end], alone, out=probabilities[first:end])
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)
        give_back(waveform)
    return probabilities


def loudness(samples: np.ndarray) -> float:
    """Root mean square of the loudest twentieth: of the speech, not of the pauses."""
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


def _side_by_side(
    pool: ThreadPoolExecutor,
    work: Callable[[np.ndarray], T],
    pieces: Iterator[np.ndarray],
    on_wait: Callable[[], None],
) -> Iterator[T]:
    """What comes of each piece, in order; a few are ahead of the one that is waited for."""
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


def _block(
    session: "InferenceSession", samples: np.ndarray, stopped: threading.Event
) -> np.ndarray:
    if not np.isfinite(samples).all():
        raise AudioUndecodable("The audio holds samples that are no numbers. Convert it first.")
    found = _probabilities(session, samples, stopped) if samples.any() else _no_speech(samples)
    give_back(samples)
    return found


def _alone(
    session: "InferenceSession", samples: np.ndarray, stopped: threading.Event
) -> np.ndarray:
    """Of a quiet window."""
    is_silent = loudness(samples) < _SILENT
    return _no_speech(samples) if is_silent else _probabilities(session, samples, stopped)


def _no_speech(samples: np.ndarray) -> np.ndarray:
    return np.zeros(-(-len(samples) // FRAME), np.float32)


def _probabilities(
    session: "InferenceSession", samples: np.ndarray, stopped: threading.Event
) -> np.ndarray:
    """Of speech, for each frame; the detector begins afresh, at the samples' own level. Fewer once
    nobody waits for them."""
    gain = _gain(samples)
    hidden, cell = np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32)
    before = np.zeros(_CONTEXT, np.float32)
    found = []
    step = _CHUNK_FRAMES * FRAME
    for at in range(0, len(samples), step):
        if stopped.is_set():
            break
        chunk = samples[at : at + step] * gain
        frames = np.pad(chunk, (0, -len(chunk) % FRAME)).reshape(-1, FRAME)
        shown = np.empty((len(frames), _CONTEXT + FRAME), np.float32)
        shown[:, _CONTEXT:] = frames
        shown[0, :_CONTEXT], shown[1:, :_CONTEXT] = before, frames[:-1, -_CONTEXT:]
        before = frames[-1, -_CONTEXT:]
        chances, hidden, cell = session.run(None, {"input": shown, "h": hidden, "c": cell})
        found.append(np.asarray(chances, np.float32).ravel())
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def _quiet_windows(probabilities: np.ndarray) -> list[tuple[int, int]]:
    """Windows of stretches without speech, heard a second time, each alone and at its own level.

    After a loud speaker, or loud noise, the detector takes a quiet speaker for background: of four
    quiet recordings behind a loud one it heard two less than half, and one not at all.
    """
    quiet = np.concatenate([[False], probabilities < MAYBE, [False]])
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8))).tolist()
    return [
        (at, min(at + _WINDOW, end))
        for first, end in zip(edges[::2], edges[1::2], strict=True)
        if (end - first) * FRAME_S >= _AGAIN_S
        for at in range(first, max(end - _WINDOW // 5, first + 1), _WINDOW * 4 // 5)
    ]


def _gain(samples: np.ndarray) -> np.float32:
    level = loudness(samples)
    return np.float32(min(_LOUD / level, _MAX_GAIN) if 0.0 < level < _QUIET else 1.0)
