"""OpenTelemetry spans, sent over OTLP/HTTP if a collector is configured; without one they are free.

OpenTelemetry is imported only when a collector is used: that takes 0.15 to 0.45 s.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from importlib import metadata
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

from resources.telemetry.span_exporter import quiet_exporter
from resources.telemetry.trace_context import TraceContext, current_trace, in_trace
from ytcaption.domain.errors import YtcaptionError

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

P = ParamSpec("P")
T = TypeVar("T")
Value = str | bool | int | float

INTERNAL_ERROR = "internal_error"
OK = "ok"
_SEND_AFTER_MS = 2_000


class Span:
    """The span of a block; without a collector its methods do nothing."""

    def __init__(self, inner: "trace.Span | None" = None) -> None:
        self._inner = inner
        self.has_failed = False

    def name(self, name: str) -> None:
        """Rename the span, once the name is known."""
        if self._inner is not None:
            self._inner.update_name(name)

    def set(self, attributes: Mapping[str, Value | None]) -> None:
        """Add attributes; those that are None are omitted."""
        if self._inner is not None:
            self._inner.set_attributes(_known(attributes))

    def fail(self, code: str, message: str = "") -> None:
        """Mark the span as failed; `message` must be safe to show to users."""
        if self._inner is None:
            return
        from opentelemetry.trace import StatusCode

        self.has_failed = True
        self._inner.set_attribute("error.type", code)
        self._inner.set_status(StatusCode.ERROR, message or code)


_OFF = Span()


class _Telemetry:
    """The tracer of this process, if there is one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.endpoint: str | None = None
        self.provider: TracerProvider | None = None
        self.tracer: trace.Tracer | None = None
        self.closing = False


_telemetry = _Telemetry()
os.register_at_fork(after_in_child=lambda: setattr(_telemetry, "lock", threading.Lock()))


def start_telemetry(endpoint: str | None, service: str) -> None:
    """Send spans of this process to the collector at `endpoint` from now on; None: nowhere.

    A second call with the same endpoint does nothing.
    """
    if endpoint is None or endpoint == _telemetry.endpoint:
        return
    stop_telemetry()
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    version = metadata.version("ytcaption")
    # It logs an error for each batch; `quiet_exporter` logs each failure once.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    with _telemetry.lock:
        resource = Resource.create({"service.name": service, "service.version": version})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(
            BatchSpanProcessor(
                quiet_exporter(endpoint, lambda: _telemetry.closing),
                schedule_delay_millis=_SEND_AFTER_MS,
            )
        )
        _telemetry.closing = False
        _telemetry.endpoint, _telemetry.provider = endpoint, provider
        _telemetry.tracer = provider.get_tracer("ytcaption", version)
    atexit.register(stop_telemetry)


def stop_telemetry() -> None:
    """Send the remaining spans; if the collector is unavailable, drop them after two seconds."""
    with _telemetry.lock:
        provider = _telemetry.provider
        _telemetry.endpoint = _telemetry.provider = _telemetry.tracer = None
        _telemetry.closing = True
    atexit.unregister(stop_telemetry)
    if provider is not None:
        provider.shutdown()


@contextmanager
def span(
    name: str,
    attributes: Mapping[str, Value | None] | None = None,
    *,
    kind: Literal["internal", "server"] = "internal",
    parent: TraceContext | None = None,
    root: bool = False,
) -> Iterator[Span]:
    """Open a span around the block, below `parent` or the current span; an error marks it failed.

    Outside of a trace nothing is recorded, unless `root` is set: then a trace begins here.
    """
    tracer, parent = _telemetry.tracer, parent or current_trace()
    if tracer is None or (parent is None and not root):
        context = parent or (TraceContext.new() if root else None)
        if context is None or context is current_trace():
            yield _OFF
        else:
            with in_trace(context):
                yield _OFF
        return
    from opentelemetry.trace import SpanKind

    kinds = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER}
    inner = tracer.start_span(
        name, _context(parent), kinds[kind], attributes=_known(attributes or {})
    )
    opened = Span(inner)
    try:
        with in_trace(_trace_context(inner)):
            yield opened
    except BaseException as error:
        if not opened.has_failed:
            _record(opened, inner, error)
        raise
    finally:
        inner.end()


def record_span(
    name: str, start_ns: int, took_s: float, attributes: Mapping[str, Value] | None = None
) -> int:
    """Record a span of work that is over, below the current span; return its end.

    Args:
        start_ns: nanoseconds since 1970.
    """
    end_ns = start_ns + round(took_s * 1e9)
    tracer, parent = _telemetry.tracer, current_trace()
    if tracer is not None and parent is not None:
        inner = tracer.start_span(
            name, _context(parent), attributes=dict(attributes or {}), start_time=start_ns
        )
        inner.end(end_ns)
    return end_ns


def traced(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator that opens a span around each call of a function."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            if _telemetry.tracer is None:
                return function(*args, **kwargs)
            with span(name):
                return function(*args, **kwargs)

        return wrapper

    return decorate


def now_ns() -> int:
    """Return the current time of the spans' clock, in nanoseconds since 1970."""
    return time.time_ns()


def _known(attributes: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value is not None}


def _context(parent: TraceContext | None) -> "Context":
    from opentelemetry import trace
    from opentelemetry.context import Context

    if parent is None:
        return Context()
    span_context = trace.SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=parent.is_remote,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED if parent.sampled else 0),
        trace_state=trace.TraceState.from_header([parent.state]),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(span_context), Context())


def _trace_context(inner: "trace.Span") -> TraceContext:
    span_context = inner.get_span_context()
    return TraceContext(
        f"{span_context.trace_id:032x}",
        f"{span_context.span_id:016x}",
        span_context.trace_flags.sampled,
        span_context.trace_state.to_header(),
    )


def _record(failed: Span, inner: "trace.Span", error: BaseException) -> None:
    """Record an exception: its type, and code and message of our own errors only.

    The text of other errors may contain a secret: see docs/adr/security-rules.md#rule-46.
    """
    if isinstance(error, GeneratorExit):
        return
    is_ours = isinstance(error, YtcaptionError)
    code, message = (error.code, error.message) if is_ours else (INTERNAL_ERROR, "")
    details = {"exception.type": type(error).__qualname__, "exception.message": message}
    inner.add_event("exception", details)
    failed.fail(code, message)
