"""Errors of the client: the server is unreachable, refused, or is not a ytcaption."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from ytcaption.domain.errors import YtcaptionError

TEMPORARY_STATUSES = frozenset({408, 429, 502, 503, 504})
"""Statuses that mean "later" whatever the code, also of a proxy before the server."""


class ClientError(YtcaptionError):
    """Base class of the client's errors."""

    code = "client_error"


class ServerUnreachable(ClientError):
    """No response: unknown host, connection refused or broken, or a timeout."""

    code = "server_unreachable"
    retryable = True


class UnexpectedAnswer(ClientError):
    """What answers at the address is not a ytcaption."""

    code = "unexpected_answer"


class WaitTimeout(ClientError):
    """The transcription has not ended yet; the server continues."""

    code = "wait_timeout"
    retryable = True


class ApiError(ClientError):
    """The server refused: its RFC 9457 problem.

    Attributes:
        status: of HTTP.
        code: stable; docs/reference/errors.md lists them.
        detail: what happened and what to do.
        request_id: identifies the server's log lines.
        retryable: the same call may succeed later: the code or the status says so, or the server
            says when.
        retry_after_s: when to ask again; None if the server does not say.
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
        self.retryable = (  # pyright: ignore[reportAttributeAccessIssue]
            status in TEMPORARY_STATUSES
            or retry_after_s is not None
            or self.code in _retryable_codes()
        )
        super().__init__(self.detail)


@cache
def _retryable_codes() -> frozenset[str]:
    return frozenset(kind.code for kind in YtcaptionError.kinds() if kind.retryable)
