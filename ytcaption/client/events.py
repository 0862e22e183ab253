"""Server-sent events, taken up again where they broke off."""

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

SILENT_S = 45.0
"""The server sends a sign of life each 15 s: after three that did not come, the line is dead."""

MAX_EMPTY = 3
"""Streams in a row of which not one byte came: something on the way keeps them back."""

_PAUSE_S = 2.0


def followed(transport: Transport, address: str, last_event_id: str | None) -> Iterator[Event]:
    """Events until the one that ends them; none where all was told up to `last_event_id`.

    Raises:
        ApiError: the server refused.
        ServerUnreachable: it has not been there for a minute, or lets no event through.
    """
    pause_s, lost_at, empty = _PAUSE_S, None, 0
    while True:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        call = Call("GET", address, headers=headers, timeout_s=SILENT_S)
        opened: httpx.Response | None = None
        try:
            with transport.stream(call) as answer:
                lost_at, opened = None, answer
                if answer.status_code == 204:
                    return
                for sent in _sent(answer):
                    if sent.retry is not None:
                        pause_s = min(sent.retry / 1_000, RETRY_FOR_S)
                    last_event_id = sent.id or last_event_id
                    if not sent.data:
                        continue
                    event = Event(id=sent.id, type=sent.event, data=_read(sent.data))
                    yield event
                    if event.type in END:
                        return
        except ServerUnreachable:
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > RETRY_FOR_S:
                raise
        if opened is not None:
            empty = 0 if opened.num_bytes_downloaded else empty + 1
            if empty == MAX_EMPTY:
                raise ServerUnreachable("No events come from the server. Ask for its state.")
        time.sleep(pause_s)


def _sent(answer: httpx.Response) -> Iterator[ServerSentEvent]:
    try:
        yield from EventSource(answer).iter_sse()
    except SSEError as error:
        raise UnexpectedAnswer("What the server sends is no stream of events.") from error


def _read(data: str) -> dict[str, Any]:
    try:
        return json.loads(data)
    except ValueError as error:
        raise UnexpectedAnswer("The server's events cannot be read.") from error
