"""Runs of a transcription in Dagster: end them after a cancel, erase them after an erasure."""

import time
from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import dagster as dg

from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.tags import PARTITION_TAG, RUN_KEY_TAG
from resources.processes.process_identity import RunProcess
from ytcaption.domain.request import run_key

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


LISTING_JOB = "list_channel"
LISTING_ASSET = dg.AssetKey("channel_listing")

FINISHED_STATUSES = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]

_POLL_S = 0.25
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def end_runs(instance: dg.DagsterInstance, id: str, attempt: int, run_id: str | None) -> None:
    """Terminate the run of one attempt, whether it has claimed the transcription or still waits.

    Args:
        run_id: the run that has claimed the transcription.
    """
    for run in _runs(instance, id, _UNFINISHED):
        if run.run_id == run_id or run.tags.get(RUN_KEY_TAG) == run_key(id, attempt):
            instance.run_coordinator.cancel_run(run.run_id)


def lists_channel(run: dg.DagsterRun) -> bool:
    """Whether the run's partition is a channel; that of all other runs is a transcription."""
    return run.job_name == LISTING_JOB or LISTING_ASSET in (run.asset_selection or ())


def end_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, reason: str, *, canceled: bool
) -> None:
    """Report a run as ended to Dagster, unless it has ended, and free its slots."""
    current = instance.get_run_by_id(run.run_id)
    if current is not None and not current.is_finished:
        report = instance.report_run_canceled if canceled else instance.report_run_failed
        report(current, reason)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def kill_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, reason: str, *, canceled: bool
) -> None:
    """Report a run as ended, free its slots, and kill its process with all children if it runs on
    this machine."""
    # Report first: the watchers of the process must find the run ended when it dies.
    end_run(instance, run, reason, canceled=canceled)
    process = RunProcess.on_this_host(run.tags)
    if process is not None:
        process.kill()


def erase_runs(
    instance: dg.DagsterInstance, id: str, run_ids: Collection[str], wait_s: float
) -> None:
    """Delete the partition and its runs with their events and logs.

    Args:
        run_ids: runs known to have worked on it. If this is repeated after a failure, events of
            runs that are deleted already are found by these ids.
        wait_s: seconds that canceled runs have to end by themselves.
    """
    deadline = time.monotonic() + wait_s
    while (unfinished := _runs(instance, id, _UNFINISHED)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    for run in unfinished:
        kill_run(instance, run, "Its transcription was erased.", canceled=True)
    erased = {run.run_id for run in _runs(instance, id)} | set(run_ids)
    _clear_latest(instance, id, erased)
    for run_id in erased:
        delete_run(instance, run_id)
    instance.delete_dynamic_partition(transcription_partitions.name or "", id)


def delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a finished run with its check evaluations, events and logs."""
    from resources.orchestration.dagster_internals import AssetCheckExecutionsTable

    storage = instance.event_log_storage
    with _index(instance) as connection:
        # Dagster keeps check evaluations when the run's events are deleted.
        connection.execute(
            AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id)
        )
    # The run last: the others are found by it.
    storage.delete_events(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.run_storage.delete_run(run_id)


def _runs(
    instance: dg.DagsterInstance, id: str, statuses: list[dg.DagsterRunStatus] | None = None
) -> list[dg.DagsterRun]:
    return list(instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: id}, statuses=statuses)))


def _clear_latest(instance: dg.DagsterInstance, id: str, run_ids: Collection[str]) -> None:
    """Clear the latest materialization in the assets' rows if it belongs to the partition. Dagster
    keeps it, with its metadata, when the run's events are deleted, and cannot wipe a partition."""
    import sqlalchemy as db

    from resources.orchestration.dagster_internals import AssetKeyTable

    with _index(instance) as connection:
        connection.execute(
            AssetKeyTable.update()
            .where(
                db.or_(
                    AssetKeyTable.c.last_run_id.in_(run_ids),
                    AssetKeyTable.c.last_materialization.contains(id, autoescape=True),
                )
            )
            .values(last_materialization=None)
        )


def _index(instance: dg.DagsterInstance) -> AbstractContextManager["Connection"]:
    from resources.orchestration.dagster_internals import SqlEventLogStorage

    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage), "our dagster.yaml says Postgres"
    return storage.index_connection()
