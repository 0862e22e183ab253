"""`GET /api/v1/transcriptions/{id}/events`: server-sent events of a transcription."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from sse_starlette import EventSourceResponse

from api.auth.authentication import Authenticator
from api.auth.dependencies import AuthenticatorDep
from api.auth.lasting import LastingAuthorization
from api.dependencies import PostgresDep, Reader
from api.events.cursor import EventCursor
from api.events.sse import EventStreamResponse
from api.events.stream import EventStream
from api.responses import (
    DATABASE_UNAVAILABLE,
    NO_STORE,
    TRANSCRIPTION_ERASED,
    TRANSCRIPTION_NOT_FOUND,
    Responses,
    problem_response,
)
from api.transcriptions.dependencies import HOLDS_STREAM_SLOT, TranscriptionId, WatcherDep
from api.transcriptions.view import Links
from resources.transcriptions.reads import get_transcription
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import YtcaptionError

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

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
    "description": "The text of the stream; for tools that read event by event, one event.",
    "type": ["string", "object"],
    "properties": {
        "event": {"type": "string", "enum": _NAMES},
        "id": {"type": "string", "description": "For `Last-Event-ID`."},
        "data": {"type": "string", "description": "JSON."},
        "retry": {"description": "Milliseconds before a broken connection is reopened."},
    },
}
_RESPONSES: Responses = {
    200: {
        "description": "Events until the transcription ends: `state`, `progress`, `segment`, "
        "`reset`, and last `completed`, `failed` or `canceled`.",
        "content": {"text/event-stream": {"schema": _SCHEMA, "example": _EXAMPLE}},
    },
    204: {"description": "There is nothing after this `Last-Event-ID`: do not connect again."},
    **problem_response(
        429,
        (
            "rate_limited",
            "20 event streams, long polls and uploads are open already. Close one, or wait until "
            "one has ended.",
            "Too many open streams",
        ),
        retry=True,
    ),
}


@router.get(
    "/transcriptions/{id}/events",
    operation_id="streamTranscriptionEvents",
    summary="Stream the events of a transcription",
    response_class=EventSourceResponse,
    responses={
        **_RESPONSES,
        **TRANSCRIPTION_NOT_FOUND,
        **TRANSCRIPTION_ERASED,
        **DATABASE_UNAVAILABLE,
    },
    dependencies=[HOLDS_STREAM_SLOT],
)
async def read_events(
    id: TranscriptionId,
    request: Request,
    caller: Reader,
    authenticator: AuthenticatorDep,
    postgres: PostgresDep,
    watcher: WatcherDep,
    last_event_id: Annotated[
        str | None,
        Header(description="Id of the last event you received: the stream resumes after it."),
    ] = None,
) -> Response:
    """Send the state, the progress and the text while it is transcribed, as server-sent events.

    The stream ends with `completed`, `failed` or `canceled`. A broken connection is resumed with
    `Last-Event-ID`, on any of the API's processes, as a browser's `EventSource` does.
    """
    await watcher.query(partial(get_transcription, postgres, id, caller.sees_only))
    cursor = EventCursor.of(id, last_event_id)
    stream = EventStream(
        watcher,
        postgres,
        id,
        caller.sees_only,
        Links.of(request, id),
        cursor or EventCursor(),
        _authorization_check(request, caller, authenticator),
    )
    if cursor is not None and await stream.has_seen_all():
        return Response(status_code=204, headers=NO_STORE)
    if request.scope.get("ytcaption.is_head"):
        return Response(media_type="text/event-stream", headers=NO_STORE)
    return EventStreamResponse(stream.events())


def _authorization_check(
    request: Request, caller: Caller, authenticator: Authenticator
) -> Callable[[], Awaitable[bool]]:
    authorization = LastingAuthorization(authenticator, caller, request.headers, "read")

    async def is_authorized() -> bool:
        try:
            return await authorization.holds()
        except YtcaptionError:
            return False  # the reader resumes the stream, elsewhere perhaps

    return is_authorized
