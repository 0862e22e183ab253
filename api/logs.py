"""Log lines: JSON for a machine, aligned text for a person at a terminal."""

import logging
import sys

import structlog

_NOISY = {"uvicorn.access": logging.CRITICAL, "httpx": logging.WARNING}
"""`api.access` has its own line a request; uvicorn's holds the query string."""


def _without_colours(
    logger: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Takes away uvicorn's second, coloured copy of each message."""
    event.pop("color_message", None)
    return event


def configure_logging() -> None:
    """Sends every logger of this process to standard error; safe to call again.

    A logger that already writes elsewhere (uvicorn's own set-up) writes here instead.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.stdlib.ExtraAdder(),
        _without_colours,
    ]
    is_terminal = sys.stderr.isatty()
    last: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=True)]
        if is_terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    handler.set_name("ytcaption")
    root = logging.getLogger()
    root.handlers = [kept for kept in root.handlers if kept.get_name() != "ytcaption"] + [handler]
    root.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name, level in _NOISY.items():
        logging.getLogger(name).setLevel(level)
