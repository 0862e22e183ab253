"""The recordings that a worker transcribes, each in a thread: their windows share batches."""

import asyncio
import gc
import logging
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import psutil

from resources.audio.samples import SAMPLE_RATE_HZ
from resources.processes.native_threads import release_freed_memory
from resources.transcribe.batch_engine import drop_batch_engines
from resources.transcribe.checkpoint import Checkpoint
from resources.transcribe.device import loaded_model, loaded_model_names, unload_models
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from resources.worker.protocol import (
    Message,
    TranscribeRequest,
    encode_error,
    encode_line,
    encode_result,
)
from ytcaption.domain.errors import YtcaptionError

logger = logging.getLogger(__name__)

HEARTBEAT_S = 0.5
"""A job sends a line at least this often: a run can cancel within this time."""

STALL_S = 900.0
"""A job without progress for this long hangs."""

_QUEUES_END_S = 65.0
"""By then all threads of a batch queue, which hold references to the model, have ended."""


class _Canceled(Exception):
    """The client no longer waits for the job."""


class JobPool:
    """The slots of this worker and its loaded models.

    Attributes:
        slots: most jobs at once.
        idle_s: seconds without work until the models are unloaded; 0: never.
    """

    def __init__(self, transcriber: WhisperTranscriber, slots: int, idle_s: float) -> None:
        """Create the pool; load nothing yet."""
        self.transcriber = transcriber
        self.slots = slots
        self.idle_s = idle_s
        self._lock = threading.Lock()
        self._active = 0
        self._used_at = time.monotonic()
        self._unloaded_at: float | None = None

    @property
    def active(self) -> int:
        """Number of slots in use."""
        return self._active

    @property
    def models(self) -> list[str]:
        """Names of the loaded models."""
        return loaded_model_names()

    def acquire(self) -> "Job | None":
        """Return a job to start or cancel; None if every slot is in use."""
        with self._lock:
            if self._active >= self.slots:
                return None
            self._active += 1
        return Job(self)

    def release(self) -> None:
        """Free a slot."""
        with self._lock:
            self._active -= 1
            self._used_at = time.monotonic()

    def warm_up(self, model: str) -> None:
        """Load what the first run will need, if its files are on this machine; fetch nothing."""
        import faster_whisper  # noqa: F401 - a second of the first run's time

        if not (Path(self.transcriber.models_home) / model / "model.bin").is_file():
            return
        try:
            files, placement = self.transcriber.prepare_model(model)
            loaded_model(files.directory, files.revision, placement)
        except YtcaptionError as error:  # the first run will report it, too
            logger.warning("%s", error)
        self._used_at = time.monotonic()

    def unload_if_idle(self) -> None:
        """Unload the models and free their memory if there was no work for `idle_s`."""
        with self._lock:
            idle_s = time.monotonic() - self._used_at
            if not self.idle_s or self._active or idle_s < self.idle_s:
                return
            before = memory_bytes()
            if self.models:
                drop_batch_engines()
                unload_models()
                self._unloaded_at = time.monotonic()
            elif self._unloaded_at is None or time.monotonic() - self._unloaded_at < _QUEUES_END_S:
                return
            else:
                self._unloaded_at = None
            gc.collect()
            release_freed_memory()
            logger.info("idle: freed %d MB", (before - memory_bytes()) >> 20)


class Job:
    """The transcription of one recording."""

    def __init__(self, pool: JobPool) -> None:
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._has_lines = asyncio.Event()
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._progress = (0.0, 0.0)
        self._moved_at = time.monotonic()
        self._is_canceled = False
        self._thread: threading.Thread | None = None
        self.is_started = False
        self._is_over = False

    def start(self, request: TranscribeRequest, waveform: np.ndarray) -> None:
        """Transcribe in a thread, which frees the slot at its end."""
        self.is_started = True
        self._thread = threading.Thread(
            target=self._work, args=(request, waveform), name="job", daemon=True
        )
        self._thread.start()

    def cancel(self) -> None:
        """Cancel the job at its next progress report; free its slot if it was never started."""
        self._is_canceled = True
        if not self.is_started:
            self.is_started = True
            self._pool.release()

    async def wait_ended(self) -> None:
        """Wait for the end of a canceled job.

        Raises:
            TimeoutError: it hangs, and keeps its slot.
        """
        while self._thread is not None and self._thread.is_alive():
            await asyncio.sleep(HEARTBEAT_S)
            if time.monotonic() - self._moved_at > STALL_S:
                raise TimeoutError

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield the job's messages until its end, and its progress every half a second.

        Raises:
            TimeoutError: it hangs.
        """
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._has_lines.wait()
            except TimeoutError:
                if time.monotonic() - self._moved_at > STALL_S:
                    raise
            self._has_lines.clear()
            with self._lock:
                lines, self._lines = self._lines, []
                is_over = self._is_over
            if not is_over:
                lines.append(encode_line({"progress": self._progress}))
            yield b"".join(lines)
            if is_over:
                return

    def _work(self, request: TranscribeRequest, waveform: np.ndarray) -> None:
        began = time.monotonic()
        transcriber = self._pool.transcriber
        model = request.options.model
        checkpoint = Checkpoint(request.parts, lambda part: self._send({"part": part}))
        try:
            recognition = transcriber.transcribe(
                waveform,
                request.options,
                self._on_progress,
                lambda segment: self._send({"segment": asdict(segment)}),
                checkpoint if request.checkpoint is not None else None,
            )
            result = encode_result(recognition, transcriber.describe(model))
            audio_s, took_s = len(waveform) / SAMPLE_RATE_HZ, time.monotonic() - began
            logger.info("%s: %.1f s of audio in %.1f s", model, audio_s, took_s)
            self._finish(result)
        except _Canceled:
            logger.info("%s: canceled after %.1f s", model, time.monotonic() - began)
        except YtcaptionError as error:
            logger.info("a job failed with %s: %s", error.code, error)
            self._finish(encode_error(error))
        except Exception as error:
            logger.exception("a job failed")
            self._finish(encode_error(error))
        finally:
            self._pool.release()

    def _on_progress(self, done_s: float, total_s: float) -> None:
        if self._is_canceled:
            raise _Canceled
        # Before decoding it fetches, loads and detects speech, and reports only that it is alive.
        if not done_s or (done_s, total_s) != self._progress:
            self._moved_at = time.monotonic()
        self._progress = (done_s, total_s)

    def _send(self, message: Message) -> None:
        if self._is_canceled:
            raise _Canceled
        self._append(message, is_over=False)

    def _finish(self, message: Message) -> None:
        self._append(message, is_over=True)

    def _append(self, message: Message, *, is_over: bool) -> None:
        with self._lock:
            self._lines.append(encode_line(message))
            self._is_over = is_over
        self._moved_at = time.monotonic()
        try:
            self._loop.call_soon_threadsafe(self._has_lines.set)
        except RuntimeError:  # the worker has stopped
            raise _Canceled from None


def memory_bytes() -> int:
    """Return the resident memory of this process."""
    return psutil.Process().memory_info().rss
