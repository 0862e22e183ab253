"""Versions of a media item, and transcribing many transcriptions again."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from api.dependencies import (
    LongWorkDep,
    ObjectStoreDep,
    PostgresDep,
    Reader,
    SettingsDep,
    Writer,
)
from api.http.errors import HTTP_DETAILS
from api.http.pagination import Limit
from api.responses import (
    BODY_ERRORS,
    DATABASE_UNAVAILABLE,
    INTAKE_UNAVAILABLE,
    LINK_HEADER,
    LIST_ERRORS,
    NO_STORE,
    TRANSCRIPTION_NOT_FOUND,
    UNKNOWN_LANGUAGE,
    UNKNOWN_MODEL,
    json_example,
    problem_response,
)
from api.transcriptions.dependencies import SubmitterDep
from api.transcriptions.examples import EXAMPLE_ID, status_example
from api.transcriptions.listing import PositionDep, TranscriptionPage, page_view
from api.transcriptions.result import (
    NOT_MODIFIED,
    RESULT_ERRORS,
    ResultOptionsDep,
    result_documentation,
    result_response,
)
from api.transcriptions.view import Links
from api.versions.schemas import (
    MediaVersionsResponse,
    RetranscriptionRequest,
    RetranscriptionResponse,
)
from resources.retranscribe.columns import COLUMNS
from resources.retranscribe.plan import parse_retranscription
from resources.retranscribe.service import enqueue_retranscriptions
from resources.transcriptions.listing import ListFilter, transcription_page
from resources.transcriptions.quotas import limits_of
from resources.transcriptions.reads import media_versions
from ytcaption.domain.errors import InvalidCursor, ResultNotReady, TranscriptionNotFound
from ytcaption.domain.request import is_media_id, is_partition_key

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

TIME_LIMIT_S = 20.0
"""One request examines transcriptions for at most this long."""

_MEDIA_PATH = "/api/v1/media/youtube-dQw4w9WgXcQ"
_MEDIA: dict[str, Any] = {
    "media": status_example()["media"],
    "versions": 2,
    "completed": 1,
    "latest": EXAMPLE_ID,
    "versions_url": f"{_MEDIA_PATH}/versions",
    "latest_url": f"{_MEDIA_PATH}/versions/latest",
}
_VERSIONS: dict[str, Any] = {
    "items": [status_example()],
    "next_cursor": None,
    "next_url": None,
}
_EXCLUDED = [{"reason": "are there already", "number": 1}]
_RETRANSCRIPTION: dict[str, Any] = {
    "dry_run": False,
    "examined": 3,
    "number": 2,
    "audio_s": 5400.0,
    "ids": [EXAMPLE_ID],
    "kinds": [
        {"made_by": "base", "model": "small", "language": "en", "number": 2, "audio_s": 5400.0}
    ],
    "joined": 0,
    "excluded": _EXCLUDED,
    "next_cursor": None,
    "looked_at": 3,
    "left_out": _EXCLUDED,
}
_CONTENT_LOCATION = {
    "Content-Location": {
        "description": "`result_url` of this version.",
        "schema": {"type": "string", "format": "uri-reference"},
    }
}
_RETRANSCRIPTION_ERRORS = (
    BODY_ERRORS
    | problem_response(
        400,
        ("malformed_request", HTTP_DETAILS[400], "The body is not JSON"),
        (
            "invalid_cursor",
            "This cursor was not issued by a response. Start without a cursor.",
            "The cursor is not valid",
        ),
    )
    | problem_response(
        422,
        (
            "invalid_option",
            f"`colour` is not a column. The columns are: {', '.join(COLUMNS)}. Write texts and "
            "times in single quotes.",
            "The expression is not valid",
        ),
        UNKNOWN_MODEL,
        UNKNOWN_LANGUAGE,
        (
            "invalid_request",
            "The request is not valid. #/limit: Input should be greater than or equal to 1.",
            "A field is wrong",
        ),
    )
)
_LIST_RESPONSES = {
    **json_example(200, _VERSIONS, headers=LINK_HEADER),
    **LIST_ERRORS,
    **TRANSCRIPTION_NOT_FOUND,
    **DATABASE_UNAVAILABLE,
}
_RESULT_RESPONSES = {
    200: result_documentation(_CONTENT_LOCATION),
    304: NOT_MODIFIED,
    **TRANSCRIPTION_NOT_FOUND,
    **RESULT_ERRORS,
    **DATABASE_UNAVAILABLE,
}


async def _media_id(
    media_id: Annotated[
        str,
        Path(
            description="The part of a transcription's id before the dot.",
            examples=["youtube-dQw4w9WgXcQ"],
        ),
    ],
) -> str:
    if not is_media_id(media_id):
        raise TranscriptionNotFound("There is no such media.")
    return media_id


MediaId = Annotated[str, Depends(_media_id)]


@router.get(
    "/media/{media_id}",
    operation_id="getMedia",
    summary="Get a media item and its latest transcription",
    responses=json_example(200, _MEDIA) | TRANSCRIPTION_NOT_FOUND | DATABASE_UNAVAILABLE,
)
def read_media(
    media_id: MediaId,
    request: Request,
    response: Response,
    caller: Reader,
    postgres: PostgresDep,
) -> MediaVersionsResponse:
    """Return what is known of a media item, how many transcriptions you have of it, and which was
    completed last."""
    response.headers.update(NO_STORE)
    versions = media_versions(postgres, media_id, caller.sees_only)
    return MediaVersionsResponse.of(versions, _path(request, media_id))


@router.get(
    "/media/{media_id}/versions",
    operation_id="listVersions",
    summary="List the transcriptions of a media item",
    responses=_LIST_RESPONSES,
)
def list_versions(
    media_id: MediaId,
    request: Request,
    response: Response,
    caller: Reader,
    settings: SettingsDep,
    postgres: PostgresDep,
    after: PositionDep,
    limit: Limit = 50,
) -> TranscriptionPage:
    """Return your transcriptions of a media item, the newest first. Other models, languages or
    hints, captions or audio: each combination is a transcription of its own and stays when a newer
    one is made.
    """
    media_versions(postgres, media_id, caller.sees_only)
    filter = ListFilter(media_id=media_id)
    details = transcription_page(postgres, caller, filter, after=after, limit=limit + 1)
    path = f"/api/v1/media/{media_id}/versions"
    return page_view(request, response, details, limit, settings.runs.max_attempts, path)


@router.get(
    "/media/{media_id}/versions/latest",
    operation_id="getLatestResult",
    summary="Get captions or the transcript of the latest version",
    response_class=Response,
    responses=_RESULT_RESPONSES,
)
async def read_latest(
    media_id: MediaId,
    request: Request,
    caller: Reader,
    settings: SettingsDep,
    postgres: PostgresDep,
    object_store: ObjectStoreDep,
    options: ResultOptionsDep,
    long_work: LongWorkDep,
) -> Response:
    """Return the result of the transcription of this media item that was completed last, of those
    you requested.

    `Content-Location` names it; the `ETag` is that of the same result there.
    """

    def read() -> Response:
        latest = media_versions(postgres, media_id, caller.sees_only).latest
        if latest is None:
            raise ResultNotReady("No transcription of it is completed yet. Ask again later.")
        result = result_response(latest, options, settings, postgres, object_store, caller)
        result.headers["Content-Location"] = Links.of(request, latest.id).result_url
        return result

    return await long_work.results.run(caller, read)


router.add_api_route(
    "/media/{media_id}/transcripts",
    list_versions,
    operation_id="listVersionsOldPath",
    summary="List the transcriptions of a media item (old path)",
    description="Old path of `/api/v1/media/{media_id}/versions`.",
    responses=_LIST_RESPONSES,
    deprecated=True,
)
router.add_api_route(
    "/media/{media_id}/transcripts/latest",
    read_latest,
    operation_id="getLatestResultOldPath",
    summary="Get captions or the transcript of the latest version (old path)",
    description="Old path of `/api/v1/media/{media_id}/versions/latest`.",
    response_class=Response,
    responses=_RESULT_RESPONSES,
    deprecated=True,
)


@router.post(
    "/retranscriptions",
    operation_id="createRetranscriptions",
    summary="Retranscribe many transcriptions",
    responses=json_example(200, _RETRANSCRIPTION) | _RETRANSCRIPTION_ERRORS | INTAKE_UNAVAILABLE,
)
async def create_retranscriptions(
    body: Annotated[
        RetranscriptionRequest,
        Body(
            openapi_examples={
                "look": {"value": {"where": "model = 'base'", "language": "en", "dry_run": True}},
                "changed": {"value": {"changed": True, "dry_run": True}},
            }
        ),
    ],
    caller: Writer,
    settings: SettingsDep,
    submitter: SubmitterDep,
    postgres: PostgresDep,
    long_work: LongWorkDep,
) -> RetranscriptionResponse:
    """Request another version of every transcription of yours that matches, with priority `bulk`.
    With the scope `admin`: of everybody's, for each who requested the previous version.

    A repeated request queues only versions that do not exist yet. One request takes at most 20 s:
    while `next_cursor` is not null, send it again as `cursor`.
    """

    def enqueue() -> RetranscriptionResponse:
        retranscription = parse_retranscription(
            settings.speech.models,
            body.where,
            changed=body.changed,
            model=body.model,
            language=body.language,
            captions=body.captions,
            limit=body.limit,
            owner=caller.sees_only,
            limits=limits_of(caller, settings) if caller.sees_only else None,
        )
        if body.cursor is not None and not is_partition_key(body.cursor):
            raise InvalidCursor("This cursor was not issued by a response. Start without a cursor.")
        if not body.dry_run:
            submitter.check_intake()
        deadline = time.monotonic() + TIME_LIMIT_S
        result = enqueue_retranscriptions(
            postgres,
            settings.speech.models,
            retranscription,
            dry_run=body.dry_run,
            after=body.cursor or "",
            is_over=lambda: time.monotonic() > deadline,
        )
        return RetranscriptionResponse.of(result, dry_run=body.dry_run)

    return await long_work.bulk.run(caller, enqueue)


def _path(request: Request, media_id: str) -> str:
    return f"{request.scope.get('root_path', '')}/api/v1/media/{media_id}"
