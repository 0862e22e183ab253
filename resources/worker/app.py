"""A worker's HTTP: `POST /slots` takes a slot, a POST to the slot hears a recording, `POST
/embeddings` makes vectors of texts, `GET /healthz` tells how the worker is.

A slot is taken first, so that nobody sends audio for nothing. Over a Unix socket, which only its
owner can open, runs name a file of samples. Over TCP they prove themselves by a token and send
them.
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
from resources.worker.auth import NO_TOKEN, Authenticator, refused
from resources.worker.embedding_process import EmbeddingProcess
from resources.worker.embedding_route import EmbeddingRoute
from resources.worker.jobs import Job, Jobs, memory_bytes
from resources.worker.protocol import Health, Order, encode_error
from resources.worker.samples import (
    AudioRefused,
    Body,
    mapped_samples,
    received_line,
    received_samples,
)
from ytcaption.domain.errors import YtcaptionError

logger = logging.getLogger(__name__)

_IDLE_LOOK_S = 5.0

_SLOT_S = 30.0
"""A slot that is not used for so long is free again: hours of samples may be copied first."""


class WorkerApp:
    """The routes of one worker."""

    def __init__(
        self,
        jobs: Jobs,
        door: Authenticator,
        *,
        engine: str,
        model: str,
        max_audio_s: float,
        scratch: Path,
        embedding: EmbeddingProcess | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            engine: `batched` or `sequential`.
            model: loaded at the start where it is here.
            scratch: where samples that are sent lie while they are heard.
            embedding: None where the extra `semantic` is not installed.
        """
        self._jobs, self._door, self._engine, self._model = jobs, door, engine, model
        self._max_samples = int(max_audio_s * SAMPLE_RATE_HZ)
        self._scratch = scratch
        self._embedding = embedding
        self._slots: dict[str, Job] = {}

    def app(self) -> Starlette:
        """What a server serves."""
        embeddings = EmbeddingRoute(self._door, self._embedding)
        return Starlette(
            routes=[
                Route("/slots", self._take, methods=["POST"]),
                Route("/slots/{slot}", self._recognize, methods=["POST"]),
                Route("/embeddings", embeddings.answer, methods=["POST"]),
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
        idle = asyncio.create_task(self._look_for_idleness())
        yield
        idle.cancel()
        if self._embedding is not None:
            await self._embedding.close()

    async def _look_for_idleness(self) -> None:
        while True:
            await asyncio.sleep(min(_IDLE_LOOK_S, self._jobs.idle_s / 4) or _IDLE_LOOK_S)
            await asyncio.to_thread(self._jobs.give_back)
            if self._embedding is not None:
                await self._embedding.give_back()

    async def _alive(self, _request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def _health(self, request: Request) -> Response:
        if not self._door.opens(request):
            return refused(HTTPStatus.UNAUTHORIZED, NO_TOKEN)
        health = Health(
            engine=self._engine,
            beam_size=self._jobs.transcriber.beam_size,
            jobs=self._jobs.taken,
            slots=self._jobs.slots,
            memory_bytes=memory_bytes(),
            models=self._jobs.models,
            embedding=self._embedding.health() if self._embedding is not None else None,
        )
        return JSONResponse(health.to_dict())

    async def _take(self, request: Request) -> Response:
        if not self._door.opens(request):
            return refused(HTTPStatus.UNAUTHORIZED, NO_TOKEN)
        job = self._jobs.take()
        if job is None:
            return refused(HTTPStatus.SERVICE_UNAVAILABLE, "every slot is taken")
        slot = secrets.token_urlsafe(16)
        self._slots[slot] = job
        asyncio.get_running_loop().call_later(_SLOT_S, self._expire, slot)
        return JSONResponse({"slot": slot}, HTTPStatus.CREATED)

    def _expire(self, slot: str) -> None:
        job = self._slots.pop(slot, None)
        if job is not None:
            job.cancel()

    async def _recognize(self, request: Request) -> Response:
        if not self._door.opens(request):
            return refused(HTTPStatus.UNAUTHORIZED, NO_TOKEN)
        job = self._slots.pop(request.path_params["slot"], None)
        if job is None:
            return refused(HTTPStatus.NOT_FOUND, "there is no such slot")
        try:
            job.start(*await self._received(request))
        except AudioRefused as error:
            return refused(HTTPStatus.BAD_REQUEST, str(error))
        except YtcaptionError as error:  # DiskFull
            return JSONResponse(encode_error(error), HTTPStatus.INSUFFICIENT_STORAGE)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        finally:
            if not job.is_started:
                job.cancel()
        return _Answer(job)

    async def _received(self, request: Request) -> tuple[Order, np.ndarray]:
        body = Body(request.stream())
        try:
            order = Order.read(await received_line(body))
        except ValueError as error:
            raise AudioRefused(str(error)) from None
        if not 0 <= order.samples <= self._max_samples:
            raise AudioRefused("the audio is longer than is allowed here")
        if not self._door.is_local:
            if order.path is not None:
                raise AudioRefused("files are named through a socket only")
            return order, await received_samples(body, order.samples, self._scratch)
        if order.path is None or await body.block() is not None:
            raise AudioRefused("through a socket samples are in a file")
        return order, mapped_samples(order.path, order.samples)


class _Answer(StreamingResponse):
    """The job's lines; who goes before its end has canceled it."""

    _ends: ClassVar[set[asyncio.Task[None]]] = set()

    def __init__(self, job: Job) -> None:
        super().__init__(job.lines(), media_type="application/x-ndjson")
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except TimeoutError:
            _stop_worker()
            raise
        finally:
            self._job.cancel()
            end = asyncio.create_task(_end(self._job))
            self._ends.add(end)
            end.add_done_callback(self._ends.discard)


async def _end(job: Job) -> None:
    """A canceled job that hangs keeps its slot, for nobody."""
    try:
        await job.ended()
    except TimeoutError:
        _stop_worker()


def _stop_worker() -> None:
    logger.error("a job has hung: this worker stops, and another one takes its place")
    os.kill(os.getpid(), signal.SIGTERM)
