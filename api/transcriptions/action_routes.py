"""Cancel, retry, pin and erase a transcription."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from api.dependencies import SettingsDep, Writer
from api.responses import (
    BODY_ERRORS,
    DATABASE_UNAVAILABLE,
    ERASURE_UNAVAILABLE,
    INTAKE_UNAVAILABLE,
    LOCATION_HEADER,
    NO_STORE,
    RETRY_AFTER_HEADER,
    TRANSCRIPTION_ERASED,
    TRANSCRIPTION_NOT_FOUND,
    json_example,
    problem_response,
)
from api.transcriptions.dependencies import ActionsDep, TranscriptionId
from api.transcriptions.examples import STATUS_EXAMPLES, status_example
from api.transcriptions.request_schemas import TranscriptionUpdate
from api.transcriptions.schemas import CancelResponse, TranscriptionResponse
from api.transcriptions.view import Links, poll_again, status_view

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

_CANCELED = status_example(status="canceled", stage=None, progress=None) | {"effect": "canceled"}
_RETRIED = status_example(status="queued", stage=None, progress=None, queue_position=1, attempt=1)
_PINNED = STATUS_EXAMPLES["completed"]["value"] | {"pinned": True, "keep": True}
_INVALID_UPDATE = problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. #/pinned: Input should be a valid boolean.",
        "A field is wrong",
    ),
)
_INVALID_FORCE = problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. query force: Input should be a valid boolean.",
        "A parameter is wrong",
    ),
)
_RETRY_ERRORS = _INVALID_FORCE | problem_response(
    409,
    (
        "transcription_busy",
        "A run is working on it. Wait for it to end, or cancel it, then retry.",
        "A run is working on it",
    ),
    (
        "already_completed",
        "The transcription is completed. Send force=true to transcribe it again.",
        "There is a result already",
    ),
)
_ERASE_ERRORS = (
    _INVALID_FORCE
    | problem_response(
        409,
        (
            "transcription_busy",
            "A run is working on it. Cancel it first, or send force=true.",
            "A run is working on it, or has not ended yet",
        ),
    )
    | ERASURE_UNAVAILABLE
)


@router.post(
    "/transcriptions/{id}/cancel",
    operation_id="cancelTranscription",
    summary="Cancel a transcription",
    response_description="Canceled, withdrawn or unchanged: `effect` says which.",
    responses={
        **json_example(200, _CANCELED),
        **TRANSCRIPTION_NOT_FOUND,
        **TRANSCRIPTION_ERASED,
        **DATABASE_UNAVAILABLE,
    },
)
def cancel_transcription(
    id: TranscriptionId,
    request: Request,
    response: Response,
    caller: Writer,
    settings: SettingsDep,
    actions: ActionsDep,
) -> CancelResponse:
    """Stop a queued or running transcription; its run ends within seconds and publishes nothing
    more. A finished one stays as it is, and an earlier result becomes valid again.

    If others requested it, too, only your own requests are withdrawn: it continues for them, and
    you no longer see it. An admin cancels it for everybody.
    """
    detail, effect = actions.cancel(caller, id)
    response.headers.update(NO_STORE)
    view = status_view(detail, Links.of(request, id), settings.runs.max_attempts)
    return CancelResponse(**view.model_dump(), effect=effect)


@router.post(
    "/transcriptions/{id}/retry",
    status_code=202,
    operation_id="retryTranscription",
    summary="Queue a transcription again",
    response_description="Queued. Poll `status_url` after `Retry-After` seconds.",
    responses={
        **json_example(202, _RETRIED, headers=LOCATION_HEADER | RETRY_AFTER_HEADER),
        **TRANSCRIPTION_NOT_FOUND,
        **TRANSCRIPTION_ERASED,
        **_RETRY_ERRORS,
        **INTAKE_UNAVAILABLE,
    },
)
def retry_transcription(
    id: TranscriptionId,
    request: Request,
    response: Response,
    caller: Writer,
    settings: SettingsDep,
    actions: ActionsDep,
    force: Annotated[
        bool, Query(description="Download and transcribe a completed one again, too.")
    ] = False,
) -> TranscriptionResponse:
    """Start a new series of attempts for a failed or canceled transcription. A queued one stays
    queued.

    With `force` a completed one is transcribed again. If others requested it, too, that takes an
    admin.
    """
    detail = actions.retry(caller, id, force=force)
    links = Links.of(request, id)
    response.headers.update(NO_STORE | {"Location": links.status_url})
    poll_again(response, detail.transcription)
    return status_view(detail, links, settings.runs.max_attempts)


@router.patch(
    "/transcriptions/{id}",
    operation_id="changeTranscription",
    summary="Pin or unpin a transcription",
    responses={
        **json_example(200, _PINNED),
        **BODY_ERRORS,
        **_INVALID_UPDATE,
        **TRANSCRIPTION_NOT_FOUND,
        **TRANSCRIPTION_ERASED,
        **DATABASE_UNAVAILABLE,
    },
)
def change_transcription(
    id: TranscriptionId,
    request: Request,
    response: Response,
    body: Annotated[TranscriptionUpdate, Body(examples=[{"pinned": True}])],
    caller: Writer,
    settings: SettingsDep,
    actions: ActionsDep,
) -> TranscriptionResponse:
    """While `pinned`, the transcription and its audio are exempt from retention by age. Each caller
    pins for their own requests, an admin for everybody's; it is exempt while any of them pins it.
    Erasing it still works.
    """
    detail = actions.set_pinned(caller, id, body.pinned)
    response.headers.update(NO_STORE)
    return status_view(detail, Links.of(request, id), settings.runs.max_attempts)


@router.delete(
    "/transcriptions/{id}",
    status_code=204,
    operation_id="deleteTranscription",
    summary="Erase a transcription",
    response_description="Erased, or erased before.",
    responses={**TRANSCRIPTION_NOT_FOUND, **_ERASE_ERRORS},
)
async def delete_transcription(
    id: TranscriptionId,
    caller: Writer,
    actions: ActionsDep,
    force: Annotated[
        bool, Query(description="Cancel the run that works on it, if there is one.")
    ] = False,
) -> None:
    """Erase its rows, its document, its rows in the lake, its runs and partition in Dagster, and
    its audio unless another transcription uses it. From then on it answers 410; requesting the
    media again transcribes it again.

    After a 503 some of it remains: repeat the request until it answers 204. If others requested it,
    too, only your own requests are withdrawn, and it answers 404 to you.
    """
    await actions.erase(caller, id, force=force)
