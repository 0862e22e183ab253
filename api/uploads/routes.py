"""Sending a file of one's own."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import Writer
from api.responses import DATABASE_UNAVAILABLE, LOCATION_HEADER, RETRY_AFTER_HEADER
from api.transcriptions.accepted import accepted
from api.transcriptions.examples import ACCEPTED
from api.transcriptions.idempotency import IdempotencyHeader
from api.transcriptions.request_schemas import UploadOptions
from api.transcriptions.schemas import TranscriptionAccepted
from api.uploads.dependencies import UploadIntakeDep
from api.uploads.intake import options_of
from api.uploads.responses import UPLOAD_BODY, UPLOAD_ERRORS
from api.uploads.stream import received

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])


@router.post(
    "/uploads",
    status_code=202,
    operation_id="createUpload",
    summary="Send a file to transcribe",
    response_description="Stored and asked for. Look at `status_url` after `Retry-After` seconds.",
    responses={
        202: {
            "content": {"application/json": {"example": ACCEPTED}},
            "headers": LOCATION_HEADER | RETRY_AFTER_HEADER,
        },
        **UPLOAD_ERRORS,
        **DATABASE_UNAVAILABLE,
    },
    openapi_extra={"requestBody": UPLOAD_BODY},
)
async def create_upload(
    request: Request,
    response: Response,
    caller: Writer,
    uploads: UploadIntakeDep,
    asked: Annotated[UploadOptions, Query()],
    key: IdempotencyHeader = None,
) -> TranscriptionAccepted:
    """Takes an audio or video file as a form's part `file`, or as the whole body, whatever its
    `Content-Type`. Options are fields of the form or parameters of the query.

    The file is looked at as soon as it is here: what is no media, has no sound or was cut off is
    refused, and nothing of it stays. The same bytes with the same options give the same `id`.
    """
    await uploads.check(asked, key)
    async with received(request, uploads.uploads) as body:
        asked = options_of(request, body.fields)
        return accepted(request, response, await uploads.take(caller, body, asked, key))
