"""Who may come in to a worker, and what the others are told."""

import hmac
import logging
from dataclasses import dataclass
from http import HTTPStatus

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

logger = logging.getLogger(__name__)

NO_TOKEN = "the token is missing or wrong"  # noqa: S105 - none


@dataclass(frozen=True)
class Authenticator:
    """How runs come in.

    Attributes:
        is_local: through a socket of this user's: audio is named by its file, never sent.
        token: what others must say; None: all that reach it may.
    """

    is_local: bool
    token: SecretStr | None = None

    def opens(self, request: Request) -> bool:
        """Whether who asks may."""
        if self.is_local or self.token is None:
            return True
        given = request.headers.get("authorization", "").encode()
        wanted = f"Bearer {self.token.get_secret_value()}".encode()
        return hmac.compare_digest(given, wanted)


def refused(status: HTTPStatus, reason: str) -> Response:
    """An answer that says why not, in the worker's log, too."""
    # What else the body holds is not read.
    headers = {"Connection": "close"}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    else:
        logger.warning("refused a request: %s", reason)
    said = {"error": {"code": "refused", "message": reason}}
    return JSONResponse(said, status, headers=headers)
