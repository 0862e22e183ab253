"""Transcribes in a worker if one is free, else in this process."""

import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field, PrivateAttr

from resources.audio.samples import SAMPLE_RATE_HZ
from resources.transcribe.checkpoint import Checkpoint, Part
from resources.transcribe.transcriber import EngineInfo, OnProgress, OnSegment, Transcriber
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from resources.worker.client import Worker, WorkerBusy, WorkerLost, reachable_workers, worker_folder
from resources.worker.protocol import PROTOCOL, Health, Message, decode_segment
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Recognition, Segment
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

_HEALTH_MAX_AGE_S = 1.0

_WAIT_S = 0.5


class WorkerTranscriber(Transcriber):
    """Gives the same result as `local`, from a process that has loaded the model already.

    The least busy worker is used. If all are busy, the run waits. If one is lost, the next one
    resumes from the saved parts, and finally this process does.
    """

    local: WhisperTranscriber
    socket_directory: str = Field(description="Sockets of this machine's workers; empty: none.")
    urls: list[str] = Field(description="Workers on other machines.")
    timeout_s: float = Field(description="Seconds without a message until a worker is given up.")
    scratch_directory: str = Field(description="Folder for samples while a worker uses them.")

    _health_cache: dict[str, tuple[float, Health | None]] = PrivateAttr(default_factory=dict)
    _engine_infos: dict[tuple[int, str], EngineInfo] = PrivateAttr(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: Settings, local: WhisperTranscriber) -> Self:
        """Return the transcriber that the settings describe, with `local` as fallback."""
        return cls(
            local=local,
            socket_directory=worker_folder(settings),
            urls=list(settings.worker.workers),
            timeout_s=settings.worker.worker_timeout_s,
            scratch_directory=str(settings.home),
        )

    def transcribe(
        self,
        waveform: np.ndarray,
        options: TranscriptionOptions,
        on_progress: OnProgress,
        on_segment: OnSegment | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Recognition:
        """See `Transcriber.transcribe`."""
        relay = ProgressRelay(len(waveform) / SAMPLE_RATE_HZ, on_progress, on_segment, checkpoint)
        lost: set[str] = set()
        key = (threading.get_ident(), options.model)
        while (worker := self._free_worker(lost, relay.beat)) is not None:
            try:
                recognition, self._engine_infos[key] = worker.transcribe(
                    waveform, options, relay.parts, Path(self.scratch_directory), relay.receive
                )
            except WorkerBusy:
                self._health_cache.pop(worker.name, None)
            except WorkerLost as error:
                logger.warning("worker %s is lost: %s", worker.name, error)
                lost.add(worker.name)
            else:
                return recognition
        self._engine_infos.pop(key, None)
        return self.local.transcribe(
            waveform, options, relay.progress, relay.segment, relay.checkpoint
        )

    def describe(self, model: str) -> EngineInfo:
        """Return the engine of this thread's last transcription with the model.

        See `Transcriber.describe`.
        """
        info = self._engine_infos.get((threading.get_ident(), model))
        return info if info is not None else self.local.describe(model)

    def _free_worker(self, excluded: set[str], beat: Callable[[], None]) -> Worker | None:
        """Return the least busy worker; None if there is none. Wait while all are busy."""
        while True:
            workers = [
                (health, worker)
                # The token is no field: Dagster's UI shows fields.
                for worker in reachable_workers(self.socket_directory, self.urls, self.timeout_s)
                if worker.name not in excluded and (health := self._health(worker)) is not None
            ]
            if not workers:
                return None
            free = [each for each in workers if each[0].jobs < each[0].slots]
            if free:
                return min(free, key=_load)[1]
            beat()
            time.sleep(_WAIT_S)
            self._health_cache.clear()

    def _health(self, worker: Worker) -> Health | None:
        """Return its health, at most a second old; None if it cannot do this transcriber's work."""
        checked_at, health = self._health_cache.get(worker.name, (0.0, None))
        if time.monotonic() - checked_at > _HEALTH_MAX_AGE_S:
            health = worker.health()
            self._health_cache[worker.name] = (time.monotonic(), health)
        if health is None or health.slots < 1:
            return None
        settings = (health.protocol, health.engine, health.beam_size)
        if settings != (PROTOCOL, self.local.engine, self.local.beam_size):
            logger.warning("worker %s has other settings: %s", worker.name, settings)
            return None
        return health


def _load(worker: tuple[Health, Worker]) -> tuple[float, bool, float]:
    """Return a sort key: the share of slots in use; in a tie, this machine's workers first."""
    health, address = worker
    return health.jobs / health.slots, address.socket is None, random.random()  # noqa: S311


class ProgressRelay:
    """Passes progress, segments and parts on, from whichever process does the work.

    No segment is passed on twice, and progress never decreases, even after a worker is lost.
    """

    def __init__(
        self,
        duration_s: float,
        on_progress: OnProgress,
        on_segment: OnSegment | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self._duration_s = duration_s
        self._on_progress = on_progress
        self._on_segment = on_segment
        self._save = checkpoint.save if checkpoint is not None else None
        self._parts = list(checkpoint.state) if checkpoint is not None else []
        self._done_s = 0.0
        self._segment_count = 0

    @property
    def parts(self) -> list[Any] | None:
        """The parts to resume from; None if parts are not saved."""
        return list(self._parts) if self._save is not None else None

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint for this process."""
        return Checkpoint(list(self._parts), self._save_part) if self._save is not None else None

    def beat(self) -> None:
        """Report unchanged progress; may raise to cancel."""
        self.progress(self._done_s, self._duration_s)

    def progress(self, done_s: float, total_s: float) -> None:
        """Report the seconds that are done and the seconds in all."""
        self._done_s = max(self._done_s, done_s)
        self._on_progress(self._done_s, total_s or self._duration_s)

    def segment(self, segment: Segment) -> None:
        """Pass on a segment, unless it was passed on before."""
        if segment.index < self._segment_count:
            return
        self._segment_count = segment.index + 1
        if self._on_segment is not None:
            self._on_segment(segment)

    def receive(self, message: Message) -> None:
        """Handle a worker's message."""
        if "segment" in message:
            self.segment(decode_segment(message["segment"]))
        elif "part" in message:
            self._save_part(message["part"])
        elif "progress" in message:
            self.progress(*message["progress"])
        else:
            self.beat()

    def _save_part(self, part: Part) -> None:
        self._parts = [each for each in self._parts if each["number"] < part["number"]] + [part]
        if self._save is not None:
            self._save(part)


def transcriber_of(settings: Settings) -> Transcriber:
    """Return the transcriber of runs: with workers if the settings allow any."""
    local = WhisperTranscriber.from_settings(settings)
    if settings.worker.worker == "off" and not settings.worker.workers:
        return local
    return WorkerTranscriber.from_settings(settings, local)
