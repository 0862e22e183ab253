"""Recordings that a worker hears, each in a thread: their windows share batches."""

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
from resources.worker.protocol import Order, Said, encode_error, encode_result, line
from ytcaption.domain.errors import YtcaptionError

logger = logging.getLogger(__name__)

BEAT_S = 0.5
"""A job says at least this often that it goes on: a run hears within this that it was canceled."""

STALL_S = 900.0
"""A job that comes no further for so long hangs."""

_QUEUES_END_S = 65.0
"""After this no thread of a batch queue is left, which keeps what it worked with."""


class _Canceled(Exception):
    """Nobody waits for the job any more."""


class Jobs:
    """All of this worker's recordings, so many at once.

    Attributes:
        idle_s: without work, until the models' memory is given back; 0: never.
    """

    def __init__(self, transcriber: WhisperTranscriber, slots: int, idle_s: float) -> None:
        """Nothing is loaded yet."""
        self.transcriber = transcriber
        self.slots = slots
        self.idle_s = idle_s
        self._lock = threading.Lock()
        self._taken = 0
        self._used_at = time.monotonic()
        self._left_at: float | None = None

    @property
    def taken(self) -> int:
        """How many slots."""
        return self._taken

    @property
    def models(self) -> list[str]:
        """That are loaded."""
        return loaded_model_names()

    def take(self) -> "Job | None":
        """A job to be started or released; None where every slot is taken."""
        with self._lock:
            if self._taken >= self.slots:
                return None
            self._taken += 1
        return Job(self)

    def release(self) -> None:
        """A slot is free again."""
        with self._lock:
            self._taken -= 1
            self._used_at = time.monotonic()

    def warm_up(self, model: str) -> None:
        """Loads what the first run will want, where its files are here; nothing is fetched."""
        import faster_whisper  # noqa: F401 - a second of the first run's time

        if not (Path(self.transcriber.models_home) / model / "model.bin").is_file():
            return
        try:
            files, where = self.transcriber.prepare_model(model)
            loaded_model(files.directory, files.revision, where)
        except YtcaptionError as error:  # the first run will say so, too
            logger.warning("%s", error)
        self._used_at = time.monotonic()

    def give_back(self) -> None:
        """Gives the models' memory back where nothing was done for long."""
        with self._lock:
            idle_s = time.monotonic() - self._used_at
            if not self.idle_s or self._taken or idle_s < self.idle_s:
                return
            before = memory_bytes()
            if self.models:
                drop_batch_engines()
                unload_models()
                self._left_at = time.monotonic()
            elif self._left_at is None or time.monotonic() - self._left_at < _QUEUES_END_S:
                return
            else:
                self._left_at = None
            gc.collect()
            release_freed_memory()
            logger.info("idle: gave %d MB back", (before - memory_bytes()) >> 20)


class Job:
    """One recording."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._progress = (0.0, 0.0)
        self._moved_at = time.monotonic()
        self._is_canceled = False
        self._thread: threading.Thread | None = None
        self.is_started = False
        self._is_over = False

    def start(self, order: Order, waveform: np.ndarray) -> None:
        """In a thread, which frees the slot at its end."""
        self.is_started = True
        self._thread = threading.Thread(
            target=self._work, args=(order, waveform), name="job", daemon=True
        )
        self._thread.start()

    def cancel(self) -> None:
        """Ends it as soon as it next tells how far it is; one that never started, at once."""
        self._is_canceled = True
        if not self.is_started:
            self.is_started = True
            self._jobs.release()

    async def ended(self) -> None:
        """Waits for the end of one that was canceled: nobody hears from it any more.

        Raises:
            TimeoutError: it hangs, and keeps its slot.
        """
        while self._thread is not None and self._thread.is_alive():
            await asyncio.sleep(BEAT_S)
            if time.monotonic() - self._moved_at > STALL_S:
                raise TimeoutError

    async def lines(self) -> AsyncIterator[bytes]:
        """What is said of it until its end, and every half a second how far it is.

        Raises:
            TimeoutError: it hangs.
        """
        while True:
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._news.wait()
            except TimeoutError:
                if time.monotonic() - self._moved_at > STALL_S:
                    raise
            self._news.clear()
            with self._lock:
                lines, self._lines = self._lines, []
                is_over = self._is_over
            if not is_over:
                lines.append(line({"progress": self._progress}))
            yield b"".join(lines)
            if is_over:
                return

    def _work(self, order: Order, waveform: np.ndarray) -> None:
        began = time.monotonic()
        transcriber = self._jobs.transcriber
        checkpoint = Checkpoint(order.parts, lambda part: self._say({"part": part}))
        try:
            recognition = transcriber.transcribe(
                waveform,
                order.options,
                self._note,
                lambda segment: self._say({"segment": asdict(segment)}),
                checkpoint if order.checkpoint is not None else None,
            )
            said = encode_result(recognition, transcriber.describe(order.options.model))
            heard_s, took_s = len(waveform) / SAMPLE_RATE_HZ, time.monotonic() - began
            logger.info("%s: %.1f s of audio in %.1f s", order.options.model, heard_s, took_s)
            self._end(said)
        except _Canceled:
            logger.info("%s: canceled after %.1f s", order.options.model, time.monotonic() - began)
        except YtcaptionError as error:
            logger.info("a job ends with %s: %s", error.code, error)
            self._end(encode_error(error))
        except Exception as error:
            logger.exception("a job failed")
            self._end(encode_error(error))
        finally:
            self._jobs.release()

    def _note(self, done_s: float, total_s: float) -> None:
        if self._is_canceled:
            raise _Canceled
        # Before anything is done it fetches, loads and looks for speech, and says only that.
        if not done_s or (done_s, total_s) != self._progress:
            self._moved_at = time.monotonic()
        self._progress = (done_s, total_s)

    def _say(self, said: Said) -> None:
        if self._is_canceled:
            raise _Canceled
        self._add(said, is_over=False)

    def _end(self, said: Said) -> None:
        self._add(said, is_over=True)

    def _add(self, said: Said, *, is_over: bool) -> None:
        with self._lock:
            self._lines.append(line(said))
            self._is_over = is_over
        self._moved_at = time.monotonic()
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:  # the worker has stopped
            raise _Canceled from None


def memory_bytes() -> int:
    """Of this process, as the system counts it."""
    return psutil.Process().memory_info().rss
