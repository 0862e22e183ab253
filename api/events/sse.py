"""An answer of server-sent events, whoever reads them."""

from collections.abc import AsyncIterable, Mapping
from contextlib import suppress

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

PING_S = 15
SEND_TIMEOUT_S = 30
"""A reader that takes nothing for so long is gone."""


class EventAnswer(EventSourceResponse):
    """Sends events, and a sign of life between them. It is given up, and its place with it, where
    the reader takes nothing any more."""

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
        """Sends until one of the two ends it."""
        with suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)
