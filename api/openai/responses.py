"""OpenAPI descriptions of OpenAI's routes: their bodies, responses and errors."""

from typing import Any

from api.http.errors import HTTP_DETAILS
from api.openai.schemas import AudioForm, AudioText, VerboseText
from api.responses import DATABASE_UNAVAILABLE, Responses, problem_response
from api.transcriptions.result import SRT_EXAMPLE
from api.uploads.responses import MALFORMED_UPLOAD, UPLOAD_ERRORS, form_body

_FIELDS: dict[str, Any] = AudioForm.model_json_schema()["properties"]

AUDIO_BODY = form_body(_FIELDS)
TRANSLATION_BODY = form_body(
    {
        name: _FIELDS[name]
        for name in ("model", "prompt", "response_format", "temperature", "stream")
    }
)

MODEL_EXAMPLE = {
    "id": "base",
    "object": "model",
    "created": 1_663_718_400,
    "owned_by": "ytcaption",
}

_EVENTS = """data: {"type": "transcript.text.delta", "delta": "And so, my fellow Americans,"}

data: {"type": "transcript.text.delta", "delta": " ask not what your country can do for you."}

data: {"type": "transcript.text.done", "text": "And so, my fellow Americans, ask not what ..."}

"""

_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_UPLOAD_CASES = UPLOAD_ERRORS[422]["content"]["application/problem+json"]["examples"]

MODEL_NOT_FOUND = problem_response(
    404, ("unknown_model", "There is no model 'huge'. Look at /v1/models.", "Unknown model")
)

AUDIO_RESPONSES: Responses = {
    200: {
        "description": "The text, in the form that `response_format` and `stream` select.",
        "model": AudioText | VerboseText,
        "content": {
            "application/json": {
                "examples": {
                    "json": {
                        "summary": "json",
                        "value": {
                            "text": "And so, my fellow Americans, ...",
                            "usage": {"type": "duration", "seconds": 11},
                        },
                    }
                }
            },
            "text/plain; charset=utf-8": _TEXT,
            "application/x-subrip; charset=utf-8": _TEXT | {"example": SRT_EXAMPLE},
            "text/vtt; charset=utf-8": _TEXT,
            "text/event-stream; charset=utf-8": _TEXT | {"example": _EVENTS},
        },
        "headers": {
            "X-Transcription-Id": {
                "description": "Its id at `/api/v1/transcriptions`.",
                "schema": {"type": "string"},
            }
        },
    },
    **problem_response(
        400,
        *(
            (code, case["value"]["detail"], case["summary"])
            for code, case in _UPLOAD_CASES.items()
            if code not in ("unknown_model", "idempotency_mismatch")
        ),
        MALFORMED_UPLOAD,
    ),
    **MODEL_NOT_FOUND,
    408: UPLOAD_ERRORS[408],
    **problem_response(
        409,
        (
            "result_not_ready",
            "The transcription was canceled. Request it again to restart it.",
            "It was canceled",
        ),
    ),
    **problem_response(
        410, ("transcription_erased", "The transcription was erased.", "It was erased")
    ),
    413: UPLOAD_ERRORS[413],
    **problem_response(
        415,
        (
            "unsupported_media_type",
            "Send the body as multipart/form-data, with the file in `file`.",
            "The body is not a form",
        ),
    ),
    **problem_response(500, ("internal_error", HTTP_DETAILS[500], "A server fault; see its log")),
    **DATABASE_UNAVAILABLE,
}
"""These routes answer 400 (404 for a model) where ours answer 422, as OpenAI's do."""
