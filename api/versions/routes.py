"""All transcriptions of one media, and having many made anew."""

import time
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from api.dependencies import ObjectStoreDep, PostgresDep, Reader, SettingsDep, Writer
from api.responses import (
    DATABASE_UNAVAILABLE,
    ENTITY_HEADERS,
    INTAKE_UNAVAILABLE,
    LINK_HEADER,
    LIST_ERRORS,
    NOT_FOUND,
    RESULT_ERRORS,
    result_response,
)
from api.transcriptions.dependencies import SubmitterDep
from api.transcriptions.list_parameters import Limit, PositionDep
from api.transcriptions.list_view import TranscriptionPage, page_view
from api.transcriptions.result import ResultAsked, result_answer
from api.transcriptions.view import Links
from api.versions.responses import (
    ANEW_ERRORS,
    ANEW_EXAMPLE,
    CONTENT_LOCATION,
    MEDIA_EXAMPLE,
    VERSIONS_EXAMPLE,
)
from api.versions.schemas import MediaVersionsRead, RetranscriptionAsked, RetranscriptionRead
from resources.retranscribe.plan import parse_retranscription
from resources.retranscribe.service import enqueue_retranscriptions
from resources.transcriptions.listing import ListFilter, transcription_page
from resources.transcriptions.quotas import limits_of
from resources.transcriptions.reads import media_versions
from ytcaption.domain.errors import InvalidCursor, ResultNotReady, TranscriptionNotFound
from ytcaption.domain.request import is_media_id, is_partition_key

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

ANEW_S = 20.0
"""In which one answer looks for what is to be made anew."""


async def _media_id(
    media_id: Annotated[
        str,
        Path(
            description="What stands before the dot in a transcription's id.",
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
    summary="A media and its newest transcription",
    responses={200: {"content": {"application/json": {"example": MEDIA_EXAMPLE}}}}
    | NOT_FOUND
    | DATABASE_UNAVAILABLE,
)
def read_media(
    media_id: MediaId,
    request: Request,
    response: Response,
    caller: Reader,
    postgres: PostgresDep,
) -> MediaVersionsRead:
    """What is known of it, how many transcriptions you have of it, and which was completed last."""
    response.headers["Cache-Control"] = "no-store"
    found = media_versions(postgres, media_id, caller.sees_only)
    return MediaVersionsRead.of(found, _path(request, media_id))


@router.get(
    "/media/{media_id}/transcripts",
    operation_id="listVersions",
    summary="All transcriptions of a media, the newest first",
    responses={
        200: {
            "content": {"application/json": {"example": VERSIONS_EXAMPLE}},
            "headers": LINK_HEADER,
        },
        **LIST_ERRORS,
        **NOT_FOUND,
        **DATABASE_UNAVAILABLE,
    },
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
    """With other models, languages, hints, from captions or from the audio: each is a transcription
    of its own, and stays where it is when a newer one comes.
    """
    media_versions(postgres, media_id, caller.sees_only)
    chosen = ListFilter(media_id=media_id)
    details = transcription_page(postgres, caller, chosen, after=after, limit=limit + 1)
    path = f"/api/v1/media/{media_id}/transcripts"
    return page_view(request, response, details, limit, settings.max_attempts, path)


@router.get(
    "/media/{media_id}/transcripts/latest",
    operation_id="getLatestResult",
    summary="Captions or transcript, of the newest version",
    response_class=Response,
    responses={
        200: result_response(CONTENT_LOCATION),
        304: {"description": "You have it already.", "headers": ENTITY_HEADERS},
        **NOT_FOUND,
        **RESULT_ERRORS,
        **DATABASE_UNAVAILABLE,
    },
)
def read_latest(
    media_id: MediaId,
    request: Request,
    caller: Reader,
    settings: SettingsDep,
    postgres: PostgresDep,
    object_store: ObjectStoreDep,
    asked: ResultAsked,
) -> Response:
    """The result of what was completed last of all that you have asked for of this media.

    `Content-Location` names it; its `ETag` is that of the same result there.
    """
    latest = media_versions(postgres, media_id, caller.sees_only).latest
    if latest is None:
        raise ResultNotReady("No transcription of this media is completed yet. Ask again later.")
    answer = result_answer(latest, asked, settings, postgres, object_store)
    answer.headers["Content-Location"] = Links.of(request, latest.id).result_url
    return answer


@router.post(
    "/retranscriptions",
    operation_id="createRetranscriptions",
    summary="Have many transcriptions made anew",
    responses={200: {"content": {"application/json": {"example": ANEW_EXAMPLE}}}}
    | ANEW_ERRORS
    | INTAKE_UNAVAILABLE,
)
def create_retranscriptions(
    asked: Annotated[
        RetranscriptionAsked,
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
) -> RetranscriptionRead:
    """Asks for another version of everything that fits, with priority `bulk`. Of yours; with the
    scope `admin`, of everybody's, for each who asked for the version before.

    Sent again, it asks for what is not there yet. One answer takes 20 s at most: while
    `next_cursor` is not null, send it again as `cursor`.
    """
    wanted = parse_retranscription(
        settings.models,
        asked.where,
        changed=asked.changed,
        model=asked.model,
        language=asked.language,
        captions=asked.captions,
        limit=asked.limit,
        owner=caller.sees_only,
        limits=limits_of(caller, settings) if caller.sees_only else None,
    )
    if asked.cursor is not None and not is_partition_key(asked.cursor):
        raise InvalidCursor("This cursor is none that an answer gave. Begin without one.")
    if not asked.dry_run:
        submitter.check_intake()
    deadline = time.monotonic() + ANEW_S
    found = enqueue_retranscriptions(
        postgres,
        settings.models,
        wanted,
        dry_run=asked.dry_run,
        after=asked.cursor or "",
        is_over=lambda: time.monotonic() > deadline,
    )
    return RetranscriptionRead.of(found, dry_run=asked.dry_run)


def _path(request: Request, media_id: str) -> str:
    return f"{request.scope.get('root_path', '')}/api/v1/media/{media_id}"
