"""The answers of each route as the OpenAPI document lists them."""

from http import HTTPStatus
from typing import Any

from api.http.errors import HTTP_DETAILS, POLL_AFTER_S, PROBLEM_MEDIA_TYPE, SERVER_DETAIL
from ytcaption.domain.captions.formats import CaptionFormat
from ytcaption.domain.errors import (
    DatabaseUnavailable,
    IntakePaused,
    ObjectCorrupt,
    ObjectStoreUnavailable,
)

Responses = dict[int | str, dict[str, Any]]

RETRY_AFTER_HEADER = {
    "Retry-After": {
        "description": "Seconds until asking again is worth it.",
        "schema": {"type": "integer"},
        "example": POLL_AFTER_S,
    }
}
LINK_HEADER = {
    "Link": {
        "description": '`<next_url>; rel="next"`, unless the page is the last.',
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
        "description": "A file name from the title (RFC 6266).",
        "schema": {"type": "string"},
    }
}


def problem_response(
    status: int, *shown: tuple[str, str, str], retry: bool = False, **members: Any
) -> dict[int | str, dict[str, Any]]:
    """One status of a route's `responses`, with an example for each `(code, detail, summary)`."""
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
        for code, detail, summary in shown
    }
    response: dict[str, Any] = {
        "description": "; ".join(summary for _, _, summary in shown) + ".",
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


def shown(status: int, example: Any, **more: Any) -> Responses:
    """An answer of a route's `responses` with its example."""
    return {status: {"content": {"application/json": {"example": example}}} | more}


NOT_FOUND = problem_response(
    404, ("transcription_not_found", "There is no such transcription.", "No such id")
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
    ("intake_paused", SERVER_DETAIL[IntakePaused], "The operator takes nothing at the moment"),
    retry=True,
)
BODY_ERRORS = (
    problem_response(400, ("malformed_request", HTTP_DETAILS[400], "The body is no JSON"))
    | problem_response(413, ("body_too_large", "The body is over 64 KiB.", "Too large a body"))
    | problem_response(
        415, ("unsupported_media_type", "Send the body as application/json.", "Not sent as JSON")
    )
)
ADMIN_INVALID = problem_response(
    422, ("invalid_request", "The request is not valid. #/part: Field required.", "A wrong field")
)
SITE_INVALID = problem_response(
    422,
    ("invalid_request", "The request is not valid: #/site.", "A field is wrong"),
    ("invalid_url", "The link's host is not a valid name.", "The site is none"),
)
AUTH_ERRORS = (
    problem_response(
        401,
        (
            "unauthenticated",
            "This needs a key. Send it as `Authorization: Bearer <key>`.",
            "No key or token, or one that does not hold",
        ),
    )
    | problem_response(
        403,
        ("forbidden", "This needs a key with the scope write.", "The key has no scope for this"),
    )
    | problem_response(
        429,
        (
            "rate_limited",
            "More than 600 requests a minute. Wait as long as Retry-After says.",
            "More than the key, or the address, may send",
        ),
        retry=True,
    )
)
"""Of every route behind the door; `api.openapi` adds them."""

CREATE_ERRORS = (
    BODY_ERRORS
    | problem_response(
        409,
        (
            "options_mismatch",
            "The id is known with other options than those asked for. Nothing was shared.",
            "Two sets of options with one id",
        ),
    )
    | problem_response(
        422,
        (
            "unsupported_site",
            "This page of YouTube is no video. Give a link such as youtu.be/<id>.",
            "A page that is no media",
        ),
        ("invalid_url", "This is no http or https link.", "Not a link"),
        ("playlist_url", "This link is a list of media. Give the link of one of them.", "A list"),
        ("blocked_address", "The link leads to a private address.", "A private address"),
        ("unknown_model", "Unknown model 'huge'. This installation offers: base.", "No such model"),
        ("unknown_language", "Unknown language 'xx'.", "No such language"),
        ("invalid_option", "The model tiny.en hears English only.", "Options that do not fit"),
        (
            "invalid_request",
            "The request is not valid. #/colour: Extra inputs are not permitted.",
            "A field is wrong",
        ),
        ("idempotency_mismatch", "This key came with another body.", "One key, two bodies"),
    )
)
BATCH_ERRORS = (
    BODY_ERRORS
    | problem_response(413, ("body_too_large", "The body is over 4,096 KiB.", "Too large a body"))
    | problem_response(
        422,
        (
            "invalid_request",
            "The request is not valid. #/items: Field required.",
            "No items, or too many",
        ),
        ("idempotency_mismatch", "This key came with another body.", "One key, two bodies"),
    )
)
LIST_ERRORS = problem_response(
    400, ("invalid_cursor", "This cursor is none that a list gave.", "No page of a list")
) | problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. query limit: Input should be less than or equal to 200.",
        "A filter is wrong",
    ),
)
SEARCH_ERRORS = problem_response(
    400, ("invalid_cursor", "This cursor is none that this search gave.", "No page of a search")
) | problem_response(
    422,
    (
        "invalid_search",
        "The search says only what is not wanted. Add a word that is to be found.",
        "Nothing is looked for",
    ),
    (
        "search_too_broad",
        "This search finds too much to look through in time. Add a word.",
        "Too much is looked for",
    ),
    (
        "invalid_request",
        "The request is not valid. query limit: Input should be less than or equal to 50.",
        "A parameter is wrong",
    ),
)
WAIT_ERRORS = problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. query wait: Input should be less than or equal to 60.",
        "Too long a wait",
    ),
)
STORE_UNAVAILABLE = problem_response(
    503,
    (
        ObjectStoreUnavailable.code,
        SERVER_DETAIL[ObjectStoreUnavailable],
        "The object store does not answer",
    ),
    NO_DATABASE,
    retry=True,
)
REPORT_ERRORS = problem_response(
    404, ("report_not_found", "There is no such report.", "None of that day")
) | problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. path day: Input should be a valid date.",
        "No day",
    ),
)
VIEW_ERRORS = problem_response(
    404, ("view_not_found", "There is no view 'x'. There are: growth.", "No such view")
) | problem_response(
    422,
    (
        "invalid_option",
        "The view growth has no parameter 'x'. It has: since, until.",
        "A parameter is not known, missing or wrong",
    ),
    (
        "invalid_request",
        "The request is not valid. query limit: Input should be greater than 0.",
        "`format` or `limit` is wrong",
    ),
    (
        "query_error",
        "The query took longer than 10 s and was stopped. Ask for less, or filter first.",
        "The answer needs more time, memory or room than it may have",
    ),
)
QUERY_ERRORS = problem_response(
    422,
    (
        "query_error",
        "Give one statement, and let it be a SELECT.",
        "The query is refused, wrong, or needs more time, memory or room than it may have",
    ),
    (
        "invalid_request",
        "The request is not valid. body sql: Field required.",
        "A field or parameter is wrong",
    ),
)
RESULT_ERRORS = (
    problem_response(
        409,
        (
            "result_not_ready",
            "The transcription failed (media_private): The video is private.",
            "Not completed, with the reason if it failed",
        ),
        transcription_status="failed",
        error={"code": "media_private", "message": "The video is private."},
    )
    | problem_response(
        422,
        (
            "invalid_request",
            "The request is not valid. query max_lines: Input should be less than or equal to 4.",
            "A parameter is wrong",
        ),
        (
            "invalid_option",
            "srt has no place for words=true. Leave it out, or ask for json, vtt or tsv.",
            "Words or speakers that cannot be told",
        ),
    )
    | problem_response(
        500, ("object_corrupt", SERVER_DETAIL[ObjectCorrupt], "The stored document is damaged")
    )
)
RESULT_ERRORS[409]["headers"] = RETRY_AFTER_HEADER


def result_response(more_headers: dict[str, Any] | None = None) -> dict[str, Any]:
    """A result in each of its formats."""
    content: dict[str, Any] = {
        content_type(format): {"schema": {"type": "string"}} for format in CaptionFormat
    }
    content[content_type(CaptionFormat.SRT)]["example"] = SRT
    content[content_type(CaptionFormat.JSON)] = {
        "schema": {"$ref": "#/components/schemas/Transcript"}
    }
    return {
        "description": "The file.",
        "content": content,
        "headers": ENTITY_HEADERS | FILE_HEADERS | (more_headers or {}),
    }


def content_type(format: CaptionFormat) -> str:
    """With the charset, except for JSON, which has none (RFC 8259 section 11)."""
    media_type = format.media_type
    if format is CaptionFormat.JSON or "charset" in media_type:
        return media_type
    return f"{media_type}; charset=utf-8"


SRT = "1\n00:00:00,320 --> 00:00:03,100\nAnd so, my fellow Americans,\n\n"
