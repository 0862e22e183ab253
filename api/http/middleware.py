"""What holds for every request, before any route: id, log, headers, body limit."""

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import openai_errors
from api.http.client_address import client_address
from api.http.errors import HTTP_DETAILS, problem
from api.http.request_id import HEADER, accept_request_id
from api.http.route_path import route_path

logger = logging.getLogger(__name__)
access_log = logging.getLogger("api.access")

MAX_BODY_BYTES = 64 * 1024

BODY_LIMITS: dict[str, int | None] = {
    "/api/v1/transcriptions:batch": 4 * 1024 * 1024,
    "/api/v1/uploads": None,
    "/v1/audio/transcriptions": None,
    "/v1/audio/translations": None,
}
"""Path -> its own limit; None: the route counts itself as it stores what comes (rule 16)."""

PAGE_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def client_of(scope: Scope) -> str:
    """Where the request comes from, as trusted proxies say it."""
    return client_address(scope, scope["app"].state.settings.trusted_proxies)


def caller_of(scope: Scope) -> str | None:
    """Whose key or token it has: never a secret; None where nobody had to say."""
    caller = scope.get("ytcaption.caller")
    return None if caller is None else caller.owner


class RequestEnvelope:
    """Outermost: request id in and out, security headers, HEAD, one log line, no trace in a 500."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; what nobody foresaw becomes a 500 without a word of its cause."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        openai_errors.expect(route_path(scope))
        request_id = accept_request_id(Headers(scope=scope).get(HEADER))
        started_at = time.perf_counter()
        status = 0

        async def send_enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        # Every GET route answers HEAD; the server, which sees the true method, sends no body.
        # A route that would send much of it looks at `ytcaption.is_head`.
        is_head = scope["method"] == "HEAD"
        inner = {**scope, "method": "GET", "ytcaption.is_head": True} if is_head else scope
        try:
            await self.app(inner, receive, send_enveloped)
        except Exception:
            logger.exception("request %s failed", request_id)
            if status:  # half an answer is out: the server must break the connection
                raise
            await problem(500, "internal_error", HTTP_DETAILS[500])(scope, receive, send_enveloped)
        finally:
            scope.setdefault("route", inner.get("route"))  # HEAD's is a copy; the span names it
            access_log.info(
                "%s %s %d",
                scope["method"],
                ascii(scope["path"])[1:-1][:200],  # no line break of a client's making
                status,
                extra={
                    "request_id": request_id,
                    "status": status,
                    "took_ms": round((time.perf_counter() - started_at) * 1000, 1),
                    "client": client_of(scope),
                    "caller": caller_of(inner),
                },
            )


class BodyLimit:
    """413 for a body over its path's limit, by its Content-Length or as its bytes come in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses what says it is too long, counts the rest."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isascii() or not length.isdigit() or len(length) > 18:
            answer = problem(400, "malformed_request", "The Content-Length is no number.")
            await answer(scope, receive, send)
            return
        max_bytes = BODY_LIMITS.get(route_path(scope), MAX_BODY_BYTES)
        if max_bytes is None:
            await self.app(scope, receive, send)
            return
        detail = f"The body is over {max_bytes // 1024:,} KiB."
        if int(length) > max_bytes:
            answer = problem(413, "body_too_large", detail, headers={"Connection": "close"})
            await answer(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > max_bytes:
                raise HTTPException(413, detail, headers={"Connection": "close"})
            return message

        await self.app(scope, counted, send)
