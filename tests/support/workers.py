"""A real worker process for tests, and the transcriber of runs that use it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from resources.transcribe.whisper_transcriber import WhisperTranscriber
from resources.worker.client import Worker, worker_at, worker_socket
from resources.worker.protocol import Health
from resources.worker.transcriber import WorkerTranscriber
from tests.support.clip_errors import samples
from tests.support.patience import wait_for
from ytcaption.settings.settings import Settings

TOKEN = "a-token-of-more-than-32-characters"

TIMEOUT_S = 20.0
"""Seconds without a message until a worker is given up here: the machine may be busy."""


class WorkerHome:
    """A home with a worker, which is started again if it has died."""

    def __init__(self, models: Path, *arguments: str, **more: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="worker-"))
        self.variables = {
            "YTCAPTION_HOME": str(self.home),
            "YTCAPTION_MODEL_DIRECTORY": str(models),
            "YTCAPTION_MODEL": "tiny.en",
            "YTCAPTION_CPU_THREADS": "2",
            **more,
        }
        self.arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Settings:
        given = {name.removeprefix("YTCAPTION_").lower(): v for name, v in self.variables.items()}
        return Settings(_env_file=None, **given)  # pyright: ignore[reportArgumentType, reportCallIssue]

    @property
    def worker(self) -> Worker:
        return worker_at(worker_socket(self.home, 0))

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()

    def start(self) -> None:
        usual = {k: v for k, v in os.environ.items() if not k.startswith("YTCAPTION_")}
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ytcaption_assets.cli.main", "worker", *self.arguments],
                env={**usual, **self.variables},
                stdout=log,
                stderr=log,
            )

    def ensure(self) -> Worker:
        """Start the worker if necessary and return it once it responds."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        wait_for(lambda: self.worker.health() is not None, 60)
        return self.worker

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def health(self) -> Health:
        health = self.worker.health()
        assert health is not None
        return health

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def remove(self) -> None:
        self.end()
        shutil.rmtree(self.home)

    def local(self) -> WhisperTranscriber:
        return WhisperTranscriber.from_settings(self.settings)

    def transcriber(self) -> WorkerTranscriber:
        """Return the transcriber of a run of this home."""
        settings = self.settings.changed(worker_timeout_s=TIMEOUT_S)
        return WorkerTranscriber.from_settings(settings, self.local())


def recording() -> np.ndarray:
    """Return half a minute of clips between pauses, each a decoding region of its own."""
    pause = np.zeros(48_000, np.float32)
    names = ("fleurs-en-004.ogg", "jfk.flac", "librispeech-237-134500-0006.flac")
    return np.concatenate([part for name in names for part in (samples(name), pause)])
