"""The API's logging: all lines of the process in one format, with the ids of their request."""

import logging

from resources.telemetry.logs import LogFormat, log_handler

_NOISY = {
    "uvicorn.access": logging.CRITICAL,
    "httpx": logging.WARNING,
    "alembic": logging.WARNING,  # ten lines about plug-ins when Dagster's instance is opened
}
"""`api.access` logs one line a request; uvicorn's own line would hold the query string."""


def configure_logging(format: LogFormat = "auto") -> None:
    """Send every logger of this process to standard error; safe to call again.

    A logger that already writes elsewhere (uvicorn configures its own) writes here instead.
    """
    root = logging.getLogger()
    root.handlers = [kept for kept in root.handlers if kept.get_name() != "ytcaption"]
    root.addHandler(log_handler(format))
    root.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name, level in _NOISY.items():
        logging.getLogger(name).setLevel(level)
