"""The id of the current HTTP request: in its headers, its problem body and its log lines."""

import re
import uuid
from contextvars import ContextVar

from structlog.contextvars import bind_contextvars

HEADER = "X-Request-Id"

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_current: ContextVar[str] = ContextVar("request_id", default="")


def accept_request_id(client_id: str | None) -> str:
    """Start a request: use the client's id if it is safe to print, else a new one."""
    request_id = client_id if client_id and _SAFE.fullmatch(client_id) else uuid.uuid4().hex
    _current.set(request_id)
    bind_contextvars(request_id=request_id)  # on each log line
    return request_id


def current_request_id() -> str:
    """Return the id of the current request; empty outside one."""
    return _current.get()
