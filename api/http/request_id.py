"""The id of the HTTP request being answered: in its headers, its problem body and its log lines."""

import re
import uuid
from contextvars import ContextVar

from structlog.contextvars import bind_contextvars

HEADER = "X-Request-Id"

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_current: ContextVar[str] = ContextVar("request_id", default="")


def accept_request_id(offered: str | None) -> str:
    """Starts a request: the client's own id if it is safe to print, else a new one."""
    request_id = offered if offered and _SAFE.fullmatch(offered) else uuid.uuid4().hex
    _current.set(request_id)
    bind_contextvars(request_id=request_id)  # into each log line
    return request_id


def current_request_id() -> str:
    """The id of the request being answered, empty outside one."""
    return _current.get()
