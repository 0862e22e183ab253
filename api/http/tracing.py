"""One span a request, below the client's own trace where it has one."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.route_path import route_path
from resources.telemetry.spans import span
from resources.telemetry.trace_context import TraceContext, in_trace

UNTRACED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: their spans would hide all others."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Others are a client's invention, and no name for a span."""


class Traced:
    """Continues the client's trace (W3C `traceparent`), or begins one.

    Without a collector nothing is recorded; the trace's id is in the log lines all the same, and
    goes with the work into its run.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A span around one request: method, route template, status."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = TraceContext.from_headers(headers.get("traceparent"), headers.get("tracestate"))
        if route_path(scope) in UNTRACED:
            with in_trace(asked or TraceContext.new()):
                await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        status = 0

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        attributes = {"http.request.method": method}
        with span(method, attributes, kind="server", parent=asked, root=True) as server:
            try:
                await self.app(scope, receive, send_seen)
            finally:
                route = getattr(scope.get("route"), "path", None)
                server.name(f"{method} {route}" if route else method)
                server.set({"http.route": route, "http.response.status_code": status or None})
                if status >= 500:
                    server.fail(str(status))
