"""Authentication of every request before routing, by its API key or JWT."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth.rate_limit import Allowance, RateLimiter
from api.http.client_address import client_address, is_over_loopback
from api.http.errors import problem, ytcaption_problem
from api.http.route_path import route_path
from resources.auth.api_key_cache import ApiKeyCache
from resources.auth.callers import MAX_TOKEN_CHARS, Callers
from resources.auth.jwt_tokens import JwtTokens
from ytcaption.domain.caller import LOCAL, Caller
from ytcaption.domain.errors import RateLimited, Unauthenticated, YtcaptionError
from ytcaption.domain.media.addresses import client_network
from ytcaption.settings.settings import Settings

_PUBLIC_PATHS = frozenset(
    {"/", "/channels", "/docs", "/openapi.json", "/healthz", "/readyz", "/favicon.ico"}
)
_ALLOWANCE = "ytcaption.allowance"
"""In the scope: what the caller of this request may still send."""

_PUBLIC_FOLDERS = ("/docs/assets/", "/pages/")


def is_public_path(path: str) -> bool:
    """Return whether a path needs no key: pages, the API's description, probes."""
    return path in _PUBLIC_PATHS or path.startswith(_PUBLIC_FOLDERS)


class Authenticator:
    """Identifies callers and counts their requests.

    Args:
        tokens: None if JWTs are not configured.
    """

    def __init__(
        self,
        settings: Settings,
        key_cache: ApiKeyCache,
        tokens: JwtTokens | None,
        limiter: RateLimiter,
    ) -> None:
        self.key_cache, self.limiter = key_cache, limiter
        self._settings = settings
        self._callers = Callers(settings, key_cache, tokens)

    @property
    def seems_open(self) -> bool:
        """`is_open` as far as it is cached; reads nothing."""
        return self._callers.seem_open

    async def is_open(self) -> bool:
        """Return whether no key is needed: on loopback, until the first key is created.

        Raises:
            DatabaseUnavailable: whether keys exist cannot be determined.
        """
        return await self._callers.are_open()

    async def caller(self, headers: Headers) -> Caller:
        """Return the caller of a request.

        Raises:
            Unauthenticated: there is no key or token, or it is not valid.
            DatabaseUnavailable: the keys cannot be read.
        """
        return await self._callers.caller(bearer_token(headers))

    async def count(self, caller: Caller) -> Allowance:
        """Count one request of a caller."""
        return await self.limiter.hit(caller.owner, self.per_minute(caller))

    async def count_batch(self, scope: Scope, caller: Caller, number: int) -> None:
        """Count the items of a batch beyond the first one, which was counted as the request.

        Raises:
            RequestLimitExceeded: they do not fit into what is left.
        """
        if number <= 1 or caller == LOCAL:
            return
        allowance = await self.limiter.hit_batch(caller.owner, self.per_minute(caller), number - 1)
        scope[_ALLOWANCE] = _checked(allowance)

    async def left(self, caller: Caller) -> Allowance:
        """Return what a caller may still send this minute, without counting."""
        return await self.limiter.peek(caller.owner, self.per_minute(caller))

    async def count_anonymous(self, scope: Scope) -> Allowance:
        """Count one request without a valid key against its address."""
        address = client_address(scope, self._settings.api.trusted_proxies)
        limit = self._settings.api.requests_per_minute
        return await self.limiter.hit(f"address:{client_network(address)}", limit)

    async def close(self) -> None:
        """Finish pending writes and close the connections."""
        await self.key_cache.close()
        await self.limiter.close()

    def per_minute(self, caller: Caller) -> int:
        """Return the requests a minute that a caller may send."""
        return caller.limits.requests_per_minute or self._settings.api.requests_per_minute


class Authentication:
    """Middleware that sets `scope["ytcaption.caller"]`, or answers 401, 421 or 429."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Identify the caller, count the request, pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        authenticator: Authenticator = scope["app"].state.parts.authenticator
        public = is_public_path(route_path(scope))
        try:
            if authenticator.seems_open if public else await authenticator.is_open():
                if not is_over_loopback(scope):
                    await _misdirected()(scope, receive, send)
                    return
                scope["ytcaption.caller"] = LOCAL
            elif not public:
                caller = await _identified(authenticator, scope)
                scope["ytcaption.caller"] = caller
                scope[_ALLOWANCE] = _checked(await authenticator.count(caller))
        except YtcaptionError as error:
            await _error_response(error, scope)(scope, receive, send)
            return
        await self.app(scope, receive, _with_headers(send, scope))


class RequestLimitExceeded(RateLimited):
    """A request beyond the limit of its key or address."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__(
            f"More than {allowance.limit} requests a minute. Wait as long as Retry-After says.",
            retry_after_s=allowance.reset_s,
        )
        self.allowance = allowance


def bearer_token(headers: Headers) -> str:
    """Return the key or token of `Authorization: Bearer ...` (RFC 6750 section 2.1).

    Raises:
        Unauthenticated: there is none, or more than one.
    """
    values = headers.getlist("authorization")
    if not values:
        raise Unauthenticated("This needs a key. Send it as `Authorization: Bearer <key>`.")
    scheme, _, token = values[0].partition(" ")
    token = token.strip()
    if len(values) > 1 or scheme.lower() != "bearer" or not 0 < len(token) <= MAX_TOKEN_CHARS:
        raise Unauthenticated("Send one key or token, as `Authorization: Bearer <key>`.")
    return token


async def _identified(authenticator: Authenticator, scope: Scope) -> Caller:
    try:
        return await authenticator.caller(Headers(scope=scope))
    except Unauthenticated:
        _checked(await authenticator.count_anonymous(scope))
        raise


def _checked(allowance: Allowance) -> Allowance:
    if not allowance.allowed:
        raise RequestLimitExceeded(allowance)
    return allowance


def _error_response(error: YtcaptionError, scope: Scope) -> ASGIApp:
    response = ytcaption_problem(error)
    if isinstance(error, RequestLimitExceeded):
        response.headers.update(error.allowance.headers)
    if isinstance(error, Unauthenticated) and "authorization" in Headers(scope=scope):
        response.headers["WWW-Authenticate"] += ', error="invalid_token"'
    return response


def _misdirected() -> ASGIApp:
    return problem(
        421,
        "misdirected_request",
        "Without API keys this server answers on the loopback address only. Use http://127.0.0.1 "
        "or http://localhost, or create a key with `ytcaption keys create`.",
    )


def _with_headers(send: Send, scope: Scope) -> Send:
    if _ALLOWANCE not in scope:
        return send

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(scope[_ALLOWANCE].headers)
        await send(message)

    return send_with_headers
