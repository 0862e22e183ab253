"""ASGI middleware in front of Dagster's page, which checks nothing itself.

Dagster's own server executes mutations that come by GET or as a form, from any page that a browser
shows, under any host name. Here each request and WebSocket is checked before Dagster sees it.
"""

import asyncio
import logging
import time
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resources.http_server.origin import host_of, is_own_host, names_host
from ytcaption.domain.errors import YtcaptionError
from ytcaption_assets.webserver.sessions import Sessions
from ytcaption_assets.webserver.sign_in import POLICY, SIGN_IN, SIGN_OUT, SignIn, sign_in_address

logger = logging.getLogger(__name__)

GRAPHQL = "/graphql"
HEALTH = "/healthz"

CHECK_EVERY_S = 15.0
"""How often the session of an open WebSocket is checked."""

POLICY_VIOLATION = 1008
"""Close code of RFC 6455 for what is not allowed."""

SECURITY_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",  # with `no-referrer` a form's `Origin` would be `null`
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
FRAME_POLICY = "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
"""A second policy beside Dagster's own, which says nothing of frames. Both apply."""

AGAIN = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0">'
    "<title>Dagster - ytcaption</title></html>"
)
"""Opens the same address once more, from this site, so that the browser sends the cookie."""


class Refusal(NamedTuple):
    """Why a request is refused."""

    status: HTTPStatus
    reason: str


class Guard:
    """Passes on what the page itself sends, and what an operator opens by hand.

    - `Host` is loopback, or that of `public_url`.
    - `Origin`, where there is one, is that of the page. `Sec-Fetch-Site` is `same-origin` or
      `none`, except when a person follows a link to the page.
    - What changes something is a POST with a JSON body: no page can send one elsewhere unasked.
      GraphQL by GET is refused.
    - A session is needed as soon as the API needs a key, and always if there is a `public_url`.

    Args:
        public_url: origin of the page for others, such as `https://dagster.example.org`.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, public_url: str | None = None) -> None:
        self.app = app
        self._sessions = sessions
        self._origins = frozenset({public_url.lower()} if public_url else ())
        # A proxy may replace `Host`, so a request to loopback is no proof that it is local.
        self._is_public = public_url is not None
        self._hosts = frozenset({host_of(public_url)} if public_url else ())
        is_secure = bool(public_url and public_url.lower().startswith("https:"))
        self._public_sign_in = SignIn(sessions, is_secure=is_secure)
        self._local_sign_in = SignIn(sessions, is_secure=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request or a WebSocket and pass it on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_socket = scope["type"] == "websocket"
        send = send if is_socket else _with_security_headers(send)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            logger.warning("refused %s: %s", ascii(scope["path"])[1:-1][:200], refusal.reason)
            await _refuse(refusal, scope, receive, send)
            return
        if scope["path"] == HEALTH and not is_socket:
            await PlainTextResponse("ok\n")(scope, receive, send)
            return
        try:
            response = await self._unless_signed_in(scope, headers, receive)
        except YtcaptionError as error:  # the database does not answer
            logger.error("%s: %s", error.code, error)
            refusal = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The keys cannot be read. Retry.")
            await _refuse(refusal, scope, receive, send)
            return
        if response is None and is_socket:
            await self._serve_socket(scope, headers, receive, send)
        elif response is None:
            await self.app(scope, receive, send)
        elif is_socket:
            await _refuse(Refusal(HTTPStatus.UNAUTHORIZED, "Sign in."), scope, receive, send)
        else:
            await response(scope, receive, send)

    async def _serve_socket(
        self, scope: Scope, headers: Headers, receive: Receive, send: Send
    ) -> None:
        """Pass on a WebSocket, and close it when its session ends."""
        check_at = time.monotonic() + CHECK_EVERY_S
        is_closed = False

        async def receive_while_signed_in() -> Message:
            nonlocal check_at, is_closed
            while True:
                if (left_s := check_at - time.monotonic()) > 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(left_s):
                            return await receive()
                if await self._has_ended(scope, headers, receive):
                    break
                check_at = time.monotonic() + CHECK_EVERY_S
            is_closed = True
            reason = "The session has ended. Sign in."
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": reason})
            return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}

        async def send_while_signed_in(message: Message) -> None:
            if not is_closed:
                await send(message)

        await self.app(scope, receive_while_signed_in, send_while_signed_in)

    async def _has_ended(self, scope: Scope, headers: Headers, receive: Receive) -> bool:
        try:
            return await self._unless_signed_in(scope, headers, receive) is not None
        except YtcaptionError as error:
            logger.error("%s: %s", error.code, error)
            return True  # the page opens another one when the keys can be read again

    def _refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        """Return why a request is refused with a session, too; None if it is not."""
        if not is_own_host(headers, self._hosts):
            return Refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This page answers on 127.0.0.1 and localhost, and under the address of "
                "YTCAPTION_WEBSERVER_URL.",
            )
        is_socket = scope["type"] == "websocket"
        method = "GET" if is_socket else scope["method"]
        if method not in ("GET", "HEAD", "POST"):
            return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Send GET or POST.")
        if not self._is_same_origin(headers) and not _is_navigation(scope, headers):
            return Refusal(HTTPStatus.FORBIDDEN, "A page of another origin sent this request.")
        if is_socket:
            return None
        if method == "POST" and scope["path"] not in (SIGN_IN, SIGN_OUT) and not _is_json(headers):
            return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json.")
        # GET opens the page to try queries on, which executes nothing by itself.
        is_graphql = method != "POST" and scope["path"].rstrip("/") == GRAPHQL
        if is_graphql and (scope["query_string"] or "text/html" not in headers.get("accept", "")):
            return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Send GraphQL by POST.")
        return None

    def _is_same_origin(self, headers: Headers) -> bool:
        """Return whether the page itself sent a request, or no page at all."""
        origins = headers.getlist("origin")
        sites = headers.getlist("sec-fetch-site")
        return {"same-origin", "none"}.issuperset(sites) and (
            not origins
            or (
                len(origins) == 1
                and (origins[0].lower() in self._origins or names_host(origins[0], headers))
            )
        )

    async def _unless_signed_in(
        self, scope: Scope, headers: Headers, receive: Receive
    ) -> Response | None:
        """Return the response to a request that needs a session and has none; None for all others.

        Raises:
            DatabaseUnavailable: the keys cannot be read.
        """
        by_name = headers.get("host", "").lower() in self._hosts
        sign_in = self._public_sign_in if by_name else self._local_sign_in
        is_needed = self._is_public or await self._sessions.are_needed()
        if scope["type"] == "http" and scope["path"] in (SIGN_IN, SIGN_OUT):
            return await sign_in.respond(scope, receive) if is_needed else RedirectResponse("/")
        if not is_needed or await sign_in.is_signed_in(scope):
            return None
        wants_page = scope["type"] == "http" and "text/html" in headers.get("accept", "")
        if not wants_page or scope["method"] == "POST":
            return PlainTextResponse("Sign in at /sign-in.\n", HTTPStatus.UNAUTHORIZED)
        if headers.get("sec-fetch-site") == "cross-site":
            return HTMLResponse(AGAIN, headers={"Cache-Control": "no-store"})
        return RedirectResponse(sign_in_address(scope), HTTPStatus.SEE_OTHER)


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Return whether a person opens the page by a link of another site, in a window of its own."""
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and scope["path"].rstrip("/") != GRAPHQL
        and "origin" not in headers
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _is_json(headers: Headers) -> bool:
    types = headers.getlist("content-type")
    return len(types) == 1 and types[0].partition(";")[0].strip().lower() == "application/json"


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": refusal.reason})
        return
    headers = {"Connection": "close", "Cache-Control": "no-store"}
    if refusal.status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = "POST" if scope["path"].startswith(GRAPHQL) else "GET, HEAD, POST"
    if refusal.status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "5"
    response = PlainTextResponse(f"{refusal.reason}\n", refusal.status, headers)
    await response(scope, receive, send)


def _with_security_headers(send: Send) -> Send:
    async def send_secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            if headers.get("content-security-policy") != POLICY:
                headers.append("Content-Security-Policy", FRAME_POLICY)
        await send(message)

    return send_secured
