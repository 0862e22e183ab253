"""OpenAPI descriptions of headers and errors that routes of several features share."""

from http import HTTPStatus
from typing import Any

from api.http.errors import HTTP_DETAILS, POLL_AFTER_S, PROBLEM_MEDIA_TYPE, SERVER_DETAIL
from api.http.same_origin import CROSS_ORIGIN, CROSS_ORIGIN_DETAIL
from ytcaption.domain.errors import (
    BackupRunning,
    DagsterUnavailable,
    DatabaseUnavailable,
    IntakePaused,
    LakeUnavailable,
    ObjectStoreUnavailable,
)

Responses = dict[int | str, dict[str, Any]]

NO_STORE = {"Cache-Control": "no-store"}

RETRY_AFTER_HEADER = {
    "Retry-After": {
        "description": "Seconds to wait before asking again.",
        "schema": {"type": "integer"},
        "example": POLL_AFTER_S,
    }
}
LINK_HEADER = {
    "Link": {
        "description": '`<next_url>; rel="next"`, unless this is the last page.',
        "schema": {"type": "string"},
    }
}
LOCATION_HEADER = {
    "Location": {
        "description": "`status_url`.",
        "schema": {"type": "string", "format": "uri-reference"},
    }
}
ENTITY_HEADERS = {
    "ETag": {"description": "Strong; send it as `If-None-Match`.", "schema": {"type": "string"}},
    "Cache-Control": {"description": "`private, no-cache`.", "schema": {"type": "string"}},
}
FILE_HEADERS = {
    "Content-Disposition": {
        "description": "A file name made from the title (RFC 6266).",
        "schema": {"type": "string"},
    }
}

ErrorExample = tuple[str, str, str]
"""Code, detail and summary of an error."""

INVALID_URL: ErrorExample = (
    "invalid_url",
    "This is not an http or https URL. Give it in full, such as https://example.com/talk.mp3",
    "Not a link",
)
PRIVATE_ADDRESS: ErrorExample = (
    "blocked_address",
    "The link leads to a private address. Only hosts of the public internet are opened, and "
    "networks that the setting YTCAPTION_ALLOWED_NETWORKS lists.",
    "A private address",
)
UNKNOWN_MODEL: ErrorExample = (
    "unknown_model",
    "Unknown model 'huge'. This installation offers: base.",
    "Unknown model",
)
UNKNOWN_LANGUAGE: ErrorExample = (
    "unknown_language",
    "Unknown language 'xx'. Give a code such as en, de, fr or zh, or leave it out to have it "
    "detected.",
    "Unknown language",
)
ENGLISH_ONLY: ErrorExample = (
    "invalid_option",
    "The model tiny.en transcribes English only. Use a multilingual model such as base.",
    "The options do not fit together",
)
IDEMPOTENCY_MISMATCH: ErrorExample = (
    "idempotency_mismatch",
    "This Idempotency-Key was used with another body within the last 24 hours. Send the same body, "
    "or use a new key.",
    "The key was used for another body",
)
UNKNOWN_FIELD: ErrorExample = (
    "invalid_request",
    "The request is not valid. #/colour: Extra inputs are not permitted.",
    "A field is wrong",
)


def problem_response(
    status: int, *cases: ErrorExample, retry: bool = False, **members: Any
) -> Responses:
    """Return one error status for a route's `responses`.

    Args:
        cases: each becomes an example.
        retry: whether the response has `Retry-After`.
        members: further members of the examples.
    """
    examples = {
        code: {
            "summary": summary,
            "value": {
                "type": f"urn:ytcaption:problem:{code}",
                "title": HTTPStatus(status).phrase,
                "status": status,
                "detail": detail,
                "code": code,
                "request_id": "5f0c5b7c9a3e4d6f8a1b2c3d4e5f6a7b",
            }
            | members,
        }
        for code, detail, summary in cases
    }
    response: dict[str, Any] = {
        "description": "; ".join(summary for _, _, summary in cases) + ".",
        "content": {
            PROBLEM_MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": examples,
            }
        },
    }
    if retry:
        response["headers"] = RETRY_AFTER_HEADER
    return {status: response}


def json_example(status: int, example: Any, **more: Any) -> Responses:
    """Return one success status for a route's `responses`, with its example."""
    return {status: {"content": {"application/json": {"example": example}}} | more}


INVALID_REQUEST_SUMMARY = "A field or parameter is wrong"

TRANSCRIPTION_NOT_FOUND = problem_response(
    404, ("transcription_not_found", "There is no such transcription.", "Unknown id")
)
TRANSCRIPTION_ERASED = problem_response(
    410,
    (
        "transcription_erased",
        "This transcription was erased. Request it again to transcribe it again.",
        "It was erased",
    ),
)
OPTIONS_MISMATCH = problem_response(
    409,
    (
        "options_mismatch",
        "url-bsc2xltdhvd2kyaew5mcbl3ud4 exists with other options than those "
        "requested. Nothing was shared.",
        "Two sets of options have the same id",
    ),
)
NO_DATABASE = (
    DatabaseUnavailable.code,
    SERVER_DETAIL[DatabaseUnavailable],
    "The database does not answer",
)
DATABASE_UNAVAILABLE = problem_response(503, NO_DATABASE, retry=True)
INTAKE_UNAVAILABLE = problem_response(
    503,
    NO_DATABASE,
    ("intake_paused", SERVER_DETAIL[IntakePaused], "An operator has paused the intake"),
    retry=True,
)
ERASURE_UNAVAILABLE = problem_response(
    503,
    NO_DATABASE,
    (
        "dagster_unavailable",
        SERVER_DETAIL[DagsterUnavailable],
        "Dagster's storage does not answer: repeat the request",
    ),
    (
        "lake_unavailable",
        SERVER_DETAIL[LakeUnavailable],
        "The lake does not answer: repeat the request",
    ),
    (
        "object_store_unavailable",
        SERVER_DETAIL[ObjectStoreUnavailable],
        "The object store does not answer: repeat the request",
    ),
    (
        "backup_running",
        SERVER_DETAIL[BackupRunning],
        "A backup is running: repeat the request when it has finished",
    ),
    retry=True,
)
BODY_ERRORS = (
    problem_response(400, ("malformed_request", HTTP_DETAILS[400], "The body is not JSON"))
    | problem_response(
        413, ("body_too_large", "The body is larger than 64 KiB.", "The body is too large")
    )
    | problem_response(
        415,
        ("unsupported_media_type", "Send the body as application/json.", "The body is not JSON"),
    )
)
ADMIN_INVALID = problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. #/part: Field required.",
        INVALID_REQUEST_SUMMARY,
    ),
)
AUTH_ERRORS = (
    problem_response(
        401,
        (
            "unauthenticated",
            "This needs a key. Send it as `Authorization: Bearer <key>`.",
            "No key or token, or one that is not valid",
        ),
    )
    | problem_response(
        403,
        ("forbidden", "This needs a key with the scope write.", "The key lacks the scope"),
    )
    | problem_response(
        429,
        (
            "rate_limited",
            "More than 600 requests a minute. Wait as long as Retry-After says.",
            "Too many requests from this key or address",
        ),
        retry=True,
    )
)
"""Of every route that needs a key; `api.openapi` adds them."""

CHANGE_ERRORS = problem_response(
    403,
    ("forbidden", "This needs a key with the scope write.", "The key lacks the scope"),
    (CROSS_ORIGIN, CROSS_ORIGIN_DETAIL, "A page of another origin sent the request"),
)
"""Of every route that changes something, in addition."""

LIST_ERRORS = problem_response(
    400,
    (
        "invalid_cursor",
        "This cursor was not issued by a list. Use `next_url` of a page, or "
        "start without a cursor.",
        "The cursor is not valid",
    ),
) | problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. query limit: Input should be less than or equal to 200.",
        "A filter is wrong",
    ),
)
