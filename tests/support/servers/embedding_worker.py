"""A worker's HTTP in a thread, before a real process that embeds; the model is a toy's."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from resources.processes.runtime_directory import make_runtime_directory
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from resources.worker.app import WorkerApp
from resources.worker.auth import Authenticator
from resources.worker.client import Worker
from resources.worker.embedder import WorkerEmbedder
from resources.worker.embedding_process import EmbeddingProcess
from resources.worker.jobs import Jobs
from resources.worker.protocol import EmbeddingHealth
from tests.support.embedding import TOY, ToyEmbedder
from tests.support.embedding_child import COMMAND, TOPICS
from tests.support.workers import SILENCE_S
from ytcaption.settings import Settings


@dataclass
class EmbeddingWorker:
    """Where it is, and what is behind it."""

    worker: Worker
    process: EmbeddingProcess | None

    @property
    def health(self) -> EmbeddingHealth:
        health = self.worker.health()
        assert health is not None and health.embedding is not None
        return health.embedding

    @property
    def pid(self) -> int:
        """Of the process that embeds."""
        assert self.process is not None and self.process._process is not None
        return self.process._process.pid

    def embedder(self) -> WorkerEmbedder:
        """Of a process that would embed with the same toy where there is no worker."""
        return WorkerEmbedder(CountedToy(), lambda: [self.worker])


class CountedToy(ToyEmbedder):
    """What a process without a worker embeds with."""

    def __init__(self, revision: str = TOY.revision) -> None:
        super().__init__(TOPICS, revision)
        self.asked = 0

    def encode(self, texts, wait_s: float = -1.0):
        """As the toy."""
        self.asked += 1
        return super().encode(texts, wait_s)


@contextmanager
def embedding_worker(
    settings: Settings,
    folder: Path | None = None,
    *,
    door: Authenticator | None = None,
    idle_s: float = 0.0,
    **more,
) -> Iterator[EmbeddingWorker]:
    """One that listens on a socket, or on a port behind a door with a token.

    Args:
        folder: of the socket; left out: where those of this home's workers are.
        more: `process=None` for a worker without the extra.
    """
    folder = folder or make_runtime_directory(settings.home)
    process = more.get("process", EmbeddingProcess(TOY.name, idle_s, COMMAND))
    door = door or Authenticator(is_local=True)
    app = WorkerApp(
        Jobs(WhisperTranscriber.from_settings(settings), slots=2, idle_s=idle_s),
        door,
        engine="batched",
        model="none",
        max_audio_s=60.0,
        scratch=folder,
        embedding=process,
    ).app()
    listener = socket.socket(socket.AF_UNIX) if door.is_local else socket.create_server(("", 0))
    path = folder / "worker-0.sock"
    url = "http://worker"
    if door.is_local:
        listener.bind(str(path))
    else:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(app, loop="asyncio", ws="none", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        found = Worker("worker-0", url, path if door.is_local else None, SILENCE_S, door.token)
        yield EmbeddingWorker(found, process)
    finally:
        server.should_exit = True
        thread.join()
