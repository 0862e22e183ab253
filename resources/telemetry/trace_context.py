"""W3C trace context: which trace the work at hand belongs to, with a collector or without."""

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
    """A place in a trace (https://www.w3.org/TR/trace-context/).

    Attributes:
        trace_id: 32 hex digits, not all zero.
        span_id: of the span that what follows hangs below, 16 hex digits.
        sampled: whether the one who began the trace wants it recorded.
        state: `tracestate`, of other tracing systems; handed on unread.
        is_remote: the span is another process's.
    """

    trace_id: str
    span_id: str
    sampled: bool = True
    state: str = ""
    is_remote: bool = False

    @classmethod
    def new(cls) -> "TraceContext":
        """The beginning of a trace that nobody records: it names log lines that belong together."""
        return cls(secrets.token_hex(16), secrets.token_hex(8), sampled=False)

    @classmethod
    def parsed(
        cls, traceparent: str | None, tracestate: str | None = None
    ) -> "TraceContext | None":
        """What a header says; None where there is none or it is not valid, as W3C wants it."""
        found = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
        if found is None:
            return None
        version, trace_id, span_id, flags, rest = found.groups()
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
    """Where this thread or task is; None outside of all traces."""
    return _current.get()


def current_traceparent() -> str | None:
    """The same as a header's value."""
    context = current_trace()
    return None if context is None else context.traceparent


@contextmanager
def in_trace(context: TraceContext) -> Iterator[None]:
    """What the block does belongs there."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)
