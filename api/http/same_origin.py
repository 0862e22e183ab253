"""Refuses requests that change something if a page of another site sent them (CSRF)."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.errors import problem
from resources.http_server.origin import SAFE_METHODS, foreign_origin, origin_of
from ytcaption.settings.settings import Settings

CROSS_ORIGIN = "cross_origin_refused"
CROSS_ORIGIN_DETAIL = (
    "A page of another origin sent this request. An operator can allow its pages by "
    "YTCAPTION_CORS_ORIGINS."
)


class SameOrigin:
    """Answers 403 to unsafe methods that come from a page of an origin that is not trusted.

    A browser sends forms, multipart bodies and requests without a body for any page, and asks
    nobody before. Programs are not affected: they send neither `Origin` nor `Sec-Fetch-Site`.
    """

    def __init__(self, app: ASGIApp, trusted: Collection[str]) -> None:
        self.app = app
        self._trusted = frozenset(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it before anything of it is read."""
        if (
            scope["type"] == "http"
            and scope["method"] not in SAFE_METHODS
            and foreign_origin(Headers(scope=scope), self._trusted) is not None
        ):
            headers = {"Connection": "close"}  # the body is not read
            response = problem(403, CROSS_ORIGIN, CROSS_ORIGIN_DETAIL, headers=headers)
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)


def own_origins(settings: Settings) -> set[str]:
    """Return the origins whose pages may change something: the API's own and those of CORS."""
    public_url = settings.api.public_url
    return {*settings.api.cors_origins, *([origin_of(public_url)] if public_url else [])}
