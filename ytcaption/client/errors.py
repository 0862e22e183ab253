"""What can go wrong between a client and its server."""

from collections.abc import Mapping
from typing import Any

from ytcaption.domain.errors import YtcaptionError


class ClientError(YtcaptionError):
    """Root of the client's own errors."""

    code = "client_error"


class ServerUnreachable(ClientError):
    """No answer: no such host, nobody listens, the connection broke, no time left."""

    code = "server_unreachable"
    retryable = True


class UnexpectedAnswer(ClientError):
    """Something answers at the address, but it is no ytcaption."""

    code = "unexpected_answer"


class WaitTimeout(ClientError):
    """The transcription is not over yet; it goes on at the server."""

    code = "wait_timeout"
    retryable = True


class ApiError(ClientError):
    """The server refused: its RFC 9457 problem.

    Attributes:
        status: of HTTP.
        code: stable; docs/reference/errors.md lists them.
        detail: what happened and what to do.
        request_id: finds the server's log lines.
        retry_after_s: when asking again is worth it; None where the server says nothing.
        problem: the whole body.
    """

    def __init__(
        self, status: int, problem: Mapping[str, Any], retry_after_s: float | None = None
    ) -> None:
        self.status = status
        # The server's own code, not one of this class.
        self.code = str(problem.get("code") or f"http_{status}")  # pyright: ignore[reportAttributeAccessIssue]
        self.detail = str(problem.get("detail") or f"The server answered {status}.")
        self.request_id = str(problem.get("request_id") or "")
        self.retry_after_s = retry_after_s
        self.problem = dict(problem)
        self.retryable = status in (429, 503)  # pyright: ignore[reportAttributeAccessIssue]
        super().__init__(self.detail)
