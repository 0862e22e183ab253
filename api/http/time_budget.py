"""Middleware: how long a request may wait for the database.

A request that the database does not answer in time is answered 503 with `Retry-After`
(docs/adr/security-rules.md#rule-57). The time begins when the whole body has arrived.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.route_path import route_path
from resources.postgres.time_budget import Patience, answer_within, hang_noticed_within

REQUEST_S = 4.0
"""Longest time that a request waits for the database, all statements together."""

_LONG = re.compile(
    r"/api/v1/(admin/|analytics|retranscriptions|search|transcriptions[/:]batch$|uploads$)"
    r"|/api/v1/transcriptions/[^/]+/(audio|events|result)$"
    r"|/api/v1/media/[^/]+/(versions|transcripts)/latest$"
    r"|.*/(dry-run|ping)$|/v1/audio/|/metrics$"
)
"""Paths whose statements may take longer, or that wait for more than the database. They notice a
server that hangs in the same time."""


class TimeBudget:
    """Limits the time that a request waits for the database."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its budget."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with _budget(scope) as patience:

            async def received() -> Message:
                message = await receive()
                if message["type"] == "http.request" and not message.get("more_body", False):
                    patience.restart()
                return message

            await self.app(scope, received, send)


@contextmanager
def _budget(scope: Scope) -> Iterator[Patience]:
    is_long = (
        _LONG.match(route_path(scope)) is not None
        or scope["method"] == "DELETE"  # an erasure waits for the run to end
        or b"wait=" in scope["query_string"]
    )
    with hang_noticed_within(REQUEST_S) if is_long else answer_within(REQUEST_S) as patience:
        yield patience
