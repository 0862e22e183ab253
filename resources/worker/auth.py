"""Authentication of the worker's clients, and error responses."""

import hmac
import logging
from dataclasses import dataclass
from http import HTTPStatus

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from resources.http_server.origin import is_own_host

logger = logging.getLogger(__name__)

BAD_TOKEN = "the token is missing or wrong, or a web page sent the request"  # noqa: S105


@dataclass(frozen=True)
class Authenticator:
    """Decides which requests are allowed.

    Attributes:
        is_local: requests come through this user's socket: audio is a file, never sent.
        token: required of other requests; None: all are allowed.
    """

    is_local: bool
    token: SecretStr | None = None

    def allows(self, request: Request) -> bool:
        """Return whether the request is allowed. None of a web page is: runs are no browsers."""
        if self.is_local:
            return True
        if not {"origin", "sec-fetch-site"}.isdisjoint(request.headers):
            return False
        if self.token is None:
            return is_own_host(request.headers)
        given = request.headers.get("authorization", "").encode()
        expected = f"Bearer {self.token.get_secret_value()}".encode()
        return hmac.compare_digest(given, expected)


def error_response(status: HTTPStatus, reason: str) -> Response:
    """Return a response with the reason, and log it."""
    # The rest of the request's body is not read.
    headers = {"Connection": "close"}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    else:
        logger.warning("refused a request: %s", reason)
    message = {"error": {"code": "refused", "message": reason}}
    return JSONResponse(message, status, headers=headers)
