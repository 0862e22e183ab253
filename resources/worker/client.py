"""A run's side of the line to a worker: how is it, hear this, and what do these texts mean."""

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
from resources.worker.embedding_protocol import Texts, vectors_of
from resources.worker.protocol import Health, Order, Said, error_of, result_of
from resources.worker.samples import sent_samples, shared_file
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Recognition
from ytcaption.settings import Settings, load_settings

logger = logging.getLogger(__name__)

_CONNECT_S = 5.0

_LONGEST_LINE = 64 << 20
"""Bytes: a result of twelve hours has a fifth of it."""


class WorkerBusy(Exception):
    """Every slot is taken: ask again."""


class WorkerLost(Exception):
    """It died, hangs, stops or refuses: others may do the work. Says why, for the log."""


@dataclass(frozen=True)
class Worker:
    """Where a worker is.

    Attributes:
        name: for logs.
        url: of its root, such as `https://gpu-1:8100`.
        socket: of one on this machine, which `url` then says nothing about.
        silence_s: without a line from it, until it is given up.
    """

    name: str
    url: str
    socket: Path | None
    silence_s: float
    token: SecretStr | None = None

    def health(self) -> Health | None:
        """How it is; None where it does not answer, stops, or does not know the token."""
        try:
            with self._client(_CONNECT_S) as client:
                answer = client.get("/healthz")
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                logger.warning("worker %s does not accept YTCAPTION_WORKER_TOKEN", self.name)
            return Health.read(answer.content) if answer.is_success else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return None

    def hear(
        self,
        waveform: np.ndarray,
        options: TranscriptionOptions,
        checkpoint: list[Any] | None,
        scratch: Path,
        on_said: Callable[[Said], None],
    ) -> tuple[Recognition, EngineInfo]:
        """What is said in a waveform, and what heard it.

        Args:
            checkpoint: parts to go on from; None where nobody keeps any.
            scratch: where samples lie for a worker on this machine.
            on_said: called with each line before the last one, at least twice a second while the
                worker works, and while samples are sent. What it raises ends the work there.

        Raises:
            WorkerBusy, WorkerLost: nothing came of it here.
            YtcaptionError: what the worker says of the audio, the model or its device.
        """
        with self._answer(waveform, options, checkpoint, scratch, on_said) as answer:
            return result_of(_last_said(answer, "recognition", on_said))

    def embed(
        self, model: str, texts: Sequence[str], on_beat: Callable[[], None]
    ) -> tuple[EmbeddingModel, np.ndarray]:
        """The model, and the texts' vectors, as `Embedder.encode` gives them.

        Args:
            model: its name.
            on_beat: called at least twice a second while the worker works. What it raises ends the
                wait for it.

        Raises:
            WorkerBusy, WorkerLost: nothing came of it here.
            YtcaptionError: what the worker says of the model.
        """
        order = Texts(model, list(texts)).line()
        with (
            _losses(),
            self._client(self.silence_s) as client,
            client.stream("POST", "/embeddings", content=order) as answer,
        ):
            if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
                raise WorkerBusy
            said = _last_said(answer, "vectors", lambda _: on_beat())
        try:
            return vectors_of(said, texts)
        except ValueError:
            raise WorkerLost("it answers something else") from None

    @contextmanager
    def _answer(
        self,
        waveform: np.ndarray,
        options: TranscriptionOptions,
        checkpoint: list[Any] | None,
        scratch: Path,
        on_said: Callable[[Said], None],
    ) -> Iterator[httpx.Response]:
        def body(path: Path | None) -> Iterator[bytes]:
            named = None if path is None else str(path)
            yield Order(options, len(waveform), named, checkpoint).line()
            if path is None:
                yield from sent_samples(waveform, lambda: on_said({}))

        with _losses(), self._client(self.silence_s) as client:
            slot = f"/slots/{_taken_slot(client)}"
            if self.socket is None:
                with client.stream("POST", slot, content=body(None)) as answer:
                    yield answer
                return
            with ExitStack() as shared:
                try:
                    path = shared.enter_context(shared_file(waveform, scratch))
                except OSError as error:
                    raise WorkerLost(f"the samples cannot be shared: {error}") from None
                request = client.build_request("POST", slot, content=body(path))
                answer = client.send(request, stream=True)
            # The worker holds the file open by now: a copy needs no name any more.
            try:
                yield answer
            finally:
                answer.close()

    def _client(self, silence_s: float) -> httpx.Client:  # noqa: TID251
        headers = {}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.get_secret_value()}"
        uds = None if self.socket is None else str(self.socket)
        # The operator's own machines, named in the settings: no stranger's URL comes here (rule 1).
        return httpx.Client(  # noqa: TID251
            base_url=self.url,
            # A context for TLS costs 20 ms.
            transport=httpx.HTTPTransport(uds=uds, verify=self.url.startswith("https:")),
            headers=headers,
            timeout=httpx.Timeout(silence_s, connect=_CONNECT_S),
            trust_env=False,
            follow_redirects=False,
        )


def worker_socket(home: Path, number: int) -> Path:
    """Where the worker of this machine with this number listens."""
    return runtime_directory(home) / f"worker-{number}.sock"


def worker_at(socket: Path, silence_s: float = _CONNECT_S) -> Worker:
    """One of this machine."""
    return Worker(socket.stem, "http://worker", socket, silence_s)


def local_workers(folder: Path, silence_s: float = _CONNECT_S) -> list[Worker]:
    """Those of this machine: a socket each. Some may have died.

    Args:
        folder: of sockets; one that others can write to holds none of ours.
    """
    try:
        found = folder.lstat()
    except OSError:
        return []
    writers = stat.S_IWGRP | stat.S_IWOTH
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & writers:
        return []
    return [worker_at(path, silence_s) for path in sorted(folder.glob("worker-*.sock"))]


def worker_folder(settings: Settings) -> str:
    """Of the sockets of this machine's workers; empty where they are not to be asked."""
    return str(runtime_directory(settings.home)) if settings.worker == "on" else ""


def reachable_workers(folder: str, urls: Sequence[str], silence_s: float) -> list[Worker]:
    """Those of this machine and of others, dead or alive.

    Args:
        folder: of sockets; empty: none of this machine.
        urls: of those on other machines.
    """
    found = local_workers(Path(folder), silence_s) if folder else []
    if urls:
        token = load_settings().worker_token
        found += [Worker(url, url, None, silence_s, token) for url in urls]
    return found


@contextmanager
def _losses() -> Iterator[None]:
    """What a connection can come to, as WorkerLost."""
    try:
        yield
    except (httpx.TransportError, httpx.InvalidURL, httpx.StreamError) as error:
        raise WorkerLost(f"{type(error).__name__} ({error})") from None


def _taken_slot(client: httpx.Client) -> str:  # noqa: TID251
    answer = client.post("/slots")
    if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        raise WorkerBusy
    if answer.status_code != HTTPStatus.CREATED:
        raise WorkerLost(f"it answers {answer.status_code}")
    return str(_said(answer.content)["slot"])


def _last_said(answer: httpx.Response, key: str, on_said: Callable[[Said], None]) -> Said:
    """The line that has the key; those before it are told."""
    if not answer.is_success:
        raise WorkerLost(f"it answers {answer.status_code}")
    for said in _lines(answer):
        if key in said:
            return said
        if "error" in said:
            raise error_of(said) or WorkerLost("something went wrong there")
        on_said(said)
    raise WorkerLost("it stopped before the end")


def _lines(answer: httpx.Response) -> Iterator[Said]:
    rest = bytearray()
    for block in answer.iter_bytes():
        *lines, tail = block.split(b"\n")
        for each in lines:
            rest += each
            yield _said(bytes(rest))
            rest.clear()
        rest += tail
        if len(rest) > _LONGEST_LINE:
            raise WorkerLost("its answer has no end")


def _said(line: bytes) -> Said:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise WorkerLost("it answers something else")
    return said
