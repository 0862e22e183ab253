"""Watching a transcription: server-sent events."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from api.dependencies import DoorDep, Reader, RequestStoreDep, WatcherDep
from api.ending_responses import ERASED
from api.event_cursor import EventCursor
from api.event_responses import event_responses
from api.event_stream import EventStream
from api.identity import Door
from api.parameters import TranscriptionId
from api.responses import DATABASE_AWAY, NOT_FOUND
from api.transcription_view import Links
from ytcaption_assets.domain.caller import LOCAL, Caller
from ytcaption_assets.domain.errors import YtcaptionError

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

PING_S = 15
SEND_TIMEOUT_S = 30
"""A reader that takes nothing for so long is gone."""


class _Stream(EventSourceResponse):
    """Given up, and its place with it, where the reader takes nothing any more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until one of the two ends it."""
        with suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


async def _place(request: Request, caller: Reader, watcher: WatcherDep) -> AsyncIterator[None]:
    if request.scope.get("ytcaption.is_head"):
        yield
        return
    with watcher.place(caller):
        yield


@router.get(
    "/transcriptions/{id}/events",
    operation_id="streamTranscriptionEvents",
    summary="Watch a transcription",
    response_class=EventSourceResponse,
    responses={**event_responses(), **NOT_FOUND, **ERASED, **DATABASE_AWAY},
    dependencies=[Depends(_place)],
)
async def read_events(
    id: TranscriptionId,
    request: Request,
    caller: Reader,
    door: DoorDep,
    request_store: RequestStoreDep,
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
    await watcher.look(partial(request_store.get, id, caller.sees_only))
    cursor = EventCursor.of(id, last_event_id)
    stream = EventStream(
        watcher,
        request_store.postgres,
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
    return _Stream(
        stream.events(),
        ping=PING_S,
        ping_message_factory=lambda: ServerSentEvent(comment="still here", sep="\n"),
        send_timeout=SEND_TIMEOUT_S,
        sep="\n",
    )


def _may_go_on(request: Request, caller: Caller, door: Door) -> Callable[[], Awaitable[bool]]:
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
