"""Which other sites' pages may call the API: those of `YTCAPTION_CORS_ORIGINS`, exactly."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from api.http.errors import problem

EXPOSED = (
    "Content-Disposition", "Content-Range", "ETag", "Location", "RateLimit", "RateLimit-Policy",
    "Retry-After", "X-Request-Id",
)  # fmt: skip
ALLOWED = (
    "Authorization", "Content-Disposition", "Content-Type", "Idempotency-Key", "If-None-Match",
    "If-Range", "Last-Event-ID", "Range", "X-Request-Id",
)  # fmt: skip


class Cors(CORSMiddleware):
    """Starlette's, whose refusals are problems like all others. No cookies: there are none."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST", "DELETE"),
            allow_headers=ALLOWED,
            expose_headers=EXPOSED,
            max_age=600,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a preflight."""
        answer = super().preflight_response(request_headers)
        if answer.status_code != 400:
            return answer
        headers = {"Vary": "Origin"}
        return problem(400, "cors_refused", "This origin may not ask so.", headers=headers)
