"""A file from an OpenAI client: taken, waited for, answered; or told while it is heard."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
from fastapi import Request, Response
from sse_starlette import ServerSentEvent
from starlette.exceptions import HTTPException

from api.events.sse import EventAnswer
from api.http.errors import RETRY_AFTER_S, problem, problem_body, status_of_code
from api.http.openai_errors import shaped
from api.openai.schemas import AudioForm
from api.openai.view import audio_response
from api.transcriptions.request_schemas import OptionsAsked
from api.transcriptions.view import failure_of
from api.transcriptions.watch import Watcher
from api.uploads.intake import UploadIntake
from api.uploads.stream import received
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres
from resources.transcriptions.live_text import read_live_state
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.rows import TranscriptionRow
from ytcaption.domain import errors
from ytcaption.domain.caller import Caller
from ytcaption.domain.request import Task, TranscriptionStatus
from ytcaption.domain.transcripts.plain_text import running_text, with_space
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings import Settings

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0

ID_HEADER = "X-Transcription-Id"
"""Under which the same text is found at our own routes."""

_STOPPING = "The server stops. Ask again: the work goes on and is not lost."
_ASK_NO_MORE = {"x-should-retry": "false"}
"""OpenAI's clients would send the file again; all attempts that make sense were made here."""


class OpenAIAudio:
    """Answers OpenAI's audio routes with the installation's parts."""

    def __init__(
        self,
        settings: Settings,
        uploads: UploadIntake,
        watcher: Watcher,
        postgres: Postgres,
        object_store: ObjectStore,
    ) -> None:
        self._settings = settings
        self._uploads = uploads
        self._watcher = watcher
        self._postgres = postgres
        self._object_store = object_store

    async def answer(self, request: Request, caller: Caller, task: Task) -> Response:
        """The text of the file in a form, however long it takes, as long as the client stays. It is
        a transcription like any other: who asks again, or elsewhere, shares it.

        Raises:
            as `received` and `UploadIntake.take`; HTTPException where the client left or the
            server stops.
        """
        await self._uploads.check(OptionsAsked())
        async with received(request, self._uploads.uploads, form_only=True) as body:
            form = AudioForm.of(body.fields)
            asked = form.options(task, self._settings)
            submission = await self._uploads.take(caller, body, asked)
        id = submission.transcription.id
        headers = {ID_HEADER: id, "Cache-Control": "no-store"}
        if form.stream:
            return EventAnswer(self._told(caller, id), headers)
        row = await self._finished(request, caller, id)
        if row.status is TranscriptionStatus.COMPLETED:
            response = await anyio.to_thread.run_sync(self._rendered, row, form)
        else:
            response = problem(*_why_not(row), headers=_ASK_NO_MORE)
        response.headers.update(headers)
        return response

    async def _finished(self, request: Request, caller: Caller, id: str) -> TranscriptionRow:
        look = partial(get_transcription, self._postgres, id, caller.sees_only)
        async with self._watcher.changes(id) as changes:
            while True:
                with suppress(errors.DatabaseUnavailable):  # it comes back, and so do we
                    row = await self._watcher.look(look)
                    if row.status.is_final:
                        return row
                await changes.next(LOOK_EVERY_S)
                if self._watcher.closing:
                    raise HTTPException(503, _STOPPING, {"Retry-After": str(RETRY_AFTER_S)})
                if await request.is_disconnected():
                    raise HTTPException(400, "The client left.")

    def _rendered(self, row: TranscriptionRow, form: AudioForm) -> Response:
        assert row.document_key is not None, "completed without a document"
        document = self._object_store.read_bytes(row.document_key, row.document_sha256)
        return audio_response(Transcript.from_json(document), form, self._settings)

    async def _told(self, caller: Caller, id: str) -> AsyncGenerator[ServerSentEvent]:
        """Each segment as soon as it is certain, then all of the text, or why there is none.

        Another attempt begins anew; what it hears in the place of what was told already is not told
        again, but it is in the text at the end.
        """
        postgres, owner = self._postgres, caller.sees_only
        texts: list[str] = []
        told, attempt = 0, -1
        async with self._watcher.changes(id) as changes:
            while not self._watcher.closing:
                look = partial(read_live_state, postgres, id, owner, attempt, len(texts))
                try:
                    found = await self._watcher.look(look)
                except errors.DatabaseUnavailable:
                    await changes.next(LOOK_EVERY_S)
                    continue
                if found is None:
                    yield _failed(410, "transcription_erased", "The transcription was erased.")
                    return
                if found.attempt != attempt:
                    attempt, texts = found.attempt, []
                for segment in found.segments:
                    texts.append(segment.text)
                    if len(texts) > told:
                        told += 1
                        delta = with_space(segment.text) if told > 1 else segment.text
                        yield _event(type="transcript.text.delta", delta=delta)
                if found.row.status.is_final and found.has_all:
                    break
                if found.has_all:
                    await changes.next(LOOK_EVERY_S)
            else:
                yield _failed(503, "server_stops", _STOPPING)
                return
        if found.row.status is TranscriptionStatus.COMPLETED:
            yield _event(type="transcript.text.done", text=running_text(texts))
        else:
            yield _failed(*_why_not(found.row))


def _why_not(row: TranscriptionRow) -> tuple[int, str, str]:
    """Status, code and sentence of what came to its end without a text."""
    failure = failure_of(row)
    if row.status is not TranscriptionStatus.FAILED or failure is None:
        message = "The transcription was canceled. Ask for it again to start it anew."
        return 409, errors.ResultNotReady.code, message
    return status_of_code(failure.code) or 500, failure.code, failure.message


def _event(**content: Any) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(content, ensure_ascii=False), sep="\n")


def _failed(status: int, code: str, message: str) -> ServerSentEvent:
    """What OpenAI's clients raise as an APIError."""
    _, body = shaped(status, problem_body(status, code, message))
    return _event(**body)
