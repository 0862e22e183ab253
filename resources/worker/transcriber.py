"""Speech recognition in a warm worker where one is free to do it, else in this process."""

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
from resources.worker.protocol import PROTOCOL, Health, Said, segment_of
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Recognition, Segment
from ytcaption.settings import Settings

logger = logging.getLogger(__name__)

_FRESH_S = 1.0
"""How long an answer about a worker's health is believed."""

_WAIT_S = 0.5


class WorkerTranscriber(Transcriber):
    """The same result as `local` gives, from a process that holds the model already.

    The worker with the least to do is asked. Where all are busy the run waits its turn; where one
    is lost, the next one starts from what was kept, and at last this process does it itself.
    """

    local: WhisperTranscriber
    engine: str = Field(description="A worker with another one is passed over.")
    socket_directory: str = Field(description="Sockets of this machine's workers; empty: none.")
    urls: list[str] = Field(description="Workers on other machines.")
    silence_s: float = Field(description="Without a word from a worker, until it is given up.")
    scratch_directory: str = Field(description="Where samples lie while a worker uses them.")

    _known: dict[str, tuple[float, Health | None]] = PrivateAttr(default_factory=dict)
    _did: dict[tuple[int, str], EngineInfo] = PrivateAttr(default_factory=dict)

    @classmethod
    def around(cls, local: WhisperTranscriber, settings: Settings) -> Self:
        """As the settings say."""
        return cls(
            local=local,
            engine=settings.engine,
            socket_directory=worker_folder(settings),
            urls=list(settings.workers),
            silence_s=settings.worker_silence_s,
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
        told = _Told(len(waveform) / SAMPLE_RATE_HZ, on_progress, on_segment, checkpoint)
        passed_over: set[str] = set()
        who = (threading.get_ident(), options.model)
        while (worker := self._free_worker(passed_over, told.beat)) is not None:
            try:
                recognition, self._did[who] = worker.hear(
                    waveform, options, told.parts, Path(self.scratch_directory), told.hear
                )
            except WorkerBusy:
                self._known.pop(worker.name, None)
            except WorkerLost as error:
                logger.warning("worker %s is lost: %s", worker.name, error)
                passed_over.add(worker.name)
            else:
                return recognition
        self._did.pop(who, None)
        return self.local.transcribe(
            waveform, options, told.progress, told.segment, told.checkpoint
        )

    def describe(self, model: str) -> EngineInfo:
        """Of whoever did this thread's last transcription with the model. See
        `Transcriber.describe`."""
        did = self._did.get((threading.get_ident(), model))
        return did if did is not None else self.local.describe(model)

    def _free_worker(self, passed_over: set[str], beat: Callable[[], None]) -> Worker | None:
        """The one with the least to do; None where none can be had. Waits while all are busy."""
        while True:
            found = [
                (health, worker)
                # The token is no field: Dagster's UI shows fields.
                for worker in reachable_workers(self.socket_directory, self.urls, self.silence_s)
                if worker.name not in passed_over and (health := self._health(worker)) is not None
            ]
            if not found:
                return None
            free = [each for each in found if each[0].jobs < each[0].slots]
            if free:
                return min(free, key=_load)[1]
            beat()
            time.sleep(_WAIT_S)
            self._known.clear()

    def _health(self, worker: Worker) -> Health | None:
        """How it is, at most a second ago; None where it cannot do this transcriber's work."""
        asked_at, health = self._known.get(worker.name, (0.0, None))
        if time.monotonic() - asked_at > _FRESH_S:
            health = worker.health()
            self._known[worker.name] = (time.monotonic(), health)
        if health is None or health.slots < 1:
            return None
        theirs = (health.protocol, health.engine, health.beam_size)
        if theirs != (PROTOCOL, self.engine, self.local.beam_size):
            logger.warning("worker %s has other settings: %s", worker.name, theirs)
            return None
        return health


def _load(found: tuple[Health, Worker]) -> tuple[float, bool, float]:
    """Least first: the share of slots that are taken; at a draw, this machine's own."""
    health, worker = found
    return health.jobs / health.slots, worker.socket is None, random.random()  # noqa: S311


class _Told:
    """What was told so far, whoever heard it: nothing is told twice, and no progress goes back."""

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
        self._segments = 0

    @property
    def parts(self) -> list[Any] | None:
        """What to go on from; None where nobody keeps any."""
        return list(self._parts) if self._save is not None else None

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The same, for this process."""
        return Checkpoint(list(self._parts), self._keep) if self._save is not None else None

    def beat(self) -> None:
        """Nothing new; may raise to cancel."""
        self.progress(self._done_s, self._duration_s)

    def progress(self, done_s: float, total_s: float) -> None:
        """Seconds that are done, and in all."""
        self._done_s = max(self._done_s, done_s)
        self._on_progress(self._done_s, total_s or self._duration_s)

    def segment(self, segment: Segment) -> None:
        """The next one, or one that was told before."""
        if segment.index < self._segments:
            return
        self._segments = segment.index + 1
        if self._on_segment is not None:
            self._on_segment(segment)

    def hear(self, said: Said) -> None:
        """A line of a worker's."""
        if "segment" in said:
            self.segment(segment_of(said["segment"]))
        elif "part" in said:
            self._keep(said["part"])
        elif "progress" in said:
            self.progress(*said["progress"])
        else:
            self.beat()

    def _keep(self, part: Part) -> None:
        self._parts = [each for each in self._parts if each["number"] < part["number"]] + [part]
        if self._save is not None:
            self._save(part)


def transcriber_of(settings: Settings) -> Transcriber:
    """What runs hear with: a worker where there may be one, else the engine itself."""
    local = WhisperTranscriber.from_settings(settings)
    if settings.worker == "off" and not settings.workers:
        return local
    return WorkerTranscriber.around(local, settings)
