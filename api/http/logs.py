"""The API's log lines: all of the process, in one format, each with its request's ids."""

import logging

from resources.telemetry.logs import LogFormat, log_handler

_NOISY = {
    "uvicorn.access": logging.CRITICAL,
    "httpx": logging.WARNING,
    "alembic": logging.WARNING,  # ten lines of plug-ins when Dagster's instance is opened
}
"""`api.access` has its own line a request; uvicorn's holds the query string."""


def configure_logging(format: LogFormat = "auto") -> None:
    """Sends every logger of this process to standard error; safe to call again.

    A logger that already writes elsewhere (uvicorn's own set-up) writes here instead.
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
