"""A worker's `POST /embeddings`: texts become vectors, by the process that holds the model."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from resources.worker.auth import NO_TOKEN, Authenticator, refused
from resources.worker.embedding_process import EmbeddingBusy, EmbeddingProcess
from resources.worker.embedding_protocol import MOST_BYTES, Texts
from resources.worker.jobs import BEAT_S
from resources.worker.protocol import line
from resources.worker.samples import AudioRefused, Body, received_line


class EmbeddingRoute:
    """Behind the worker's door."""

    def __init__(self, door: Authenticator, process: EmbeddingProcess | None) -> None:
        """Starts nothing yet.

        Args:
            process: None where the extra `semantic` is not installed.
        """
        self._door, self._process = door, process

    async def answer(self, request: Request) -> Response:
        """A line each half a second, so that whoever waits knows that it goes on; then the one of
        the process."""
        if not self._door.opens(request):
            return refused(HTTPStatus.UNAUTHORIZED, NO_TOKEN)
        if self._process is None:
            return refused(HTTPStatus.NOT_IMPLEMENTED, "ytcaption[semantic] is not installed here")
        try:
            texts = Texts.read(await received_line(Body(request.stream()), MOST_BYTES))
        except (AudioRefused, ValueError) as error:
            return refused(HTTPStatus.BAD_REQUEST, str(error))
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        if texts.model != self._process.model:
            return refused(HTTPStatus.CONFLICT, f"the model here is {self._process.model}")
        try:
            answer = self._process.ask(texts)
        except EmbeddingBusy:
            return refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many wait")
        return StreamingResponse(_lines(answer), media_type="application/x-ndjson")


async def _lines(answer: asyncio.Task[bytes]) -> AsyncIterator[bytes]:
    while not (await asyncio.wait({answer}, timeout=BEAT_S))[0]:
        yield line({})
    yield answer.result()
