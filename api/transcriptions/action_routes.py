"""Cancel, retry, keep and erase a transcription."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response

from api.dependencies import SettingsDep, Writer
from api.http.parameters import TranscriptionId
from api.responses import (
    BODY_ERRORS,
    DATABASE_UNAVAILABLE,
    INTAKE_UNAVAILABLE,
    LOCATION_HEADER,
    NOT_FOUND,
    RETRY_AFTER_HEADER,
)
from api.transcriptions.accepted import poll_again
from api.transcriptions.action_responses import (
    CANCELED,
    ERASE_ERRORS,
    ERASED,
    KEPT,
    RETRIED,
    RETRY_ERRORS,
    WRONG_KEEP,
)
from api.transcriptions.dependencies import ActionsDep
from api.transcriptions.request_schemas import TranscriptionChange
from api.transcriptions.schemas import TranscriptionCanceled, TranscriptionRead
from api.transcriptions.view import Links, status_view

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

_NO_STORE = {"Cache-Control": "no-store"}


@router.post(
    "/transcriptions/{id}/cancel",
    operation_id="cancelTranscription",
    summary="Cancel a transcription",
    response_description="Canceled, withdrawn, or at rest already: `effect` says which.",
    responses={
        200: {"content": {"application/json": {"example": CANCELED}}},
        **NOT_FOUND,
        **ERASED,
        **DATABASE_UNAVAILABLE,
    },
)
def cancel_transcription(
    id: TranscriptionId,
    request: Request,
    response: Response,
    caller: Writer,
    settings: SettingsDep,
    endings: ActionsDep,
) -> TranscriptionCanceled:
    """Stops what is queued or running; its run ends within seconds and publishes nothing more. What
    is at rest stays as it is, and where an earlier result stands, that counts again.

    Where others asked for it, too, only your own requests are taken back: it goes on for them, and
    you no longer see it. An admin's cancel is everybody's.
    """
    detail, effect = endings.cancel(caller, id)
    response.headers.update(_NO_STORE)
    view = status_view(detail, Links.of(request, id), settings.max_attempts)
    return TranscriptionCanceled(**view.model_dump(), effect=effect)


@router.post(
    "/transcriptions/{id}/retry",
    status_code=202,
    operation_id="retryTranscription",
    summary="Queue a transcription anew",
    response_description="Queued. Look at `status_url` after `Retry-After` seconds.",
    responses={
        202: {
            "content": {"application/json": {"example": RETRIED}},
            "headers": LOCATION_HEADER | RETRY_AFTER_HEADER,
        },
        **NOT_FOUND,
        **ERASED,
        **RETRY_ERRORS,
        **INTAKE_UNAVAILABLE,
    },
)
def retry_transcription(
    id: TranscriptionId,
    request: Request,
    response: Response,
    caller: Writer,
    settings: SettingsDep,
    endings: ActionsDep,
    force: Annotated[
        bool, Query(description="Make a completed one anew, too: downloaded and transcribed.")
    ] = False,
) -> TranscriptionRead:
    """What failed or was canceled begins a new series of attempts. What is queued stays so.

    With `force` a completed one is made anew, unless others asked for it, too: that takes an admin.
    """
    detail = endings.retry(caller, id, force=force)
    links = Links.of(request, id)
    response.headers.update(_NO_STORE | {"Location": links.status_url})
    poll_again(response, detail.transcription)
    return status_view(detail, links, settings.max_attempts)


@router.patch(
    "/transcriptions/{id}",
    operation_id="changeTranscription",
    summary="Keep a transcription, or no longer",
    responses={
        200: {"content": {"application/json": {"example": KEPT}}},
        **BODY_ERRORS,
        **WRONG_KEEP,
        **NOT_FOUND,
        **ERASED,
        **DATABASE_UNAVAILABLE,
    },
)
def change_transcription(
    id: TranscriptionId,
    request: Request,
    response: Response,
    asked: Annotated[TranscriptionChange, Body(examples=[{"keep": True}])],
    caller: Writer,
    settings: SettingsDep,
    endings: ActionsDep,
) -> TranscriptionRead:
    """With `keep` no age takes it away, nor its audio, for as long as anybody who asked for it
    wants so. You speak for your own requests; an admin for everybody's. Erasing still erases.
    """
    detail = endings.set_keep(caller, id, asked.keep)
    response.headers.update(_NO_STORE)
    return status_view(detail, Links.of(request, id), settings.max_attempts)


@router.delete(
    "/transcriptions/{id}",
    status_code=204,
    operation_id="deleteTranscription",
    summary="Erase a transcription",
    response_description="Erased, also where it was before.",
    responses={**NOT_FOUND, **ERASE_ERRORS},
)
def delete_transcription(
    id: TranscriptionId,
    caller: Writer,
    endings: ActionsDep,
    force: Annotated[
        bool, Query(description="Cancel the run that works on it, if there is one.")
    ] = False,
) -> None:
    """Its rows, document, rows in the lake, runs and partition in Dagster, and its audio where no
    other transcription uses it. From then on it is 410; asking for the media again makes it anew.

    A 503 says that a part was away, so that not all is gone: repeat it until it is 204. Where
    others asked for it, too, only your own requests are taken back, and to you it is 404.
    """
    endings.erase(caller, id, force=force)
