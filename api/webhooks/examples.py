"""Examples and errors of the webhook routes for the OpenAPI document."""

from api.http.errors import SERVER_DETAIL
from api.responses import INVALID_URL, PRIVATE_ADDRESS, problem_response
from api.transcriptions.examples import EXAMPLE_ID, EXAMPLE_PATH
from ytcaption.domain.errors import SecretUnreadable
from ytcaption.domain.webhook import DEFAULT_WEBHOOK_EVENTS

_ID = "0198f3f2-9a43-7c1e-8f5d-3b0f6a1f2d11"
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYq="  # noqa: S105 - an example

CREATE = {"url": "https://example.org/hooks/captions", "description": "newsroom"}
WEBHOOK = {
    "id": _ID,
    "owner": "key:mfrggzdfmztwq2lk",
    "url": "https://example.org/hooks/captions",
    "description": "newsroom",
    "events": list(DEFAULT_WEBHOOK_EVENTS),
    "include": None,
    "enabled": True,
    "disabled_reason": None,
    "disabled_at": None,
    "created_at": "2026-11-24T10:00:00Z",
    "updated_at": "2026-11-24T10:00:00Z",
}
CREATED = WEBHOOK | {"secret": _SECRET}
SECRET = {"secret": _SECRET, "earlier": []}
DELIVERY = {
    "id": "0198f3f3-1c00-7a11-9d20-55aa0c3f7e02",
    "webhook_id": _ID,
    "owner": "key:mfrggzdfmztwq2lk",
    "url": "https://example.org/hooks/captions",
    "event_id": "0198f3f3-1bff-7b52-8c7e-0a4b1f0d9c33",
    "event": "transcription.completed",
    "transcription_id": EXAMPLE_ID,
    "status": "waiting",
    "attempt": 1,
    "last_outcome": "server_error",
    "next_attempt_at": "2026-11-24T10:01:16Z",
    "created_at": "2026-11-24T10:01:11Z",
    "settled_at": None,
    "attempts": [
        {
            "number": 1,
            "at": "2026-11-24T10:01:11Z",
            "took_s": 0.12,
            "outcome": "server_error",
            "status_code": 503,
            "answer": "try again later",
        }
    ],
}
MESSAGE = {
    "type": "transcription.completed",
    "timestamp": "2026-11-24T10:01:11.204518Z",
    "data": {
        "id": EXAMPLE_ID,
        "media_id": "youtube-dQw4w9WgXcQ",
        "status": "completed",
        "attempt": 1,
        "error": None,
        "request_ids": ["0198f3f2-9a43-7c1e-8f5d-3b0f6a1f2d11"],
        "status_url": EXAMPLE_PATH,
        "result_url": f"{EXAMPLE_PATH}/result",
    },
}

_NO_WEBHOOK = (
    "webhook_not_found",
    "There is no such webhook.",
    "Unknown id, or another caller's",
)
WEBHOOK_NOT_FOUND = problem_response(404, _NO_WEBHOOK)
DELIVERY_NOT_FOUND = problem_response(
    404,
    _NO_WEBHOOK,
    ("delivery_not_found", "The webhook has no such delivery.", "Unknown delivery"),
)
DISABLED = problem_response(
    409,
    (
        "webhook_disabled",
        "The webhook is disabled. Enable it first: enabled = true.",
        "The webhook is disabled",
    ),
)
INVALID = problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. #/url: Field required.",
        "A field or the id is wrong",
    ),
    (*INVALID_URL[:2], "Not a URL"),
    PRIVATE_ADDRESS,
    (
        "invalid_option",
        "A secret is whsec_ and 24 to 64 bytes in base64. Leave it out to have one made.",
        "The secret is not valid",
    ),
)
CURSOR_ERRORS = problem_response(
    400,
    (
        "invalid_cursor",
        "This cursor was not issued by a list. Use `next_cursor` of a page, or leave it out.",
        "The cursor is not valid",
    ),
)
SECRET_UNAVAILABLE = problem_response(
    500,
    (
        "secret_unreadable",
        SERVER_DETAIL[SecretUnreadable],
        "The secret was encrypted with another key",
    ),
)
