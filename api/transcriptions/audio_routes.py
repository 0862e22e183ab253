"""The stored audio, as it came."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from api.dependencies import ObjectStoreDep, PostgresDep, Reader
from api.http.byte_ranges import range_response
from api.http.content_disposition import content_disposition
from api.http.parameters import TranscriptionId
from api.responses import DATABASE_UNAVAILABLE, NOT_FOUND
from api.transcriptions.action_responses import ERASED, audio_responses
from api.transcriptions.audio_file import media_type, stored_audio
from api.transcriptions.view import is_known
from resources.transcriptions.reads import get_media, get_transcription
from ytcaption.domain.errors import ObjectCorrupt
from ytcaption.domain.media.file_names import file_name

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])


@router.get(
    "/transcriptions/{id}/audio",
    operation_id="getTranscriptionAudio",
    summary="The audio that is transcribed",
    response_class=Response,
    responses={**audio_responses(), **NOT_FOUND, **ERASED, **DATABASE_UNAVAILABLE},
)
def read_audio(
    id: TranscriptionId,
    request: Request,
    caller: Reader,
    postgres: PostgresDep,
    object_store: ObjectStoreDep,
    download: Annotated[bool, Query(description="Have the browser save it.")] = False,
    range: Annotated[
        str | None, Header(description="One range, such as `bytes=0-1023`.", max_length=200)
    ] = None,
    if_range: Annotated[
        str | None,
        Header(description="An `ETag`: the range is sent only if it still holds.", max_length=200),
    ] = None,
    if_none_match: Annotated[
        str | None, Header(description="The `ETag` of what you have.", max_length=2_000)
    ] = None,
) -> Response:
    """The media's best audio as its source gave it, from the moment it is stored.

    A player may seek: a single byte range is answered by 206. The `ETag` is the SHA-256.
    """
    row = get_transcription(postgres, id, caller.sees_only)
    media = get_media(postgres, row.media_id)
    audio = stored_audio(row, media)
    tag = f'"{audio.sha256}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_known(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    if object_store.size(audio.key) != audio.size_bytes:
        raise ObjectCorrupt(f"The audio stored under {audio.key} is not the one that was written.")
    headers["Content-Type"], extension = media_type(audio)
    name = file_name(media.title, fallback=id) + extension
    headers["Content-Disposition"] = content_disposition(name, attachment=download)
    return range_response(
        partial(object_store.read_range, audio.key),
        size_bytes=audio.size_bytes,
        sha256=audio.sha256,
        headers=headers,
        range_header=range,
        if_range=if_range,
        is_head=request.scope.get("ytcaption.is_head", False),
    )
