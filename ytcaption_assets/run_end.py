"""How a run ends whose transcription was canceled or erased: as canceled, and soon."""

import logging
import os

import dagster as dg

from resources.request_rows import TranscriptionRow
from resources.request_store import RequestStore
from resources.run_process import RUN_PROCESS_TAG
from ytcaption_assets.domain.errors import DatabaseUnavailable
from ytcaption_assets.domain.request import TranscriptionStatus

STUCK_S = 10.0
"""Seconds from the cancel to the end of a process that does not end by itself (rule 36)."""

_OWN_PROCESS_TAGS = {".dagster/grpc_info", RUN_PROCESS_TAG}
"""A run that a launcher has started, Dagster's or ours, has a process of its own."""

logger = logging.getLogger(__name__)


def is_withdrawn(store: RequestStore, id: str, claimed: TranscriptionRow | None) -> bool:
    """Whether nobody wants any longer what a run has lost: it was canceled or erased.

    Args:
        claimed: the row as this run has claimed it; None where it has not come to that.
    """
    try:
        row = store.get_many([id]).get(id)
    except DatabaseUnavailable:
        return False
    if row is None or row.status is TranscriptionStatus.CANCELED:
        return True
    # Canceled where an earlier result stands: that one counts again.
    is_earlier = claimed is not None and row.completed_at == claimed.completed_at
    return row.status is TranscriptionStatus.COMPLETED and is_earlier


def interruption(instance: dg.DagsterInstance, run: dg.DagsterRun) -> BaseException:
    """What a run raises to end as canceled rather than as failed."""
    instance.report_run_canceling(run, "Its transcription was canceled.")
    return dg.DagsterExecutionInterruptedError("The transcription was canceled.")


def end_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """End a run that is stuck in code which hears nothing, such as the model's, with its process.
    Does nothing in a process that has other runs to do."""
    if not _OWN_PROCESS_TAGS & run.tags.keys():
        return
    logger.warning("run %s did not end by itself; its process is ended", run.run_id)
    try:
        instance.report_run_canceled(run, "Its transcription was canceled.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    finally:
        os._exit(1)
