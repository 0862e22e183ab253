"""Cross-origin requests: exactly the origins of `YTCAPTION_CORS_ORIGINS` may call the API."""

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
    """Starlette's middleware with problems as errors, and without cookies, which are not used."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST", "PATCH", "DELETE"),
            allow_headers=ALLOWED,
            expose_headers=EXPOSED,
            max_age=600,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return the response to a preflight request."""
        response = super().preflight_response(request_headers)
        if response.status_code != 400:
            return response
        headers = {"Vary": "Origin"}
        return problem(400, "cors_refused", "This origin may not call the API.", headers=headers)
