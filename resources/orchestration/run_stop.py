"""Stops a run that is over, from inside its process, and removes its partial files."""

import logging
import os
import signal
from contextlib import suppress

import dagster as dg
import psutil

from resources.download.workspace import Workspace
from resources.object_store.store import ObjectStore, audio_key, document_key
from resources.orchestration.run_end import RunEnd
from resources.orchestration.runs import end_run
from resources.postgres.connection import Postgres
from resources.processes.process_identity import has_own_process
from resources.transcriptions.rows import TranscriptionRow
from ytcaption.domain.errors import YtcaptionError
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

INTERRUPT_S = 1.0
"""Seconds a run has to notice by itself that it is over, before it is interrupted."""

logger = logging.getLogger(__name__)


def interruption(instance: dg.DagsterInstance, run: dg.DagsterRun, reason: str) -> BaseException:
    """Return the exception by which a run ends as canceled rather than as failed."""
    instance.report_run_canceling(run, reason)
    return dg.DagsterExecutionInterruptedError(reason)


def interrupt(instance: dg.DagsterInstance, run: dg.DagsterRun, end: RunEnd) -> None:
    """Interrupt the run, as its launcher does. Does nothing in a process that is not the run's own;
    native code does not notice the signal."""
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
    postgres: Postgres,
    claimed: TranscriptionRow,
    end: RunEnd,
) -> None:
    """End a run that is stuck in code which ignores signals, such as the model's, by ending its
    process. Does nothing in a process that is not the run's own."""
    if not has_own_process(run.tags):
        return
    logger.warning("run %s did not end by itself; its process is ended", run.run_id)
    try:
        end_run(instance, run, end.reason, canceled=end is RunEnd.WITHDRAWN)
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
        clean_up(postgres, claimed)
    finally:
        os._exit(1)


def clean_up(postgres: Postgres, claimed: TranscriptionRow) -> None:
    """Remove the run's partial files. Those that cannot be removed now are removed by the next run
    or by an erasure."""
    try:
        remove_partial_files(load_settings(), postgres, claimed.id, claimed.media_id)
    except YtcaptionError as error:
        logger.warning("partial files of %s stay: %s", claimed.id, error)


def remove_partial_files(settings: Settings, postgres: Postgres, id: str, media_id: str) -> None:
    """Remove a transcription's partial download and unfinished writes. Published objects stay, and
    so does the media's download while other transcriptions need it.

    Raises:
        DatabaseUnavailable, ObjectStoreUnavailable: call it again.
    """
    objects = ObjectStore.from_settings(settings)
    objects.discard_unfinished(document_key(id))
    if not _is_needed(postgres, media_id):
        objects.discard_unfinished(audio_key(media_id, ""))
        Workspace.from_settings(settings).remove(media_id, is_ending=True)


def _is_needed(postgres: Postgres, media_id: str) -> bool:
    """Whether a transcription of the media is queued or running."""
    return bool(
        postgres.rows(
            "select from ytcaption.transcription "
            "where media_id = %(media_id)s and status in ('queued', 'running') limit 1",
            {"media_id": media_id},
        )
    )
