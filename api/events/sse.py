"""A response of server-sent events."""

from collections.abc import AsyncIterable, Mapping
from contextlib import suppress

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

PING_S = 15
SEND_TIMEOUT_S = 30
"""A reader that receives nothing for this long is disconnected."""


class EventStreamResponse(EventSourceResponse):
    """Sends events, and comments between them. It ends, and frees its slot, if the reader stops
    receiving."""

    def __init__(
        self, events: AsyncIterable[ServerSentEvent], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(
            events,
            headers=headers,
            ping=PING_S,
            ping_message_factory=lambda: ServerSentEvent(comment="still here", sep="\n"),
            send_timeout=SEND_TIMEOUT_S,
            sep="\n",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until either side ends it."""
        with suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)
