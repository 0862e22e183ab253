"""How a run ends whose transcription was canceled or erased, or took too long: soon, as that."""

import logging
import os
import signal
from contextlib import suppress
from enum import Enum

import dagster as dg
import psutil

from resources.orchestration.partial_files import remove_partial_files
from resources.orchestration.runs import end_run
from resources.processes.process_identity import has_own_process
from resources.transcriptions.rows import TranscriptionRow
from resources.transcriptions.store import RequestStore
from resources.transcriptions.time_limits import TOOK_TOO_LONG
from ytcaption.domain.errors import DatabaseUnavailable, TookTooLong, YtcaptionError
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings import load_settings

INTERRUPT_S = 1.0
"""Seconds that a run has to hear by itself that it is over, before it is interrupted."""

logger = logging.getLogger(__name__)


class RunEnd(Enum):
    """Why a run that has lost its transcription is over: (what Dagster is told, patience)."""

    WITHDRAWN = ("Its transcription was canceled.", 3.0)
    TOOK_TOO_LONG = (TOOK_TOO_LONG, 10.0)

    def __init__(self, reason: str, patience_s: float) -> None:
        self.reason = reason
        self.patience_s = patience_s
        """Seconds from then to the end of a process that does not end by itself: a cancel is to
        be done within 5 s, the rest has what rule 36 says."""


def run_end(
    store: RequestStore, id: str, run_id: str, claimed: TranscriptionRow | None
) -> RunEnd | None:
    """Why nobody wants any longer what a run has lost; None where another run works on it.

    Args:
        claimed: the row as this run has claimed it; None where it has not come to that.
    """
    try:
        row = store.get_many([id]).get(id)
    except DatabaseUnavailable:
        return None
    if row is None or row.status is TranscriptionStatus.CANCELED:
        return RunEnd.WITHDRAWN
    if not row.status.is_final:
        return None
    if row.error_code == TookTooLong.code and row.run_id == run_id:
        return RunEnd.TOOK_TOO_LONG
    # Canceled where an earlier result stands: that one counts again.
    is_earlier = claimed is not None and row.completed_at == claimed.completed_at
    is_completed = row.status is TranscriptionStatus.COMPLETED
    return RunEnd.WITHDRAWN if is_completed and is_earlier else None


def interruption(instance: dg.DagsterInstance, run: dg.DagsterRun, reason: str) -> BaseException:
    """What a run raises to end as canceled rather than as failed."""
    instance.report_run_canceling(run, reason)
    return dg.DagsterExecutionInterruptedError(reason)


def interrupt(instance: dg.DagsterInstance, run: dg.DagsterRun, end: RunEnd) -> None:
    """Interrupt what the run waits for, as its launcher does. Nothing happens in a process that has
    other runs to do, nor while native code hears nothing."""
    if not has_own_process(run.tags):
        return
    current = instance.get_run_by_id(run.run_id)
    if current is None or current.is_finished:
        return
    if end is RunEnd.WITHDRAWN and current.status is not dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceling(run, end.reason)
    os.kill(os.getpid(), signal.SIGINT)


def end_process(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    store: RequestStore,
    claimed: TranscriptionRow,
    end: RunEnd,
) -> None:
    """End a run that is stuck in code which hears nothing, such as the model's, with its process.
    Does nothing in a process that has other runs to do."""
    if not has_own_process(run.tags):
        return
    logger.warning("run %s did not end by itself; its process is ended", run.run_id)
    try:
        end_run(instance, run, end.reason, canceled=end is RunEnd.WITHDRAWN)
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
        clean_up(store, claimed)
    finally:
        os._exit(1)


def clean_up(store: RequestStore, claimed: TranscriptionRow) -> None:
    """Remove what is half done. What cannot be removed now is, by the next run or an erasure."""
    try:
        remove_partial_files(load_settings(), store.postgres, claimed.id, claimed.media_id)
    except YtcaptionError as error:
        logger.warning("partial files of %s stay: %s", claimed.id, error)
