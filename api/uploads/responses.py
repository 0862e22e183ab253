"""OpenAPI descriptions of upload bodies and of their errors."""

from typing import Any

from api.responses import (
    ENGLISH_ONLY,
    IDEMPOTENCY_MISMATCH,
    OPTIONS_MISMATCH,
    UNKNOWN_LANGUAGE,
    UNKNOWN_MODEL,
    Responses,
    problem_response,
)
from api.transcriptions.request_schemas import UploadOptions
from ytcaption.domain.errors import EmptyFile

_FILE = {
    "type": "string",
    "format": "binary",
    "description": "Audio or video in any format of FFmpeg: mp3, m4a, wav, flac, ogg, mp4, mkv ...",
}


def form_body(fields: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    """Return a `requestBody` that is a form with a file."""
    schema = {
        "type": "object",
        "properties": {"file": _FILE, **fields},
        "required": ["file", *required],
    }
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}, **more}}


UPLOAD_BODY = form_body(
    {
        name: value
        for name, value in UploadOptions.model_json_schema()["properties"].items()
        if name != "filename"
    },
    **{"application/octet-stream": {"schema": _FILE}},
)

AUDIO_ERRORS: tuple[tuple[str, str, str], ...] = (
    (
        "not_media",
        "This is not a readable media file. Give an audio or video file such as"
        " mp3, m4a, wav, flac, ogg, mp4, mkv or webm.",
        "The file is not media",
    ),
    (EmptyFile.code, EmptyFile.named().message, "The file is empty"),
    (
        "no_audio_track",
        "There is no sound in this file: it has no audio track.",
        "The file has no audio",
    ),
    (
        "audio_truncated",
        "The file ends before its audio does; it was probably cut off while "
        "being copied or downloaded. Download or copy it again.",
        "The file is truncated",
    ),
    (
        "media_too_long",
        "The audio is longer than the 12 hours that are allowed here.",
        "The audio is too long",
    ),
)
MALFORMED_UPLOAD = (
    "malformed_upload",
    "The body is not a complete multipart form: a wrong boundary, or it "
    "ends too soon. Let your client make the form, or send the file alone "
    "as the body.",
    "The form cannot be parsed",
)

UPLOAD_ERRORS: Responses = {
    **problem_response(400, MALFORMED_UPLOAD),
    **problem_response(
        408,
        (
            "request_timeout",
            "Nothing arrived for 60 s. Send the file again.",
            "The upload stalled",
        ),
    ),
    **OPTIONS_MISMATCH,
    **problem_response(
        413,
        (
            "upload_too_large",
            "The file is over the 2,048 MiB that are allowed here. Compress it, as "
            "Opus or MP3 for example, or cut it.",
            "The file is too large",
        ),
    ),
    **problem_response(
        422,
        *AUDIO_ERRORS,
        UNKNOWN_MODEL,
        UNKNOWN_LANGUAGE,
        ENGLISH_ONLY,
        IDEMPOTENCY_MISMATCH,
        (
            "invalid_request",
            "The request is not valid. #/file: Send the file in a part of this name.",
            "A field is wrong",
        ),
    ),
}
