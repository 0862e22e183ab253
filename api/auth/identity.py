"""Who asks: found out before any route, from the key or token of the request (rules 16, 19, 21)."""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth.key_ring import KeyRing
from api.auth.rate_limit import Allowance, RateLimiter
from api.http.client_address import client_address, is_over_loopback, neighbourhood
from api.http.errors import problem, ytcaption_problem
from api.http.route_path import route_path
from resources.auth.jwt_tokens import JwtTokens
from ytcaption.domain.caller import LOCAL, Caller
from ytcaption.domain.errors import RateLimited, Unauthenticated, YtcaptionError
from ytcaption.domain.media.addresses import is_loopback
from ytcaption.settings import Settings

MAX_TOKEN_CHARS = 8 * 1024

_OPEN_PATHS = frozenset(
    {"/", "/channels", "/docs", "/openapi.json", "/healthz", "/readyz", "/favicon.ico"}
)
_OPEN_FOLDERS = ("/docs/assets/", "/pages/")


def is_open_path(path: str) -> bool:
    """Whether everybody may read it: pages, the API's description, probes. All else is guarded."""
    return path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS)


class Authenticator:
    """Knows who may come in.

    Args:
        tokens: None where no JWT is set up.
    """

    def __init__(
        self, settings: Settings, key_ring: KeyRing, tokens: JwtTokens | None, limiter: RateLimiter
    ) -> None:
        self.key_ring, self.limiter = key_ring, limiter
        self._settings, self._tokens = settings, tokens
        self._fetching: asyncio.Task[None] | None = None
        self._may_be_open = tokens is None and is_loopback(settings.api_host)

    @property
    def seems_open(self) -> bool:
        """`is_open`, as far as it is known; asks nobody."""
        return self._may_be_open and not self.key_ring.known_to_exist

    async def is_open(self) -> bool:
        """Whether nobody has to say who they are: on loopback, as long as there are no keys.

        Raises:
            DatabaseUnavailable: it cannot be known whether there are any.
        """
        return self._may_be_open and not await self.key_ring.exist()

    async def caller(self, headers: Headers) -> Caller:
        """Whose key or token a request has.

        Raises:
            Unauthenticated: none, or one that does not hold.
            DatabaseUnavailable: that cannot be known.
        """
        token = bearer_token(headers)
        if token.startswith("ytc_"):
            return await self.key_ring.caller(token)
        if self._tokens is None:
            raise Unauthenticated("This is no key of this installation.")
        await self._fetch_keys_of(self._tokens, token)
        return self._tokens.caller(token)

    async def _fetch_keys_of(self, tokens: JwtTokens, token: str) -> None:
        """Once for all who ask meanwhile; only a token whose key is not known waits for it."""
        if self._fetching is None and tokens.needs_fetch(token):
            self._fetching = asyncio.create_task(asyncio.to_thread(tokens.refresh, token))
            self._fetching.add_done_callback(self._fetched)
        if self._fetching is not None and not tokens.has_key_of(token):
            await asyncio.shield(self._fetching)

    def _fetched(self, _: object) -> None:
        self._fetching = None

    async def count(self, caller: Caller) -> Allowance:
        """Counts one request of a caller's."""
        return await self.limiter.hit(caller.owner, self.per_minute(caller))

    async def left(self, caller: Caller) -> Allowance:
        """What a caller has left this minute; counts nothing."""
        return await self.limiter.peek(caller.owner, self.per_minute(caller))

    async def count_stranger(self, scope: Scope) -> Allowance:
        """Counts one request without a key that holds, of an address's."""
        address = client_address(scope, self._settings.trusted_proxies)
        limit = self._settings.requests_per_minute
        return await self.limiter.hit(f"address:{neighbourhood(address)}", limit)

    async def close(self) -> None:
        """Writes what is to be written, and ends connections."""
        await self.key_ring.close()
        await self.limiter.close()

    def per_minute(self, caller: Caller) -> int:
        """Requests a minute that a caller may send."""
        return caller.limits.requests_per_minute or self._settings.requests_per_minute


class Identity:
    """Sets `scope["ytcaption.caller"]`, or answers 401, 421 or 429."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Asks who it is, counts the request, hands on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        door: Authenticator = scope["app"].state.parts.door
        free = is_open_path(route_path(scope))
        allowance: Allowance | None = None
        try:
            if door.seems_open if free else await door.is_open():
                if not is_over_loopback(scope):
                    await _misdirected()(scope, receive, send)
                    return
                scope["ytcaption.caller"] = LOCAL
            elif not free:
                caller = await _known(door, scope)
                scope["ytcaption.caller"] = caller
                allowance = _passed(await door.count(caller))
        except YtcaptionError as error:
            await _refusal(error, scope)(scope, receive, send)
            return
        await self.app(scope, receive, _with_headers(send, allowance))


class TooMany(RateLimited):
    """A request over the limit."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__(
            f"More than {allowance.limit} requests a minute. Wait as long as Retry-After says.",
            retry_after_s=allowance.reset_s,
        )
        self.allowance = allowance


def bearer_token(headers: Headers) -> str:
    """The key or token of `Authorization: Bearer ...` (RFC 6750 section 2.1).

    Raises:
        Unauthenticated: none, or more than one.
    """
    given = headers.getlist("authorization")
    if not given:
        raise Unauthenticated("This needs a key. Send it as `Authorization: Bearer <key>`.")
    scheme, _, token = given[0].partition(" ")
    token = token.strip()
    if len(given) > 1 or scheme.lower() != "bearer" or not 0 < len(token) <= MAX_TOKEN_CHARS:
        raise Unauthenticated("Send one key or token, as `Authorization: Bearer <key>`.")
    return token


async def _known(door: Authenticator, scope: Scope) -> Caller:
    try:
        return await door.caller(Headers(scope=scope))
    except Unauthenticated:
        _passed(await door.count_stranger(scope))
        raise


def _passed(allowance: Allowance) -> Allowance:
    if not allowance.allowed:
        raise TooMany(allowance)
    return allowance


def _refusal(error: YtcaptionError, scope: Scope) -> ASGIApp:
    answer = ytcaption_problem(error)
    if isinstance(error, TooMany):
        answer.headers.update(error.allowance.headers)
    if isinstance(error, Unauthenticated) and "authorization" in Headers(scope=scope):
        answer.headers["WWW-Authenticate"] += ', error="invalid_token"'
    return answer


def _misdirected() -> ASGIApp:
    return problem(
        421,
        "misdirected_request",
        "This server answers on the loopback address only: no API keys exist. Use "
        "http://127.0.0.1 or http://localhost, or make a key with `ytcaption keys create`.",
    )


def _with_headers(send: Send, allowance: Allowance | None) -> Send:
    if allowance is None:
        return send

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(allowance.headers)
        await send(message)

    return send_with_headers
