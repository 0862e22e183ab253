"""`POST /api/v1/uploads`: transcribe an uploaded file."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import Writer, part
from api.responses import DATABASE_UNAVAILABLE, LOCATION_HEADER, RETRY_AFTER_HEADER, json_example
from api.transcriptions.dependencies import HOLDS_STREAM_SLOT
from api.transcriptions.examples import ACCEPTED
from api.transcriptions.idempotency import IdempotencyHeader
from api.transcriptions.request_schemas import UploadOptions
from api.transcriptions.schemas import AcceptedResponse
from api.transcriptions.view import accepted
from api.uploads.intake import UploadIntake, options_of
from api.uploads.responses import UPLOAD_BODY, UPLOAD_ERRORS
from api.uploads.stream import receive_body

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

UploadIntakeDep = Annotated[UploadIntake, part("uploads")]


@router.post(
    "/uploads",
    status_code=202,
    operation_id="createUpload",
    summary="Upload a file to transcribe",
    response_description="Stored and queued. Poll `status_url` after `Retry-After` seconds.",
    responses={
        **json_example(202, ACCEPTED, headers=LOCATION_HEADER | RETRY_AFTER_HEADER),
        **UPLOAD_ERRORS,
        **DATABASE_UNAVAILABLE,
    },
    openapi_extra={"requestBody": UPLOAD_BODY},
    dependencies=[HOLDS_STREAM_SLOT],
)
async def create_upload(
    request: Request,
    response: Response,
    caller: Writer,
    uploads: UploadIntakeDep,
    options: Annotated[UploadOptions, Query()],
    key: IdempotencyHeader = None,
) -> AcceptedResponse:
    """Transcribe an audio or video file, sent as the part `file` of a form or as the whole body,
    whatever its `Content-Type`. Options are fields of the form or parameters of the query.

    The file's headers are inspected as soon as it has arrived: a file that is not media, has no
    audio track or is truncated according to its container is refused and not stored. Where only
    decoding shows that the end is missing, the transcription fails with `audio_truncated`. The same
    bytes with the same options give the same `id`.
    """
    await uploads.check(options, key)
    async with receive_body(request, uploads.uploads) as body:
        options = options_of(request, body.fields)
        return accepted(request, response, await uploads.submit(caller, body, options, key))
