"""One span per request, as a child of the client's trace if it sends one."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.route_path import route_path
from resources.telemetry.spans import span
from resources.telemetry.trace_context import TraceContext, in_trace

UNTRACED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Polled every few seconds by probes: their spans would bury all others."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Other methods are invented by clients and would make endless span names."""


class RequestTracing:
    """Continues the client's trace (W3C `traceparent`), or starts one.

    Without a collector nothing is recorded; the trace id is still in the log lines and is passed
    on to the run that does the work.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request in a span with its method, route template and status."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        parent = TraceContext.from_headers(headers.get("traceparent"), headers.get("tracestate"))
        if route_path(scope) in UNTRACED:
            with in_trace(parent or TraceContext.new()):
                await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        status = 0

        async def send_recorded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        attributes = {"http.request.method": method}
        with span(method, attributes, kind="server", parent=parent, root=True) as server:
            try:
                await self.app(scope, receive, send_recorded)
            finally:
                route = getattr(scope.get("route"), "path", None)
                server.name(f"{method} {route}" if route else method)
                server.set({"http.route": route, "http.response.status_code": status or None})
                if status >= 500:
                    server.fail(str(status))
