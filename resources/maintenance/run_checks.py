"""Checks of Dagster's runs, slots and partitions, compared with Postgres."""

from collections.abc import Sequence

import dagster as dg

from resources.maintenance.check import Check, Installation, Repaired, one_by_one
from resources.maintenance.lost_runs import SILENT_S, end_lost_runs, runs_by_key, settle_unbegun
from resources.orchestration.partitions import transcription_partitions
from resources.postgres.predicates import FINISHED, TOUCHED, is_pinned
from resources.processes.clock_step import age_s
from resources.transcriptions.reads import get_transcription, get_transcriptions
from ytcaption.domain.request import run_key

UNSTARTED_S = 600.0
"""Age from which a run that was never queued counts as lost: its daemon died before queueing it."""

_MAX_ROWS = 2_000
_PARTITIONS = transcription_partitions.name or ""


def _running_without_process(installation: Installation) -> list[str]:
    rows = installation.postgres.rows(
        "select id from ytcaption.transcription where status = 'running' "
        "and heartbeat_at < now() - make_interval(secs => %(silent_s)s) order by id",
        {"silent_s": SILENT_S},
    )
    return [row["id"] for row in rows]


def _settle_silent(installation: Installation, _names: Sequence[str]) -> Repaired:
    lost = end_lost_runs(
        installation.instance, installation.postgres, installation.settings.runs.max_attempts
    )
    return Repaired(done=[each.id for each in lost])


def _queued_without_run(installation: Installation) -> list[str]:
    """Return queued transcriptions whose run ended: Dagster starts one run per run key."""
    rows = installation.postgres.rows(
        "select id, attempt from ytcaption.transcription where status = 'queued' "
        "and greatest(updated_at, next_attempt_at) < now() - make_interval(secs => %(silent_s)s) "
        "order by queued_at, id limit %(most)s",
        {"silent_s": SILENT_S, "most": _MAX_ROWS},
    )
    attempts = {run_key(row["id"], row["attempt"]): row["id"] for row in rows}
    runs = runs_by_key(installation.instance, list(attempts))
    return [attempts[key] for key, record in runs.items() if _has_ended(record)]


def _queue_again(installation: Installation, id: str) -> bool:
    row = get_transcription(installation.postgres, id)
    key = run_key(id, row.attempt)
    record = runs_by_key(installation.instance, [key]).get(key)
    if record is None or not _has_ended(record):
        return False
    if not record.dagster_run.is_finished:
        installation.instance.report_run_failed(record.dagster_run, "It was never queued.")
    return settle_unbegun(
        installation.postgres, id, row.attempt, installation.settings.runs.max_attempts
    )


def _has_ended(record: dg.RunRecord) -> bool:
    run = record.dagster_run
    if run.status is dg.DagsterRunStatus.NOT_STARTED:
        return age_s(record.create_timestamp.timestamp()) > UNSTARTED_S
    return run.is_finished


def _slots_of_ended_runs(installation: Installation) -> list[str]:
    storage = installation.instance.event_log_storage
    holders: set[str] = set()
    for pool in storage.get_concurrency_keys():
        info = storage.get_concurrency_info(pool)
        holders |= {slot.run_id for slot in info.claimed_slots}
        holders |= {step.run_id for step in info.pending_steps}
    return sorted(run_id for run_id in holders if _is_over(installation, run_id))


def _free_slots(installation: Installation, run_id: str) -> bool:
    installation.instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return True


def _is_over(installation: Installation, run_id: str) -> bool:
    """Whether the run ended long enough ago that it will not free its slots itself."""
    record = installation.instance.get_run_record_by_id(run_id)
    if record is None:
        return True
    ended_at = record.end_time or record.update_timestamp.timestamp()
    return record.dagster_run.is_finished and age_s(ended_at) > SILENT_S


def _partitions_without_row(installation: Installation) -> list[str]:
    partitions = installation.instance.get_dynamic_partitions(_PARTITIONS)
    rows = installation.postgres.rows(
        "select id from ytcaption.transcription where id = any(%(ids)s)", {"ids": list(partitions)}
    )
    return sorted(set(partitions) - {row["id"] for row in rows})


def _remove_partition(installation: Installation, id: str) -> bool:
    # If a request comes in between, the sensor adds the partition again.
    if get_transcriptions(installation.postgres, [id]):
        return False
    installation.instance.delete_dynamic_partition(_PARTITIONS, id)
    return True


def _rows_without_partition(installation: Installation) -> list[str]:
    """Return transcriptions without a partition that Dagster should have.

    Old ones have been retired. The sensor adds those of new ones; what is canceled before it does
    needs none until it is requested again.
    """
    rows = installation.postgres.rows(
        f"""
        select id from ytcaption.transcription t
        where updated_at < now() - make_interval(secs => %(silent_s)s)
        and not (status = 'canceled' and started_at is null) and (
            %(days)s = 0 or not {FINISHED} or {is_pinned("t.id")}
            or {TOUCHED} > now() - make_interval(secs => %(days)s * 86400))
        order by id
        """,  # noqa: S608
        {"silent_s": SILENT_S, "days": installation.settings.retention.partition_days},
    )
    known = set(installation.instance.get_dynamic_partitions(_PARTITIONS))
    return [row["id"] for row in rows if row["id"] not in known]


def _add_partitions(installation: Installation, ids: Sequence[str]) -> Repaired:
    present = list(get_transcriptions(installation.postgres, ids))
    installation.instance.add_dynamic_partitions(_PARTITIONS, present)
    return Repaired(done=present)


RUN_CHECKS = (
    Check(
        "running_without_process",
        "running transcriptions whose run sends no heartbeats",
        "queued again",
        _running_without_process,
        _settle_silent,
    ),
    Check(
        "queued_without_run",
        "queued transcriptions whose run has ended",
        "queued again under another run key",
        _queued_without_run,
        one_by_one(_queue_again),
    ),
    Check(
        "slot_without_run",
        "ended runs that hold slots of a pool",
        "the slots are freed",
        _slots_of_ended_runs,
        one_by_one(_free_slots),
    ),
)

PARTITION_CHECKS = (
    Check(
        "partition_without_row",
        "partitions without a transcription",
        "removed from Dagster",
        _partitions_without_row,
        one_by_one(_remove_partition),
    ),
    Check(
        "row_without_partition",
        "transcriptions without a partition",
        "added to Dagster",
        _rows_without_partition,
        _add_partitions,
    ),
)
