"""Server-sent events, resumed after lost connections."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from ytcaption.client.errors import ServerUnreachable, UnexpectedAnswer
from ytcaption.client.models import Event
from ytcaption.client.transport import RETRY_FOR_S, Call, Transport

END = frozenset({"completed", "failed", "canceled"})

SILENCE_TIMEOUT_S = 45.0
"""The server sends a comment each 15 s: after three missing ones the connection is dead."""

MAX_EMPTY = 3
"""Consecutive streams without a single byte: a proxy holds the events back."""

_PAUSE_S = 2.0


def follow_events(transport: Transport, address: str, last_event_id: str | None) -> Iterator[Event]:
    """Yield events until the one that ends them; none if the end came before `last_event_id`.

    Raises:
        ApiError: the server refused.
        ServerUnreachable: it was unreachable for a minute, or no event comes through.
    """
    pause_s, lost_at, empty = _PAUSE_S, None, 0
    while True:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        call = Call("GET", address, headers=headers, timeout_s=SILENCE_TIMEOUT_S)
        response: httpx.Response | None = None
        try:
            with transport.stream(call) as opened:
                lost_at, response = None, opened
                if opened.status_code == 204:
                    return
                for sent in _parsed(opened):
                    if sent.retry is not None:
                        pause_s = min(sent.retry / 1_000, RETRY_FOR_S)
                    last_event_id = sent.id or last_event_id
                    if not sent.data:
                        continue
                    event = Event(id=sent.id, type=sent.event, data=_json(sent.data))
                    yield event
                    if event.type in END:
                        return
        except ServerUnreachable:
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > RETRY_FOR_S:
                raise
        if response is not None:
            empty = 0 if response.num_bytes_downloaded else empty + 1
            if empty == MAX_EMPTY:
                raise ServerUnreachable("No events come from the server. Poll its status instead.")
        time.sleep(pause_s)


def _parsed(response: httpx.Response) -> Iterator[ServerSentEvent]:
    try:
        yield from EventSource(response).iter_sse()
    except SSEError as error:
        raise UnexpectedAnswer("The server's response is not a stream of events.") from error


def _json(data: str) -> dict[str, Any]:
    try:
        return json.loads(data)
    except ValueError as error:
        raise UnexpectedAnswer("The server's events cannot be parsed.") from error
