"""The answers of `audio_routes.py` and `action_routes.py` as the OpenAPI document lists them."""

from typing import Any

from api.http.errors import SERVER_DETAIL
from api.responses import ENTITY_HEADERS, FILE_HEADERS, NO_DATABASE, Responses, problem_response
from api.transcriptions.audio_file import MEDIA_TYPES
from api.transcriptions.examples import STATUS_EXAMPLES, status_example
from ytcaption.domain.errors import (
    BackupRunning,
    DagsterUnavailable,
    LakeUnavailable,
    ObjectCorrupt,
    ObjectStoreUnavailable,
)

_RANGE_HEADERS = {
    "Accept-Ranges": {"description": "`bytes`.", "schema": {"type": "string"}},
    "Content-Length": {"description": "Of this answer.", "schema": {"type": "integer"}},
}
_PART_HEADERS = {
    "Content-Range": {"description": "`bytes first-last/all`.", "schema": {"type": "string"}}
}

ERASED = problem_response(
    410,
    (
        "transcription_erased",
        "This transcription was erased. Ask for the media again to make it anew.",
        "It was erased",
    ),
)


def audio_responses() -> Responses:
    """All of it, a part of it, nothing new, and what is refused."""
    content: dict[str, Any] = {
        name: {"schema": {"type": "string", "format": "binary"}} for name in MEDIA_TYPES
    }
    headers = ENTITY_HEADERS | FILE_HEADERS | _RANGE_HEADERS
    return {
        200: {"description": "All of it.", "content": content, "headers": headers},
        206: {"description": "A part.", "content": content, "headers": headers | _PART_HEADERS},
        304: {"description": "You have it already.", "headers": ENTITY_HEADERS},
        **problem_response(
            409,
            (
                "result_not_ready",
                "It is queued, and its audio is not stored yet. Ask again.",
                "Not stored, or not yet",
            ),
            retry=True,
            transcription_status="queued",
            error=None,
        ),
        **problem_response(
            416,
            (
                "range_not_satisfiable",
                "The range begins behind the end: there are 1000 bytes.",
                "A range behind the end",
            ),
        ),
        **problem_response(
            422,
            (
                "invalid_request",
                "The request is not valid. query download: Input should be a valid boolean.",
                "A wrong value",
            ),
        ),
        **problem_response(
            500, ("object_corrupt", SERVER_DETAIL[ObjectCorrupt], "The stored audio is damaged")
        ),
    }


CANCELED = status_example(status="canceled", stage=None, progress=None) | {"effect": "canceled"}
RETRIED = status_example(status="queued", stage=None, progress=None, queue_position=1, attempt=1)
KEPT = STATUS_EXAMPLES["completed"]["value"] | {"keep": True}
WRONG_KEEP = problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. body keep: Input should be a valid boolean.",
        "A wrong value",
    ),
)
_WRONG_FORCE = problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. query force: Input should be a valid boolean.",
        "A wrong value",
    ),
)
RETRY_ERRORS = _WRONG_FORCE | problem_response(
    409,
    (
        "transcription_busy",
        "A run is working on it. Wait for it to end, or cancel it, then retry.",
        "A run is working on it",
    ),
    (
        "already_completed",
        "It is completed. Send force=true to have it made anew.",
        "There is a result already",
    ),
)
ERASE_ERRORS = (
    _WRONG_FORCE
    | problem_response(
        409,
        (
            "transcription_busy",
            "A run is working on it. Cancel it first, or send force=true.",
            "A run is working on it, or has not ended yet",
        ),
    )
    | problem_response(
        503,
        NO_DATABASE,
        (
            "dagster_unavailable",
            SERVER_DETAIL[DagsterUnavailable],
            "Dagster's storage is away: repeat the DELETE",
        ),
        (
            "lake_unavailable",
            SERVER_DETAIL[LakeUnavailable],
            "The lake is away: repeat the DELETE",
        ),
        (
            "object_store_unavailable",
            SERVER_DETAIL[ObjectStoreUnavailable],
            "The object store is away: repeat the DELETE",
        ),
        (
            "backup_running",
            SERVER_DETAIL[BackupRunning],
            "A backup is being made: repeat the DELETE when it is done",
        ),
        retry=True,
    )
)
PURGE_UNAVAILABLE = {503: ERASE_ERRORS[503]}
"""What a purge answers when a part is away: send it again."""
