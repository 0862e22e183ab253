"""Problems under `/v1/` as OpenAI's clients read them: they still are RFC 9457 problems."""

from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

PREFIX = "/v1/"

_expected: ContextVar[bool] = ContextVar("openai_errors", default=False)

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


def expect(path: str) -> None:
    """Starts a request: whether its problems are for OpenAI's clients."""
    _expected.set(path.startswith(PREFIX))


def shaped(status: int, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """A problem with OpenAI's member `error`, and its status: theirs is 400 where ours is 422, and
    404 for a model that is not there, so that the client raises the class that is expected of it.
    """
    if not _expected.get():
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
