"""W3C trace context: the trace that the current work belongs to, with or without a collector."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_LONGEST_STATE = 512


@dataclass(frozen=True)
class TraceContext:
    """A position in a trace (https://www.w3.org/TR/trace-context/).

    Attributes:
        trace_id: 32 hex digits, not all zero.
        span_id: parent of the spans that follow, 16 hex digits.
        sampled: whether the trace is recorded, as decided where it began.
        state: `tracestate` of other tracing systems; passed on unread.
        is_remote: whether the span belongs to another process.
    """

    trace_id: str
    span_id: str
    sampled: bool = True
    state: str = ""
    is_remote: bool = False

    @classmethod
    def new(cls) -> "TraceContext":
        """Begin a trace that is not recorded: it identifies log lines that belong together."""
        return cls(secrets.token_hex(16), secrets.token_hex(8), sampled=False)

    @classmethod
    def from_headers(
        cls, traceparent: str | None, tracestate: str | None = None
    ) -> "TraceContext | None":
        """Parse the headers; return None if there are none or, as W3C requires, if they are
        invalid."""
        match = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
        if match is None:
            return None
        version, trace_id, span_id, flags, rest = match.groups()
        if version == "ff" or (version == "00" and rest):
            return None
        if not trace_id.strip("0") or not span_id.strip("0"):
            return None
        state = tracestate or ""
        if len(state) > _LONGEST_STATE or not (state.isascii() and state.isprintable()):
            state = ""
        return cls(trace_id, span_id, bool(int(flags, 16) & 1), state, is_remote=True)

    @property
    def traceparent(self) -> str:
        """The header's value, version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


_current: ContextVar[TraceContext | None] = ContextVar("trace_context", default=None)


def current_trace() -> TraceContext | None:
    """Return the position of this thread or task; None outside of a trace."""
    return _current.get()


def current_traceparent() -> str | None:
    """Return the current position as the value of a header; None outside of a trace."""
    context = current_trace()
    return None if context is None else context.traceparent


@contextmanager
def in_trace(context: TraceContext) -> Iterator[None]:
    """Make the block part of a trace."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)
