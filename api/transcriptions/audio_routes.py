"""`GET /api/v1/transcriptions/{id}/audio`: the stored audio, whole or in ranges."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from api.dependencies import ObjectStoreDep, PostgresDep, Reader
from api.http.byte_ranges import range_response
from api.http.content_disposition import content_disposition
from api.http.errors import SERVER_DETAIL, NotCompleted
from api.http.etags import is_known
from api.responses import (
    DATABASE_UNAVAILABLE,
    ENTITY_HEADERS,
    FILE_HEADERS,
    TRANSCRIPTION_ERASED,
    TRANSCRIPTION_NOT_FOUND,
    Responses,
    problem_response,
)
from api.transcriptions.dependencies import TranscriptionId
from api.transcriptions.result import NOT_MODIFIED
from resources.transcriptions.reads import get_transcription, seen_media
from resources.transcriptions.rows import MediaRow, TranscriptionRow
from ytcaption.domain.errors import ObjectCorrupt
from ytcaption.domain.media.file_names import file_name
from ytcaption.domain.media.media import StoredAudio

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

_TYPES = {
    "aac": ("audio/aac", ".aac"),
    "ac3": ("audio/ac3", ".ac3"),
    "aiff": ("audio/aiff", ".aiff"),
    "amr": ("audio/AMR", ".amr"),
    "asf": ("audio/x-ms-wma", ".wma"),
    "avi": ("video/x-msvideo", ".avi"),
    "caf": ("audio/x-caf", ".caf"),
    "eac3": ("audio/eac3", ".eac3"),
    "flac": ("audio/flac", ".flac"),
    "flv": ("video/x-flv", ".flv"),
    "mov": ("audio/mp4", ".m4a"),
    "mp3": ("audio/mpeg", ".mp3"),
    "mpeg": ("video/mpeg", ".mpg"),
    "mpegts": ("video/mp2t", ".ts"),
    "ogg": ("audio/ogg", ".ogg"),
    "w64": ("audio/x-w64", ".w64"),
    "wav": ("audio/wav", ".wav"),
}
"""Media type and extension by the first name of FFmpeg's demuxer. Containers that may also hold
video have an audio type: what is stored is the best audio of the source."""

_WEB_CODECS = frozenset({"opus", "vorbis"})
_WEBM, _MATROSKA = ("audio/webm", ".webm"), ("audio/x-matroska", ".mka")
_UNKNOWN = ("application/octet-stream", ".bin")


def media_type(audio: StoredAudio) -> tuple[str, str]:
    """Return the audio's `Content-Type` and its file extension, with the dot."""
    container = audio.container.partition(",")[0]
    if container == "matroska":
        return _WEBM if audio.codec in _WEB_CODECS else _MATROSKA
    return _TYPES.get(container, _UNKNOWN)


def _documentation() -> Responses:
    types = {name for name, _ in (*_TYPES.values(), _WEBM, _MATROSKA, _UNKNOWN)}
    content: dict[str, Any] = {
        name: {"schema": {"type": "string", "format": "binary"}} for name in sorted(types)
    }
    headers: dict[str, Any] = (
        ENTITY_HEADERS
        | FILE_HEADERS
        | {
            "Accept-Ranges": {"description": "`bytes`.", "schema": {"type": "string"}},
            "Content-Length": {"description": "Of this response.", "schema": {"type": "integer"}},
        }
    )
    content_range = {
        "Content-Range": {"description": "`bytes first-last/all`.", "schema": {"type": "string"}}
    }
    return {
        200: {"description": "All of it.", "content": content, "headers": headers},
        206: {"description": "A range.", "content": content, "headers": headers | content_range},
        304: NOT_MODIFIED,
        **problem_response(
            409,
            (
                "result_not_ready",
                "The transcription is queued: its audio is not stored yet. Ask again later.",
                "The audio is not stored, or not yet",
            ),
            retry=True,
            transcription_status="queued",
            error=None,
        ),
        **problem_response(
            416,
            (
                "range_not_satisfiable",
                "The range starts after the end: there are 1000 bytes.",
                "The range starts after the end",
            ),
        ),
        **problem_response(
            422,
            (
                "invalid_request",
                "The request is not valid. query download: Input should be a valid boolean.",
                "A parameter is wrong",
            ),
        ),
        **problem_response(
            500, ("object_corrupt", SERVER_DETAIL[ObjectCorrupt], "The stored audio is damaged")
        ),
    }


@router.get(
    "/transcriptions/{id}/audio",
    operation_id="getTranscriptionAudio",
    summary="Get the stored audio",
    response_class=Response,
    responses={
        **_documentation(),
        **TRANSCRIPTION_NOT_FOUND,
        **TRANSCRIPTION_ERASED,
        **DATABASE_UNAVAILABLE,
    },
)
def read_audio(
    id: TranscriptionId,
    request: Request,
    caller: Reader,
    postgres: PostgresDep,
    object_store: ObjectStoreDep,
    download: Annotated[bool, Query(description="Have the browser save the file.")] = False,
    range: Annotated[
        str | None, Header(description="One range, such as `bytes=0-1023`.", max_length=200)
    ] = None,
    if_range: Annotated[
        str | None,
        Header(
            description="An `ETag`: the range is sent only if it still matches.", max_length=200
        ),
    ] = None,
    if_none_match: Annotated[
        str | None, Header(description="The `ETag` of the version you have.", max_length=2_000)
    ] = None,
) -> Response:
    """Return the best audio of the media as its source delivered it, as soon as it is stored.

    Players may seek: a single byte range is answered with 206. The `ETag` is the SHA-256.
    """
    row = get_transcription(postgres, id, caller.sees_only)
    media = seen_media(postgres, row.media_id, caller.sees_only)
    audio = _stored_audio(row, media)
    tag = f'"{audio.sha256}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_known(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    if object_store.size(audio.key) != audio.size_bytes:
        raise ObjectCorrupt(f"The audio stored under {audio.key} is not what was written.")
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


def _stored_audio(row: TranscriptionRow, media: MediaRow) -> StoredAudio:
    """Return the media's audio.

    Raises:
        NotCompleted: it is not stored, or not yet.
    """
    if media.audio is not None:
        return media.audio
    if row.provenance is not None and row.provenance.source != "asr":
        message = (
            "The text comes from the captions of the source, so its audio was not downloaded. "
            "Request it with captions=never to have the audio transcribed."
        )
    elif row.status.is_final:
        message = "The audio is not stored. Retry the transcription to download it again."
    else:
        message = (
            f"The transcription is {row.status.value}: its audio is not stored yet. "
            "Ask again later."
        )
    raise NotCompleted(message, row.status, None)
