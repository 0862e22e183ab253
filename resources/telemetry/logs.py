"""Log lines: JSON for a machine, aligned text for a person at a terminal, no secret in either."""

import logging
import re
import sys
from typing import Literal, TextIO

import structlog

from resources.telemetry.trace_context import current_trace

LogFormat = Literal["auto", "json", "text"]

OWN_LOGGERS = ("ytcaption", "ytcaption_assets", "resources", "sensors", "api")

# Of a URL scheme, host and path stay. An escape of a terminal's colour ends it, too.
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
"""What is in each, in lower case, and is cheap to look for; what is replaced; by what."""


def without_secrets(line: str) -> str:
    """Takes keys, tokens, passwords, and user info and query of URLs out of a line (rule 46)."""
    if "://" in line:
        line = _URL.sub(r"\1\2", line)
    lowered = line.lower()
    for sign, pattern, replacement in _SECRETS:
        if sign in lowered:
            line = pattern.sub(replacement, line)
    return line


def log_handler(format: LogFormat) -> logging.Handler:
    """Writes to standard error; `auto` is text on a terminal and JSON elsewhere.

    Each line has what `structlog.contextvars` binds (such as `request_id`), and the `trace_id`.
    """
    is_terminal = sys.stderr.isatty()
    as_text = format == "text" or (format == "auto" and is_terminal)
    last: list[structlog.typing.Processor] = (
        # Its own tracebacks show local variables, and colours that hide a URL's end.
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
    """Our own loggers write to standard error; all others stay as they are. For runs, where
    Dagster has its say on the rest. Safe to call again."""
    root = logging.getLogger()
    for name in OWN_LOGGERS:
        logger = logging.getLogger(name)
        if not any(each.get_name() == "ytcaption" for each in root.handlers + logger.handlers):
            logger.addHandler(log_handler(format))
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)


class _StandardError(logging.StreamHandler[TextIO]):
    """Finds standard error anew for each line: Dagster puts another in its place for each step."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # pyright: ignore[reportIncompatibleVariableOverride]
        return sys.stderr


class _SafeFormatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


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
    """Takes away copies of the message: uvicorn's coloured one, those of other formatters."""
    for name in ("color_message", "message", "asctime"):
        event.pop(name, None)
    return event
