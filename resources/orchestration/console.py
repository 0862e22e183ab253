"""What a run writes to its terminal: Dagster's lines, a failure that was foreseen in one."""

import copy
import logging

import dagster as dg
from dagster._core.events import DagsterEvent, JobFailureData
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.log_manager import LOG_RECORD_METADATA_ATTR
from dagster._utils.log import create_console_logger

LEVEL = "INFO"

CONSOLE_CONFIG = {"loggers": {"console": {"config": {}}}}
"""Of a job: Dagster takes a logger only where a run's configuration names it."""


@dg.logger({}, "Dagster's console logger; no stack of a failure that was foreseen.")
def run_console(context: dg.InitLoggerContext) -> logging.Logger:
    """Standard error, coloured on a terminal. The event log has all of it."""
    logger = create_console_logger("dagster", LEVEL)
    for handler in logger.handlers:
        handler.setFormatter(_Brief(handler.formatter or logging.Formatter()))
    return logger


class _Brief(logging.Formatter):
    """Another formatter's lines, with the sentence of a foreseen failure for its stack."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        sentence = _foreseen(record)
        if sentence is not None:
            record = copy.copy(record)
            first_line, _, _ = str(record.msg).partition("\n")
            record.msg = f"{first_line} {sentence}"
        return self._formatter.format(record)


def _foreseen(record: logging.LogRecord) -> str | None:
    """What an asset said as it failed: `dg.Failure` is raised for what is known to happen."""
    event: DagsterEvent | None = getattr(record, LOG_RECORD_METADATA_ATTR, {}).get("dagster_event")
    data = event.event_specific_data if event else None
    if isinstance(data, JobFailureData) and data.first_step_failure_event:
        data = data.first_step_failure_event.event_specific_data
    if not isinstance(data, StepFailureData) or data.user_failure_data is None:
        return None
    return data.user_failure_data.description
