"""Middleware for every request, before routing: request id, log line, headers, body limit."""

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import openai_errors
from api.http.client_address import client_address
from api.http.errors import HTTP_DETAILS, problem, ytcaption_problem
from api.http.request_id import HEADER, accept_request_id
from api.http.route_path import route_path
from resources.shortages import shortage_of

logger = logging.getLogger(__name__)
access_log = logging.getLogger("api.access")

MAX_BODY_BYTES = 64 * 1024

BODY_LIMITS: dict[str, int | None] = {
    "/api/v1/transcriptions/batch": 4 * 1024 * 1024,
    "/api/v1/transcriptions:batch": 4 * 1024 * 1024,
    "/api/v1/uploads": None,
    "/v1/audio/transcriptions": None,
    "/v1/audio/translations": None,
}
"""Path -> its own limit in bytes; None: the route enforces its limit while it stores the body."""

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
    """Return the client's address, as trusted proxies report it."""
    return client_address(scope, scope["app"].state.settings.api.trusted_proxies)


def caller_of(scope: Scope) -> str | None:
    """Return the owner of the request's key or token, never a secret; None without a caller."""
    caller = scope.get("ytcaption.caller")
    return None if caller is None else caller.owner


class RequestEnvelope:
    """Adds the request id and security headers, answers HEAD, logs one line, hides tracebacks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; an unexpected error becomes a 500 that says nothing of its cause."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        openai_errors.begin_request(route_path(scope))
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

        # Every GET route answers HEAD; the server, which sees the real method, sends no body.
        # A route that would send a large body checks `ytcaption.is_head`.
        is_head = scope["method"] == "HEAD"
        inner = {**scope, "method": "GET", "ytcaption.is_head": True} if is_head else scope
        try:
            await self.app(inner, receive, send_enveloped)
        except Exception as error:
            logger.exception("request %s failed", request_id)
            if status:  # the response has begun: the server must break the connection
                raise
            if shortage := shortage_of(error):
                answer = ytcaption_problem(shortage)
            else:
                answer = problem(500, "internal_error", HTTP_DETAILS[500])
            await answer(scope, receive, send_enveloped)
        finally:
            scope.setdefault(
                "route", inner.get("route")
            )  # HEAD's scope is a copy; tracing reads it
            access_log.info(
                "%s %s %d",
                scope["method"],
                ascii(scope["path"])[1:-1][:200],  # a client must not inject line breaks
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
    """Answers 413 to a body over its path's limit, by Content-Length or while it arrives."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a body that announces too much, and count the bytes of all others."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isascii() or not length.isdigit() or len(length) > 18:
            response = problem(400, "malformed_request", "The Content-Length is not a number.")
            await response(scope, receive, send)
            return
        max_bytes = BODY_LIMITS.get(route_path(scope), MAX_BODY_BYTES)
        if max_bytes is None:
            await self.app(scope, receive, send)
            return
        detail = f"The body is larger than {max_bytes // 1024:,} KiB."
        if int(length) > max_bytes:
            response = problem(413, "body_too_large", detail, headers={"Connection": "close"})
            await response(scope, receive, send)
            return
        received_bytes = 0

        async def counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > max_bytes:
                raise HTTPException(413, detail, headers={"Connection": "close"})
            return message

        await self.app(scope, counted, send)
