"""A process that runs transcriptions through Dagster: `python -m ... ID...`.

`ytcaption transcribe` starts it if no `ytcaption up` runs on the same home. It imports Dagster and
loads the model once for all ids, writes to Dagster's persistent instance, and ends with its parent.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

import dagster as dg

from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.run_end import settle_failed_run
from resources.orchestration.tags import ATTEMPT_TAG
from resources.postgres.connection import Postgres
from resources.sites.wait_reasons import waiting_for
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.rows import TranscriptionRow
from sensors.jobs import transcribe_job
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings.settings import load_settings
from ytcaption_assets.cli.up.dagster_home import dagster_instance
from ytcaption_assets.cli.up.state import ProcessState, created_at
from ytcaption_assets.definitions import build_definitions

WORKER_TAG = "ytcaption/worker"
"""Run tag `<pid>-<start time>`: shows whether the process of an unfinished run is still alive."""

_POLL_S = 0.2


def run_transcriptions(ids: Sequence[str]) -> None:
    """Run each transcription, in the order given, until it is completed, failed or canceled."""
    settings = load_settings()
    postgres = Postgres.from_settings(settings, "dagster")
    # The user should not wait for embeddings: `up` or `ytcaption embed` makes them later.
    without_embeddings = settings.changed(embeddings="off")
    job = build_definitions(without_embeddings).resolve_job_def(transcribe_job.name)
    with dagster_instance(settings) as instance:
        end_stale_runs(instance, postgres)
        instance.add_dynamic_partitions(transcription_partitions.name or "", list(ids))
        waiting = list(ids)
        while waiting:
            for key in list(waiting):
                row = get_transcription(postgres, key)
                if row.status.is_final:
                    waiting.remove(key)
                elif row.status is TranscriptionStatus.QUEUED and _is_due(postgres, row):
                    _run(job, instance, postgres, key, row.attempt)
            time.sleep(_POLL_S)


def end_stale_runs(instance: dg.DagsterInstance, postgres: Postgres) -> None:
    """End the runs of a killed process: they would never end and would keep their pool slots."""
    unfinished = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for run in instance.get_runs(unfinished):
        worker = run.tags.get(WORKER_TAG)
        if worker is not None and not _lives(worker):
            instance.report_run_failed(run, "The run's process was lost.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            settle_failed_run(postgres, run, None, load_settings().runs.max_attempts)


def _is_due(postgres: Postgres, row: TranscriptionRow) -> bool:
    [clock] = postgres.rows("select now() as now", {})
    now = clock["now"]
    reason = waiting_for(postgres, [row.id]).get(row.id)
    if reason is not None and (reason.until is None or reason.until > now):
        return False
    return row.next_attempt_at <= now


def _run(
    job: dg.JobDefinition, instance: dg.DagsterInstance, postgres: Postgres, key: str, attempt: int
) -> None:
    tags = {ATTEMPT_TAG: str(attempt), WORKER_TAG: _worker_name(os.getpid())}
    result = job.execute_in_process(
        instance=instance, partition_key=key, tags=tags, raise_on_error=False
    )
    if not result.success:
        settle_failed_run(postgres, result.dagster_run, None, load_settings().runs.max_attempts)


def _worker_name(pid: int) -> str:
    return f"{pid}-{created_at(pid)}"


def _lives(worker: str) -> bool:
    pid, _, started_at = worker.partition("-")
    return ProcessState("worker", int(pid), float(started_at)).is_alive


def _end_with_parent() -> None:
    """End this process when the parent, which holds our standard input open, has ended."""
    while os.read(sys.stdin.fileno(), 1):  # sys.stdin would hold its lock at exit
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
    os._exit(1)


if __name__ == "__main__":
    # A shell's `&` leaves SIGINT ignored, and Dagster would then ignore SIGTERM, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    run_transcriptions(sys.argv[1:])
