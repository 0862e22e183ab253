"""A worker's HTTP application in a thread, with a real embedding process and a toy model."""

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
from resources.worker.jobs import JobPool
from resources.worker.protocol import EmbeddingHealth
from tests.support.embedding import TOY, ToyEmbedder
from tests.support.embedding_child import COMMAND, TOPICS
from tests.support.workers import TIMEOUT_S
from ytcaption.settings.settings import Settings


@dataclass
class EmbeddingWorker:
    """A worker and its embedding process."""

    worker: Worker
    process: EmbeddingProcess | None

    @property
    def health(self) -> EmbeddingHealth:
        health = self.worker.health()
        assert health is not None and health.embedding is not None
        return health.embedding

    @property
    def pid(self) -> int:
        """Process number of the embedding process."""
        assert self.process is not None and self.process._process is not None
        return self.process._process.pid

    def embedder(self) -> WorkerEmbedder:
        """Return an embedder that falls back to the same toy model without a worker."""
        return WorkerEmbedder(CountedToy(), lambda: [self.worker])


class CountedToy(ToyEmbedder):
    """The embedder of a process without a worker; it counts calls."""

    def __init__(self, revision: str = TOY.revision) -> None:
        super().__init__(TOPICS, revision)
        self.call_count = 0

    def encode(self, texts, wait_s: float = -1.0):
        """See `ToyEmbedder.encode`."""
        self.call_count += 1
        return super().encode(texts, wait_s)


@contextmanager
def embedding_worker(
    settings: Settings,
    folder: Path | None = None,
    *,
    authenticator: Authenticator | None = None,
    idle_s: float = 0.0,
    **more,
) -> Iterator[EmbeddingWorker]:
    """Run a worker that listens on a socket, or on a port with a token.

    Args:
        folder: of the socket; default: the folder of this home's workers.
        more: `process=None` for a worker without the extra.
    """
    folder = folder or make_runtime_directory(settings.home)
    process = more.get("process", EmbeddingProcess(TOY.name, idle_s, COMMAND))
    authenticator = authenticator or Authenticator(is_local=True)
    app = WorkerApp(
        JobPool(WhisperTranscriber.from_settings(settings), slots=2, idle_s=idle_s),
        authenticator,
        engine="batched",
        model="none",
        max_audio_s=60.0,
        scratch=folder,
        embedding=process,
    ).app()
    listener = (
        socket.socket(socket.AF_UNIX) if authenticator.is_local else socket.create_server(("", 0))
    )
    path = folder / "worker-0.sock"
    url = "http://worker"
    if authenticator.is_local:
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
        worker = Worker(
            "worker-0",
            url,
            path if authenticator.is_local else None,
            TIMEOUT_S,
            authenticator.token,
        )
        yield EmbeddingWorker(worker, process)
    finally:
        server.should_exit = True
        thread.join()
