"""The HTTP application of a worker.

`POST /slots` reserves a slot, a POST to the slot transcribes a recording, `POST /embeddings` embeds
texts, `GET /healthz` returns the worker's state.

A slot is reserved first, so that no audio is sent in vain. Over a Unix socket, which only its owner
can open, runs pass the path of a file of samples. Over TCP they authenticate by a token and send
the samples.
"""

import asyncio
import logging
import os
import secrets
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar

import numpy as np
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from resources.audio.samples import SAMPLE_RATE_HZ
from resources.worker.auth import BAD_TOKEN, Authenticator, error_response
from resources.worker.embedding_process import EmbeddingBusy, EmbeddingProcess
from resources.worker.embedding_protocol import MAX_REQUEST_BYTES, EmbedRequest
from resources.worker.jobs import HEARTBEAT_S, Job, JobPool, memory_bytes
from resources.worker.protocol import Health, TranscribeRequest, encode_error, encode_line
from resources.worker.samples import (
    Body,
    RequestRejected,
    map_shared_file,
    receive_line,
    receive_samples,
)
from ytcaption.domain.errors import YtcaptionError

logger = logging.getLogger(__name__)

_IDLE_CHECK_S = 5.0

_SLOT_S = 30.0
"""An unused slot is freed after this: hours of samples may have to be copied first."""

_NDJSON = "application/x-ndjson"


class WorkerApp:
    """The routes of one worker."""

    def __init__(
        self,
        jobs: JobPool,
        authenticator: Authenticator,
        *,
        engine: str,
        model: str,
        max_audio_s: float,
        scratch: Path,
        embedding: EmbeddingProcess | None = None,
    ) -> None:
        """Create the routes; start nothing yet.

        Args:
            engine: `batched` or `sequential`.
            model: loaded at the start if its files are on this machine.
            scratch: folder for samples that were sent, during their transcription.
            embedding: None if the extra `semantic` is not installed.
        """
        self._jobs, self._engine, self._model = jobs, engine, model
        self._authenticator = authenticator
        self._max_samples = int(max_audio_s * SAMPLE_RATE_HZ)
        self._scratch = scratch
        self._embedding = embedding
        self._slots: dict[str, Job] = {}

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/slots", self._reserve_slot, methods=["POST"]),
                Route("/slots/{slot}", self._transcribe, methods=["POST"]),
                Route("/embeddings", self._embed, methods=["POST"]),
                Route("/healthz", self._health),
                Route("/livez", self._alive),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        threading.Thread(
            target=self._jobs.warm_up, args=(self._model,), name="warm-up", daemon=True
        ).start()
        idle_check = asyncio.create_task(self._unload_when_idle())
        yield
        idle_check.cancel()
        if self._embedding is not None:
            await self._embedding.close()

    async def _unload_when_idle(self) -> None:
        while True:
            await asyncio.sleep(min(_IDLE_CHECK_S, self._jobs.idle_s / 4) or _IDLE_CHECK_S)
            await asyncio.to_thread(self._jobs.unload_if_idle)
            if self._embedding is not None:
                await self._embedding.end_if_idle()

    async def _alive(self, _request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def _health(self, request: Request) -> Response:
        if not self._authenticator.allows(request):
            return error_response(HTTPStatus.UNAUTHORIZED, BAD_TOKEN)
        health = Health(
            engine=self._engine,
            beam_size=self._jobs.transcriber.beam_size,
            jobs=self._jobs.active,
            slots=self._jobs.slots,
            memory_bytes=memory_bytes(),
            models=self._jobs.models,
            embedding=self._embedding.health() if self._embedding is not None else None,
        )
        return JSONResponse(health.to_dict())

    async def _reserve_slot(self, request: Request) -> Response:
        if not self._authenticator.allows(request):
            return error_response(HTTPStatus.UNAUTHORIZED, BAD_TOKEN)
        job = self._jobs.acquire()
        if job is None:
            return error_response(HTTPStatus.SERVICE_UNAVAILABLE, "every slot is in use")
        slot = secrets.token_urlsafe(16)
        self._slots[slot] = job
        asyncio.get_running_loop().call_later(_SLOT_S, self._expire_slot, slot)
        return JSONResponse({"slot": slot}, HTTPStatus.CREATED)

    def _expire_slot(self, slot: str) -> None:
        job = self._slots.pop(slot, None)
        if job is not None:
            job.cancel()

    async def _transcribe(self, request: Request) -> Response:
        if not self._authenticator.allows(request):
            return error_response(HTTPStatus.UNAUTHORIZED, BAD_TOKEN)
        job = self._slots.pop(request.path_params["slot"], None)
        if job is None:
            return error_response(HTTPStatus.NOT_FOUND, "there is no such slot")
        try:
            job.start(*await self._receive(request))
        except RequestRejected as error:
            return error_response(HTTPStatus.BAD_REQUEST, str(error))
        except YtcaptionError as error:  # DiskFull
            return JSONResponse(encode_error(error), HTTPStatus.INSUFFICIENT_STORAGE)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        finally:
            if not job.is_started:
                job.cancel()
        return _JobResponse(job)

    async def _receive(self, request: Request) -> tuple[TranscribeRequest, np.ndarray]:
        body = Body(request.stream())
        try:
            message = TranscribeRequest.from_line(await receive_line(body))
        except ValueError as error:
            raise RequestRejected(str(error)) from None
        if not 0 <= message.samples <= self._max_samples:
            raise RequestRejected("the audio is longer than allowed here")
        if not self._authenticator.is_local:
            if message.path is not None:
                raise RequestRejected("a path is allowed only over a Unix socket")
            return message, await receive_samples(body, message.samples, self._scratch)
        if message.path is None or await body.block() is not None:
            raise RequestRejected("over a Unix socket samples must be in a file")
        return message, map_shared_file(message.path, message.samples)

    async def _embed(self, request: Request) -> Response:
        """Respond with an empty line every half a second, then the embedding process's line."""
        if not self._authenticator.allows(request):
            return error_response(HTTPStatus.UNAUTHORIZED, BAD_TOKEN)
        if self._embedding is None:
            reason = "ytcaption[semantic] is not installed here"
            return error_response(HTTPStatus.NOT_IMPLEMENTED, reason)
        try:
            line = await receive_line(Body(request.stream()), MAX_REQUEST_BYTES)
            message = EmbedRequest.from_line(line)
        except (RequestRejected, ValueError) as error:
            return error_response(HTTPStatus.BAD_REQUEST, str(error))
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        if message.model != self._embedding.model:
            return error_response(HTTPStatus.CONFLICT, f"the model here is {self._embedding.model}")
        try:
            response = self._embedding.embed(message)
        except EmbeddingBusy:
            return error_response(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are waiting")
        return StreamingResponse(_embedding_lines(response), media_type=_NDJSON)


async def _embedding_lines(response: asyncio.Task[bytes]) -> AsyncIterator[bytes]:
    while not (await asyncio.wait({response}, timeout=HEARTBEAT_S))[0]:
        yield encode_line({})
    yield response.result()


class _JobResponse(StreamingResponse):
    """Streams the job's lines; a client that disconnects before the end cancels the job."""

    _endings: ClassVar[set[asyncio.Task[None]]] = set()

    def __init__(self, job: Job) -> None:
        super().__init__(job.lines(), media_type=_NDJSON)
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except TimeoutError:
            _stop_worker()
            raise
        finally:
            self._job.cancel()
            ending = asyncio.create_task(_await_end(self._job))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)


async def _await_end(job: Job) -> None:
    """Wait for the end of a job; stop the worker if it hangs, because it keeps its slot."""
    try:
        await job.wait_ended()
    except TimeoutError:
        _stop_worker()


def _stop_worker() -> None:
    logger.error("a job hangs: this worker stops, so that a new one can replace it")
    os.kill(os.getpid(), signal.SIGTERM)
