"""Log lines: JSON for machines, aligned text on a terminal, without secrets in either."""

import logging
import re
import sys
from typing import Literal, TextIO

import structlog

from resources.telemetry.trace_context import current_trace

LogFormat = Literal["auto", "json", "text"]

OWN_LOGGERS = ("ytcaption", "ytcaption_assets", "resources", "sensors", "api")

# Scheme, host and path of a URL are kept. A terminal's colour escape also ends a URL.
_URL = re.compile(
    r"\b([A-Za-z][A-Za-z0-9+.-]{0,30}://)(?:[^\s/\"'<>\\\x1b]*@)?"
    r"([^\s?#\"'<>\\\x1b]*)(?:[?#][^\s\"'<>\\\x1b]*)?"
)
_SECRETS = (
    ("ytc_", re.compile(r"\b(ytc_[A-Za-z0-9]+)_[A-Za-z0-9_-]+"), r"\1_…"),
    ("whsec_", re.compile(r"\bwhsec_[A-Za-z0-9+/=]+"), "whsec_…"),
    ("eyj", re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "eyJ…"),
    ("bearer", re.compile(r"(?i)\b(bearer)\s+[\w.~+/=-]{8,}"), r"\1 …"),
    ("basic", re.compile(r"(?i)\b(basic)\s+[\w.~+/=-]{8,}"), r"\1 …"),
    ("=", re.compile(r"(?i)\b(\w*(?:password|passwd|secret|key|token))=[^\s&\"'\\]+"), r"\1=…"),
)
"""For each kind: a substring, in lower case, that is cheap to search for; a pattern; its
replacement."""


def redact_secrets(line: str) -> str:
    """Remove keys, tokens, passwords, and user info and query of URLs from a line.

    See docs/adr/security-rules.md#rule-46.
    """
    if "://" in line:
        line = _URL.sub(r"\1\2", line)
    lowered = line.lower()
    for substring, pattern, replacement in _SECRETS:
        if substring in lowered:
            line = pattern.sub(replacement, line)
    return line


def log_handler(format: LogFormat) -> logging.Handler:
    """Return a handler for standard error; `auto` is text on a terminal and JSON elsewhere.

    Each line has the variables bound by `structlog.contextvars` (such as `request_id`), and the
    `trace_id`.
    """
    is_terminal = sys.stderr.isatty()
    as_text = format == "text" or (format == "auto" and is_terminal)
    last: list[structlog.typing.Processor] = (
        # Its default tracebacks show local variables, and colours that hide the end of a URL.
        [
            structlog.dev.ConsoleRenderer(
                colors=is_terminal, exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if as_text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = _StandardError()
    handler.setFormatter(
        _SafeFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                _with_trace_id,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
                structlog.stdlib.ExtraAdder(),
                _without_copies,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    handler.set_name("ytcaption")
    return handler


def configure_own_logging(format: LogFormat) -> None:
    """Make our own loggers write to standard error; leave all others unchanged.

    For runs, in which Dagster configures the others. May be called repeatedly.
    """
    root = logging.getLogger()
    for name in OWN_LOGGERS:
        logger = logging.getLogger(name)
        if not any(each.get_name() == "ytcaption" for each in root.handlers + logger.handlers):
            logger.addHandler(log_handler(format))
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)


class _StandardError(logging.StreamHandler[TextIO]):
    """Looks up standard error for each line: Dagster replaces it for each step."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # pyright: ignore[reportIncompatibleVariableOverride]
        return sys.stderr


class _SafeFormatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact_secrets(super().format(record))


def _with_trace_id(
    logger: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    trace = current_trace()
    if trace is not None:
        event["trace_id"] = trace.trace_id
    return event


def _without_copies(
    logger: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Remove copies of the message: uvicorn's coloured one, and those of other formatters."""
    for name in ("color_message", "message", "asctime"):
        event.pop(name, None)
    return event
