"""Asking for a transcription, and watching it."""

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from api.accepted import accepted, look_again
from api.dependencies import Reader, RequestStoreDep, SettingsDep, SubmitterDep, Writer
from api.examples import ACCEPTED, CREATE_EXAMPLES, STATUS_EXAMPLES
from api.idempotency import IdempotencyHeader, idempotency
from api.parameters import TranscriptionId
from api.request_schemas import TranscriptionCreate
from api.responses import (
    CREATE_REFUSALS,
    DATABASE_AWAY,
    LOCATION_HEADER,
    NOT_FOUND,
    RETRY_AFTER_HEADER,
)
from api.schemas import (
    TranscriptionAccepted,
    TranscriptionRead,
)
from api.transcription_view import path_of, status_view

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])


@router.post(
    "/transcriptions",
    status_code=202,
    operation_id="createTranscription",
    summary="Ask for a transcription",
    response_description="Kept. Look at `status_url` after `Retry-After` seconds.",
    responses={
        202: {
            "content": {"application/json": {"example": ACCEPTED}},
            "headers": LOCATION_HEADER | RETRY_AFTER_HEADER,
        },
        **CREATE_REFUSALS,
        **DATABASE_AWAY,
    },
)
def create_transcription(
    request: Request,
    response: Response,
    asked: Annotated[TranscriptionCreate, Body(openapi_examples=CREATE_EXAMPLES)],
    caller: Writer,
    submitter: SubmitterDep,
    key: IdempotencyHeader = None,
) -> TranscriptionAccepted:
    """Keeps the request and answers at once; downloading and transcribing come after.

    Asking again for the same media with the same options gives the same `id` and shares the work;
    what failed or was canceled is queued anew.
    """
    submission = submitter.submit(caller, asked, idempotency=idempotency(key, asked))
    return accepted(request, response, submission)


@router.get(
    "/transcriptions/{id}",
    operation_id="getTranscription",
    summary="Where a transcription stands",
    responses={
        200: {
            "content": {"application/json": {"examples": STATUS_EXAMPLES}},
            "headers": RETRY_AFTER_HEADER,
        },
        **NOT_FOUND,
        **DATABASE_AWAY,
    },
)
def read_transcription(
    id: TranscriptionId,
    request: Request,
    response: Response,
    caller: Reader,
    settings: SettingsDep,
    request_store: RequestStoreDep,
) -> TranscriptionRead:
    """State, progress in bytes or seconds of audio, and why it failed if it did.

    `Retry-After` is sent as long as something may still change.
    """
    row = request_store.get(id, caller.sees_only)
    response.headers["Cache-Control"] = "no-store"
    look_again(response, row)
    return status_view(
        row,
        request_store.media(row.media_id),
        max_attempts=settings.max_attempts,
        status_url=path_of(request, "read_transcription", id),
        result_url=path_of(request, "read_result", id),
    )
