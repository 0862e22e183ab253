"""Problems under `/v1/` in the form that OpenAI's clients expect; they remain RFC 9457 problems."""

from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

PREFIX = "/v1/"

_is_openai: ContextVar[bool] = ContextVar("openai_errors", default=False)

_STATUS_BY_CODE = {"unknown_model": 404}
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_PARAMS = {
    "unknown_model": "model",
    "unknown_language": "language",
    "upload_too_large": "file",
    "empty_file": "file",
    "not_media": "file",
    "no_audio_track": "file",
    "audio_truncated": "file",
    "audio_undecodable": "file",
    "media_too_long": "file",
}


def begin_request(path: str) -> None:
    """Record whether the request is for OpenAI's routes."""
    _is_openai.set(path.startswith(PREFIX))


def adapted(status: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the status and a problem with OpenAI's member `error`, under `/v1/` only.

    OpenAI's API answers 400 where ours answers 422, and 404 for an unknown model; its clients
    choose the exception class by the status.
    """
    if not _is_openai.get():
        return status, body
    code = body["code"]
    status = _STATUS_BY_CODE.get(code, 400 if status == 422 else status)
    fields = body.get("errors") or ()
    error = {
        "message": body["detail"],
        "type": _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),
        "param": (fields[0]["pointer"] or "").lstrip("#/") or None if fields else _PARAMS.get(code),
        "code": code,
    }
    title = HTTPStatus(status).phrase
    return status, body | {"status": status, "title": title, "error": error}
