"""Errors as RFC 9457 `application/problem+json` bodies, and the one table of HTTP statuses."""

import http
import json
import logging
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from starlette.responses import Response

from api.http import openai_errors
from api.http.request_id import current_request_id
from ytcaption.domain import errors
from ytcaption.domain.request import TranscriptionStatus

logger = logging.getLogger(__name__)

PROBLEM_MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
"""Seconds after which to retry when a part of the installation does not answer."""

POLL_AFTER_S = 2
"""Seconds after which an unfinished transcription may have changed."""


class NotCompleted(errors.ResultNotReady):
    """There is no result yet, or there never will be one.

    Attributes:
        status: of the transcription.
        failure: `{code, message}` of the failed attempt; None unless it failed.
    """

    def __init__(self, message: str, status: TranscriptionStatus, failure: dict[str, str] | None):
        super().__init__(message)
        self.status = status
        self.failure = failure


STATUS_BY_ERROR: dict[type[errors.YtcaptionError], int] = {
    errors.InputError: 422,
    errors.OptionsMismatch: 409,
    errors.SourceError: 422,
    errors.AudioError: 422,
    errors.ModelError: 503,
    errors.StorageError: 500,
    errors.DiskFull: 503,
    errors.ObjectStoreUnavailable: 503,
    errors.DatabaseUnavailable: 503,
    errors.LakeUnavailable: 503,
    errors.DagsterUnavailable: 503,
    errors.StateError: 409,
    errors.TranscriptionNotFound: 404,
    errors.TranscriptionErased: 410,
    errors.ReportNotFound: 404,
    errors.WebhookNotFound: 404,
    errors.DeliveryNotFound: 404,
    errors.ChannelNotFound: 404,
    errors.IntakePaused: 503,
    errors.BackupRunning: 503,
    errors.InvalidCursor: 400,
    errors.UploadTooLarge: 413,
    errors.MalformedUpload: 400,
    errors.AccessError: 403,
    errors.Unauthenticated: 401,
    errors.ApiKeyNotFound: 404,
    errors.RateLimited: 429,
    errors.QueryError: 422,
    errors.ViewNotFound: 404,
    errors.SetupError: 503,
    errors.YtcaptionError: 500,
}
"""Error class -> status; a class that is not listed has the status of its parent."""

SERVER_DETAIL: dict[type[errors.YtcaptionError], str] = {
    errors.DiskFull: "The disk is full. Nothing was stored; retry when there is space.",
    errors.OutOfMemory: "The server has too little memory at the moment. Retry later.",
    errors.SetupError: "The server cannot do this at the moment; its log says why. Retry later.",
    errors.ObjectStoreUnavailable: "The object store does not answer. Retry in a few seconds.",
    errors.DatabaseUnavailable: "The database does not answer. Retry in a few seconds.",
    errors.DatabaseReadOnly: "The database accepts no changes at the moment. Retry in a few "
    "seconds.",
    errors.LakeUnavailable: "The lake does not answer. Retry in a few seconds.",
    errors.DagsterUnavailable: "Dagster's storage does not answer. Retry in a few seconds.",
    errors.IntakePaused: "An operator has paused new requests. Retry later.",
    errors.BackupRunning: "A backup is running; nothing is erased until it ends. Retry later.",
    errors.ObjectNotFound: "The stored document is missing. Ask the operator to restore it.",
    errors.SecretUnreadable: "The webhook's secret cannot be decrypted. Rotate it, or ask the "
    "operator to restore the key it was encrypted with.",
    errors.ObjectCorrupt: "The stored document is damaged. Ask the operator to restore it.",
}
"""Details of server faults: they never name hosts, paths or keys."""

HTTP_CODES = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
    421: "misdirected_request",
    422: "invalid_request",
    500: "internal_error",
}
HTTP_DETAILS = {
    400: "The body is not valid JSON: use UTF-8, finite numbers and moderate nesting.",
    404: "There is nothing at this address.",
    500: "Something went wrong on the server. Its log lists the error under the request id.",
}


def status_of(error: errors.YtcaptionError) -> int:
    """Return the HTTP status of an error, by the nearest class in `STATUS_BY_ERROR`."""
    return _status_of_kind(type(error))


def status_of_code(code: str) -> int | None:
    """Return the HTTP status of an error code; None of a code that is not ours."""
    return _statuses().get(code)


@cache
def _statuses() -> dict[str, int]:
    kinds = reversed(list(errors.YtcaptionError.kinds()))
    return {kind.code: _status_of_kind(kind) for kind in kinds}


def _status_of_kind(kind: type[errors.YtcaptionError]) -> int:
    return next(STATUS_BY_ERROR[each] for each in kind.__mro__ if each in STATUS_BY_ERROR)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """Return an RFC 9457 response; `members` are extensions (RFC 9457 section 3.2)."""
    status, body = openai_errors.adapted(status, problem_body(status, code, detail) | members)
    # ensure_ascii: a lone surrogate from a client must not break the encoding of the response.
    return Response(
        json.dumps(body),
        status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers={"Cache-Control": "no-store"} | dict(headers or {}),
    )


def problem_body(status: int, code: str, detail: str) -> dict[str, Any]:
    """Return the members of every problem."""
    return {
        "type": f"urn:ytcaption:problem:{code}",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": current_request_id(),
    }


def ytcaption_problem(error: errors.YtcaptionError) -> Response:
    """Return the response to one of our own errors."""
    status = status_of(error)
    members: dict[str, Any] = {}
    headers: dict[str, str] = {}
    if isinstance(error, NotCompleted):
        members = {"transcription_status": error.status, "error": error.failure}
        if not error.status.is_final:
            headers["Retry-After"] = str(POLL_AFTER_S)
    detail = str(error)
    if status >= 500:
        logger.error("%s: %s", error.code, error)
        detail = next(
            (SERVER_DETAIL[kind] for kind in type(error).__mro__ if kind in SERVER_DETAIL),
            HTTP_DETAILS[500],
        )
    if isinstance(error, errors.RateLimited):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s or 1)))
    if isinstance(error, errors.UploadTooLarge | errors.MalformedUpload):
        headers["Connection"] = "close"  # the rest of the body is not read
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="ytcaption"'
    if isinstance(error, errors.Forbidden):
        headers["WWW-Authenticate"] = 'Bearer realm="ytcaption", error="insufficient_scope"'
    if status == 503:
        headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    return problem(status, error.code, detail, headers=headers, **members)
