"""Transcribes files of OpenAI's clients: submit, wait and answer, or stream the text."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial
from typing import Any

from fastapi import Request, Response
from sse_starlette import ServerSentEvent
from starlette.exceptions import HTTPException

from api.auth.authentication import Authenticator
from api.auth.lasting import LastingAuthorization
from api.events.sse import EventStreamResponse
from api.http.errors import RETRY_AFTER_S, problem, problem_body, status_of_code
from api.http.openai_errors import adapted
from api.long_work import WorkThreads
from api.openai.schemas import AudioForm
from api.openai.view import audio_response
from api.transcriptions.request_schemas import RequestOptions
from api.transcriptions.result import RENDERING
from api.transcriptions.view import failure_of
from api.transcriptions.watch import Watcher
from api.uploads.intake import UploadIntake
from api.uploads.stream import receive_body
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
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

RECHECK_EVERY_S = 30.0

ID_HEADER = "X-Transcription-Id"
"""The id of the transcription, for the routes under `/api/v1`."""

_STOPPING = "The server stops. Send the file again: the work continues and is not lost."
_DO_NOT_RETRY = {"x-should-retry": "false"}
"""OpenAI's clients would send the file again, but the server has made all attempts itself."""


class OpenAIAudio:
    """Handles OpenAI's audio routes."""

    def __init__(
        self,
        settings: Settings,
        uploads: UploadIntake,
        watcher: Watcher,
        result_threads: WorkThreads,
        postgres: Postgres,
        object_store: ObjectStore,
        authenticator: Authenticator,
    ) -> None:
        self._settings = settings
        self._uploads = uploads
        self._watcher = watcher
        self._result_threads = result_threads
        self._postgres = postgres
        self._object_store = object_store
        self._authenticator = authenticator

    async def answer(self, request: Request, caller: Caller, task: Task) -> Response:
        """Return the text of the uploaded file, however long it takes, while the client waits.

        It is an ordinary transcription: equal requests, from any client, share it.

        Raises:
            as `receive_body` and `UploadIntake.submit`; Unauthenticated if the key ends meanwhile;
            HTTPException if the client leaves or the server stops.
        """
        await self._uploads.check(RequestOptions())
        async with receive_body(request, self._uploads.uploads, form_only=True) as body:
            form = AudioForm.of(body.fields)
            options = form.options(task, self._settings)
            submission = await self._uploads.submit(caller, body, options)
        id = submission.transcription.id
        headers = {ID_HEADER: id, "Cache-Control": "no-store"}
        authorization = LastingAuthorization(self._authenticator, caller, request.headers, "write")
        if form.stream:
            return EventStreamResponse(self._stream(caller, id, authorization), headers)
        row = await self._final_row(request, caller, id, authorization)
        if row.status is TranscriptionStatus.COMPLETED:
            rendered = partial(self._rendered, row, form)
            response = await self._result_threads.run(caller, rendered)
        else:
            response = problem(*_problem_of(row), headers=_DO_NOT_RETRY)
        response.headers.update(headers)
        return response

    async def _final_row(
        self, request: Request, caller: Caller, id: str, authorization: LastingAuthorization
    ) -> TranscriptionRow:
        read = partial(get_transcription, self._postgres, id, caller.sees_only)
        async with self._watcher.changes(id) as changes:
            while True:
                with suppress(errors.DatabaseUnavailable):  # keep waiting until it is back
                    await authorization.check()
                    row = await self._watcher.query(read)
                    if row.status.is_final:
                        return row
                await changes.next(RECHECK_EVERY_S)
                if self._watcher.closing:
                    raise HTTPException(503, _STOPPING, {"Retry-After": str(RETRY_AFTER_S)})
                if await request.is_disconnected():
                    raise HTTPException(400, "The client left.")

    def _rendered(self, row: TranscriptionRow, form: AudioForm) -> Response:
        assert row.document_key is not None, "completed without a document"
        document = self._object_store.read_bytes(row.document_key, row.document_sha256)
        with RENDERING:
            return audio_response(Transcript.from_json(document), form, self._settings)

    async def _stream(
        self, caller: Caller, id: str, authorization: LastingAuthorization
    ) -> AsyncGenerator[ServerSentEvent]:
        """Yield each segment once it is final, then the whole text, or why there is none.

        If a second attempt starts, segments in positions that were sent already are not sent again,
        but the text at the end is complete.
        """
        postgres, owner = self._postgres, caller.sees_only
        texts: list[str] = []
        sent, attempt = 0, -1
        async with self._watcher.changes(id) as changes:
            while not self._watcher.closing:
                read = partial(read_live_state, postgres, id, owner, attempt, len(texts))
                try:
                    await authorization.check()
                    snapshot = await self._watcher.query(read)
                except errors.DatabaseUnavailable:
                    await changes.next(RECHECK_EVERY_S)
                    continue
                except errors.Unauthenticated as error:
                    yield _error_event(401, error.code, error.message)
                    return
                if snapshot is None:
                    yield _error_event(410, "transcription_erased", "The transcription was erased.")
                    return
                if snapshot.attempt != attempt:
                    attempt, texts = snapshot.attempt, []
                for segment in snapshot.segments:
                    texts.append(segment.text)
                    if len(texts) > sent:
                        sent += 1
                        delta = with_space(segment.text) if sent > 1 else segment.text
                        yield _event(type="transcript.text.delta", delta=delta)
                if snapshot.row.status.is_final and snapshot.has_all:
                    break
                if snapshot.has_all:
                    await changes.next(RECHECK_EVERY_S)
            else:
                yield _error_event(503, "server_stops", _STOPPING)
                return
        if snapshot.row.status is TranscriptionStatus.COMPLETED:
            yield _event(type="transcript.text.done", text=running_text(texts))
        else:
            yield _error_event(*_problem_of(snapshot.row))


def _problem_of(row: TranscriptionRow) -> tuple[int, str, str]:
    """Return status, code and detail for a transcription that ended without a text."""
    failure = failure_of(row)
    if row.status is not TranscriptionStatus.FAILED or failure is None:
        message = "The transcription was canceled. Request it again to restart it."
        return 409, errors.ResultNotReady.code, message
    return status_of_code(failure.code) or 500, failure.code, failure.message


def _event(**content: Any) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(content, ensure_ascii=False), sep="\n")


def _error_event(status: int, code: str, message: str) -> ServerSentEvent:
    """Return an event that OpenAI's clients raise as an APIError."""
    _, body = adapted(status, problem_body(status, code, message))
    return _event(**body)
