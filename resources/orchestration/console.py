"""Console output of runs: Dagster's lines, with one line for each expected failure."""

import copy
import logging

import dagster as dg

from resources.orchestration.dagster_internals import (
    LOG_RECORD_METADATA_ATTR,
    JobFailureData,
    StepFailureData,
    create_console_logger,
)

LEVEL = "INFO"

CONSOLE_CONFIG = {"loggers": {"console": {"config": {}}}}
"""Configuration of a job: Dagster uses a logger only if a run's configuration names it."""


@dg.logger({}, "Dagster's console logger, without the stack trace of an expected failure.")
def run_console(context: dg.InitLoggerContext) -> logging.Logger:
    """Return a logger to standard error, coloured on a terminal. The event log has everything."""
    logger = create_console_logger("dagster", LEVEL)
    for handler in logger.handlers:
        handler.setFormatter(_Brief(handler.formatter or logging.Formatter()))
    return logger


class _Brief(logging.Formatter):
    """Formats with another formatter, but replaces the stack trace of an expected failure by its
    message."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        message = _expected_failure(record)
        if message is not None:
            record = copy.copy(record)
            first_line, _, _ = str(record.msg).partition("\n")
            record.msg = f"{first_line} {message}"
        return self._formatter.format(record)


def _expected_failure(record: logging.LogRecord) -> str | None:
    """Return the message of the `dg.Failure` by which an asset failed, if it did."""
    event: dg.DagsterEvent | None = getattr(record, LOG_RECORD_METADATA_ATTR, {}).get(
        "dagster_event"
    )
    data = event.event_specific_data if event else None
    if isinstance(data, JobFailureData) and data.first_step_failure_event:
        data = data.first_step_failure_event.event_specific_data
    if not isinstance(data, StepFailureData) or data.user_failure_data is None:
        return None
    return data.user_failure_data.description
