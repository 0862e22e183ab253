"""Watching a transcription: server-sent events."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from sse_starlette import EventSourceResponse

from api.auth.dependencies import AuthenticatorDep
from api.auth.identity import Authenticator
from api.dependencies import PostgresDep, Reader
from api.events.cursor import EventCursor
from api.events.responses import event_responses
from api.events.sse import EventAnswer
from api.events.stream import EventStream
from api.http.parameters import TranscriptionId
from api.responses import DATABASE_UNAVAILABLE, NOT_FOUND
from api.transcriptions.action_responses import ERASED
from api.transcriptions.dependencies import HOLDS_STREAM_SLOT, WatcherDep
from api.transcriptions.view import Links
from resources.transcriptions.reads import get_transcription
from ytcaption.domain.caller import LOCAL, Caller
from ytcaption.domain.errors import YtcaptionError

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])


@router.get(
    "/transcriptions/{id}/events",
    operation_id="streamTranscriptionEvents",
    summary="Watch a transcription",
    response_class=EventSourceResponse,
    responses={**event_responses(), **NOT_FOUND, **ERASED, **DATABASE_UNAVAILABLE},
    dependencies=[HOLDS_STREAM_SLOT],
)
async def read_events(
    id: TranscriptionId,
    request: Request,
    caller: Reader,
    door: AuthenticatorDep,
    postgres: PostgresDep,
    watcher: WatcherDep,
    last_event_id: Annotated[
        str | None,
        Header(description="Of the last event that came: the stream goes on behind it."),
    ] = None,
) -> Response:
    """State, progress and the text while it is heard, as server-sent events.

    The stream ends with `completed`, `failed` or `canceled`. A connection that breaks is taken up
    again with `Last-Event-ID`, at any of the API's processes, as a browser's `EventSource` does.
    """
    await watcher.look(partial(get_transcription, postgres, id, caller.sees_only))
    cursor = EventCursor.of(id, last_event_id)
    stream = EventStream(
        watcher,
        postgres,
        id,
        caller.sees_only,
        Links.of(request, id),
        cursor or EventCursor(),
        _may_go_on(request, caller, door),
    )
    if cursor is not None and await stream.has_seen_all():
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    if request.scope.get("ytcaption.is_head"):
        return Response(media_type="text/event-stream", headers={"Cache-Control": "no-store"})
    return EventAnswer(stream.events())


def _may_go_on(
    request: Request, caller: Caller, door: Authenticator
) -> Callable[[], Awaitable[bool]]:
    """Whether who asked may still read: a key may be revoked, a token expire (rule 19)."""

    async def ask() -> bool:
        try:
            if caller == LOCAL:
                return await door.is_open()
            now = await door.caller(request.headers)
        except YtcaptionError:
            return False
        return now.owner == caller.owner and now.may("read")

    return ask
