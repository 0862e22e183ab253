"""The worker process: listens, works, and drains when it is stopped."""

import asyncio
import logging
import os
import signal
import socket

import uvicorn

from resources.embeddings.embedder import is_installed
from resources.http_server.uvicorn_protocol import BoundedHttp
from resources.processes.runtime_directory import make_runtime_directory
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from resources.worker.app import WorkerApp
from resources.worker.auth import Authenticator
from resources.worker.client import worker_at, worker_socket
from resources.worker.embedding_process import EmbeddingProcess
from resources.worker.jobs import JobPool
from ytcaption.domain.errors import SetupError
from ytcaption.domain.media.addresses import is_loopback
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

_BACKLOG = 128


def serve_here(settings: Settings, number: int) -> None:
    """Serve runs of this machine and user until SIGTERM or SIGINT; does not return.

    Raises:
        SetupError: the socket cannot be created, or another worker uses it.
    """
    make_runtime_directory(settings.home)
    path = worker_socket(settings.home, number)
    if worker_at(path).health() is not None:
        raise SetupError(f"A worker with the number {number} already runs on {settings.home}.")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
    except OSError as error:
        raise SetupError(f"The socket {path} cannot be created: {error.strerror}.") from error
    logger.info("the worker listens on %s", path)
    try:
        _serve(settings, listener, Authenticator(is_local=True))
    finally:
        path.unlink(missing_ok=True)
        _exit()


def serve_others(settings: Settings, host: str, port: int) -> None:
    """Serve runs of other machines as well, until SIGTERM or SIGINT; does not return.

    Raises:
        SetupError: the address cannot be used, or is reachable by others and no token is set.
    """
    token = settings.worker.worker_token
    if token is None and not is_loopback(host):
        raise SetupError(
            f"A worker does not listen on {host or 'all addresses'} without a token: set "
            "YTCAPTION_WORKER_TOKEN here and on the machines of the runs, or use --host 127.0.0.1."
        )
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise SetupError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    logger.info("the worker listens on %s, port %d", host, listener.getsockname()[1])
    try:
        _serve(settings, listener, Authenticator(is_local=False, token=token))
    finally:
        _exit()


def _serve(settings: Settings, listener: socket.socket, authenticator: Authenticator) -> None:
    transcriber = WhisperTranscriber.from_settings(settings)
    jobs = JobPool(transcriber, settings.worker.worker_jobs, settings.worker.worker_idle_s)
    embedding = EmbeddingProcess(settings.search.embedding_model, settings.worker.worker_idle_s)
    app = WorkerApp(
        jobs,
        authenticator,
        engine=settings.speech.engine,
        model=settings.speech.model,
        max_audio_s=settings.download.max_audio_s,
        scratch=settings.home,
        embedding=embedding if is_installed() else None,
    )
    config = uvicorn.Config(
        app.app(),
        http=BoundedHttp,
        loop="asyncio",
        ws="none",
        backlog=_BACKLOG,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # Open connections are served; new clients find no listener and use another worker.
        timeout_graceful_shutdown=settings.worker.worker_drain_s,
    )
    server = uvicorn.Server(config)

    def stop(*_: object) -> None:  # before it listens; and at its end uvicorn raises them again
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    asyncio.run(server.serve(sockets=[listener]))
    logger.info("the worker stops and leaves %d recordings to others", jobs.active)


def _exit() -> None:
    """Exit at once: threads may still be in the model, and its destructors would crash."""
    logging.shutdown()
    os._exit(0)
