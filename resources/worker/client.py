"""The client of workers: health, transcription, embedding."""

import json
import logging
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from pydantic import SecretStr

from resources.embeddings.embedder import EmbeddingModel
from resources.processes.runtime_directory import runtime_directory
from resources.transcribe.transcriber import EngineInfo
from resources.worker.embedding_protocol import EmbedRequest, decode_vectors
from resources.worker.protocol import (
    Health,
    Message,
    TranscribeRequest,
    decode_error,
    decode_result,
)
from resources.worker.samples import sample_blocks, shared_file
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Recognition
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

logger = logging.getLogger(__name__)

_CONNECT_S = 5.0

_MAX_LINE_BYTES = 64 << 20
"""A result of twelve hours has a fifth of it."""

OnMessage = Callable[[Message], None]


class WorkerBusy(Exception):
    """Every slot is in use: try again later."""


class WorkerLost(Exception):
    """The worker died, hangs, stops or refuses: another may do the work. The message is logged."""


@dataclass(frozen=True)
class Worker:
    """The address of a worker.

    Attributes:
        name: for logs.
        url: of its root, such as `https://gpu-1:8100`.
        socket: of a worker on this machine; `url` is then only a placeholder.
        timeout_s: seconds without a line from it until it is given up.
    """

    name: str
    url: str
    socket: Path | None
    timeout_s: float
    token: SecretStr | None = None

    def health(self) -> Health | None:
        """Return its health; None if it does not answer, is stopping, or rejects the token."""
        try:
            with self._client(_CONNECT_S) as client:
                response = client.get("/healthz")
            if response.status_code == HTTPStatus.UNAUTHORIZED:
                logger.warning("worker %s does not accept YTCAPTION_WORKER_TOKEN", self.name)
            return Health.from_json(response.content) if response.is_success else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return None

    def transcribe(
        self,
        waveform: np.ndarray,
        options: TranscriptionOptions,
        checkpoint: list[Any] | None,
        scratch: Path,
        on_message: OnMessage,
    ) -> tuple[Recognition, EngineInfo]:
        """Transcribe a waveform; return the result and the engine that made it.

        Args:
            checkpoint: parts to resume from; None if parts are not saved.
            scratch: folder for the samples, for a worker on this machine.
            on_message: called with each message before the last one, at least twice a second while
                the worker works, and while samples are sent. An exception ends the work there.

        Raises:
            WorkerBusy, WorkerLost: there is no result from this worker.
            YtcaptionError: the worker's error about the audio, the model or its device.
        """
        with self._transcription(waveform, options, checkpoint, scratch, on_message) as response:
            return decode_result(_last_message(response, "recognition", on_message))

    def embed(
        self, model: str, texts: Sequence[str], on_beat: Callable[[], None]
    ) -> tuple[EmbeddingModel, np.ndarray]:
        """Return the model and the texts' vectors, as `Embedder.encode` does.

        Args:
            model: its name.
            on_beat: called at least twice a second while the worker works. An exception ends the
                wait for it.

        Raises:
            WorkerBusy, WorkerLost: there is no result from this worker.
            YtcaptionError: the worker's error about the model.
        """
        request = EmbedRequest(model, list(texts)).to_line()
        with (
            _connection_errors(),
            self._client(self.timeout_s) as client,
            client.stream("POST", "/embeddings", content=request) as response,
        ):
            if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
                raise WorkerBusy
            message = _last_message(response, "vectors", lambda _: on_beat())
        try:
            return decode_vectors(message, texts)
        except ValueError:
            raise WorkerLost("its response is invalid") from None

    @contextmanager
    def _transcription(
        self,
        waveform: np.ndarray,
        options: TranscriptionOptions,
        checkpoint: list[Any] | None,
        scratch: Path,
        on_message: OnMessage,
    ) -> Iterator[httpx.Response]:
        def body(path: Path | None) -> Iterator[bytes]:
            path_text = None if path is None else str(path)
            yield TranscribeRequest(options, len(waveform), path_text, checkpoint).to_line()
            if path is None:
                yield from sample_blocks(waveform, lambda: on_message({}))

        with _connection_errors(), self._client(self.timeout_s) as client:
            slot = f"/slots/{_reserve_slot(client)}"
            if self.socket is None:
                with client.stream("POST", slot, content=body(None)) as response:
                    yield response
                return
            with ExitStack() as shared:
                try:
                    path = shared.enter_context(shared_file(waveform, scratch))
                except OSError as error:
                    raise WorkerLost(f"the samples cannot be shared: {error}") from None
                request = client.build_request("POST", slot, content=body(path))
                response = client.send(request, stream=True)
            # The worker has opened the file by now: a copy needs no name any more.
            try:
                yield response
            finally:
                response.close()

    def _client(self, timeout_s: float) -> httpx.Client:  # noqa: TID251
        headers = {}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.get_secret_value()}"
        uds = None if self.socket is None else str(self.socket)
        # The operator's own machines, named in the settings; untrusted URLs never come here.
        return httpx.Client(  # noqa: TID251
            base_url=self.url,
            # Creating a TLS context takes 20 ms.
            transport=httpx.HTTPTransport(uds=uds, verify=self.url.startswith("https:")),
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=_CONNECT_S),
            trust_env=False,
            follow_redirects=False,
        )


def worker_socket(home: Path, number: int) -> Path:
    """Return the socket of the worker with this number on this machine."""
    return runtime_directory(home) / f"worker-{number}.sock"


def worker_at(socket: Path, timeout_s: float = _CONNECT_S) -> Worker:
    """Return the worker of this machine at a socket."""
    return Worker(socket.stem, "http://worker", socket, timeout_s)


def local_workers(folder: Path, timeout_s: float = _CONNECT_S) -> list[Worker]:
    """Return the workers of this machine, one per socket. Some may have died.

    Args:
        folder: of sockets; one that other users can write to is ignored.
    """
    try:
        status = folder.lstat()
    except OSError:
        return []
    writable = stat.S_IWGRP | stat.S_IWOTH
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if not is_ours or status.st_mode & writable:
        return []
    return [worker_at(path, timeout_s) for path in sorted(folder.glob("worker-*.sock"))]


def worker_folder(settings: Settings) -> str:
    """Return the folder of this machine's worker sockets; empty if they are not to be used."""
    return str(runtime_directory(settings.home)) if settings.worker.worker == "on" else ""


def reachable_workers(folder: str, urls: Sequence[str], timeout_s: float) -> list[Worker]:
    """Return the configured workers of this machine and of others, dead or alive.

    Args:
        folder: of sockets; empty: no workers of this machine.
        urls: of workers on other machines.
    """
    workers = local_workers(Path(folder), timeout_s) if folder else []
    if urls:
        token = load_settings().worker.worker_token
        workers += [Worker(url, url, None, timeout_s, token) for url in urls]
    return workers


@contextmanager
def _connection_errors() -> Iterator[None]:
    """Raise errors of a connection as WorkerLost."""
    try:
        yield
    except (httpx.TransportError, httpx.InvalidURL, httpx.StreamError) as error:
        raise WorkerLost(f"{type(error).__name__} ({error})") from None


def _reserve_slot(client: httpx.Client) -> str:  # noqa: TID251
    response = client.post("/slots")
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        raise WorkerBusy
    if response.status_code != HTTPStatus.CREATED:
        raise WorkerLost(f"it responded with status {response.status_code}")
    return str(_message(response.content)["slot"])


def _last_message(response: httpx.Response, key: str, on_message: OnMessage) -> Message:
    """Return the message that has the key; pass those before it to `on_message`."""
    if not response.is_success:
        raise WorkerLost(f"it responded with status {response.status_code}")
    for message in _messages(response):
        if key in message:
            return message
        if "error" in message:
            raise decode_error(message) or WorkerLost("an unexpected error occurred there")
        on_message(message)
    raise WorkerLost("its response ended early")


def _messages(response: httpx.Response) -> Iterator[Message]:
    rest = bytearray()
    for block in response.iter_bytes():
        *lines, tail = block.split(b"\n")
        for line in lines:
            rest += line
            yield _message(bytes(rest))
            rest.clear()
        rest += tail
        if len(rest) > _MAX_LINE_BYTES:
            raise WorkerLost("its response has a line without an end")


def _message(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise WorkerLost("its response is invalid")
    return message
