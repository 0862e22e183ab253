"""The stream of events as the OpenAPI document shows it."""

from typing import Any

from api.responses import problem_response

_EXAMPLE = """retry: 2000

id: 1-0-5b0c6d1e2f3a-0a1b2c3d4e5f
event: state
data: {"status":"running","stage":"transcription","attempt":1,"error":null}

id: 1-1-5b0c6d1e2f3a-1b2c3d4e5f60
event: segment
data: {"index":0,"start_s":0.0,"end_s":8.3,"text":"And so, my fellow Americans, ask not"}

id: 1-1-9f8e7d6c5b4a-2c3d4e5f6071
event: completed
data: {"id":"youtube-...","status":"completed","status_url":"...","result_url":"...","error":null}
"""


_NAMES = ("state", "progress", "segment", "reset", "completed", "failed", "canceled")

_SCHEMA: dict[str, Any] = {
    "description": "The stream's text; to a tool that reads event by event, one event.",
    "type": ["string", "object"],
    "properties": {
        "event": {"type": "string", "enum": _NAMES},
        "id": {"type": "string", "description": "For `Last-Event-ID`."},
        "data": {"type": "string", "description": "JSON."},
        "retry": {"description": "Milliseconds until a broken stream is taken up again."},
    },
}


def event_responses() -> dict[int | str, dict[str, Any]]:
    """What the route answers of its own."""
    return {
        200: {
            "description": "Events until the transcription ends: `state`, `progress`, `segment`, "
            "`reset`, and last `completed`, `failed` or `canceled`.",
            "content": {
                "text/event-stream": {"schema": _SCHEMA, "example": _EXAMPLE},
            },
        },
        204: {"description": "All was told up to this `Last-Event-ID`: do not connect again."},
        **problem_response(
            429,
            ("rate_limited", "20 event streams and long polls are open already.", "Too many open"),
            retry=True,
        ),
    }
