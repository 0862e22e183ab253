"""What is sent with a file and what is answered, as the OpenAPI document lists it."""

from typing import Any

from api.responses import CREATE_ERRORS, Responses, problem_response
from api.transcriptions.request_schemas import UploadOptions

_FILE = {
    "type": "string",
    "format": "binary",
    "description": "Audio or video that FFmpeg reads: mp3, m4a, wav, flac, ogg, mp4, mkv, webm ...",
}


def form_body(fields: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    """A `requestBody` that is a form with a file."""
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
    ("not_media", "This is no media that can be read. Give an audio file.", "No media"),
    ("empty_file", "The file is empty (0 bytes). Get it again.", "No bytes"),
    ("no_audio_track", "There is no sound in this file: it has no audio track.", "No sound"),
    ("audio_truncated", "The file ends before its audio does. Get it again.", "Cut off"),
    ("media_too_long", "The audio is longer than the 12 hours that are allowed here.", "Too long"),
)

UPLOAD_ERRORS: Responses = {
    **problem_response(
        400, ("malformed_upload", "The body is no complete multipart form.", "No form")
    ),
    **problem_response(
        408, ("request_timeout", "Nothing came for 60 s. Send the file again.", "It stood still")
    ),
    409: CREATE_ERRORS[409],
    **problem_response(
        413,
        ("upload_too_large", "The file is over the 2,048 MiB taken here.", "Too large"),
    ),
    **problem_response(
        422,
        *AUDIO_ERRORS,
        ("unknown_model", "Unknown model 'huge'. This installation offers: base.", "No such model"),
        ("unknown_language", "Unknown language 'xx'.", "No such language"),
        ("invalid_option", "The model tiny.en hears English only.", "Options that do not fit"),
        ("idempotency_mismatch", "This Idempotency-Key came with another body.", "A used key"),
        (
            "invalid_request",
            "The request is not valid. #/file: Send the file in a part of this name.",
            "A field is wrong",
        ),
    ),
}
