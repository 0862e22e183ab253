"""Postgres against Dagster: runs, slots, partitions."""

import time
from collections.abc import Sequence

import dagster as dg

from resources.maintenance.check import Check, Mended, Parts, one_by_one
from resources.maintenance.lost_runs import SILENT_S, end_lost_runs, runs_by_key, settle_unbegun
from resources.orchestration.partitions import transcription_partitions
from resources.postgres.predicates import FINISHED, TOUCHED, is_pinned
from resources.transcriptions.reads import get_transcription, get_transcriptions
from ytcaption.domain.request import run_key

UNSTARTED_S = 600.0
"""A run that is in no queue after so long was made by a daemon that died before it got there."""

_LOOKED_AT = 2_000
_PARTITIONS = transcription_partitions.name or ""


def _running_without_process(parts: Parts) -> list[str]:
    rows = parts.postgres.rows(
        "select id from ytcaption.transcription where status = 'running' "
        "and heartbeat_at < now() - make_interval(secs => %(silent_s)s) order by id",
        {"silent_s": SILENT_S},
    )
    return [row["id"] for row in rows]


def _settle_silent(parts: Parts, _names: Sequence[str]) -> Mended:
    lost = end_lost_runs(parts.instance, parts.postgres, parts.settings.max_attempts)
    return Mended(done=[each.id for each in lost])


def _queued_without_run(parts: Parts) -> list[str]:
    """Those whose run key is used up: Dagster starts no second run of it."""
    rows = parts.postgres.rows(
        "select id, attempt from ytcaption.transcription where status = 'queued' "
        "and greatest(updated_at, next_attempt_at) < now() - make_interval(secs => %(silent_s)s) "
        "order by queued_at, id limit %(most)s",
        {"silent_s": SILENT_S, "most": _LOOKED_AT},
    )
    attempts = {run_key(row["id"], row["attempt"]): row["id"] for row in rows}
    runs = runs_by_key(parts.instance, list(attempts))
    return [attempts[key] for key, record in runs.items() if _is_void(record)]


def _queue_again(parts: Parts, id: str) -> bool:
    row = get_transcription(parts.postgres, id)
    key = run_key(id, row.attempt)
    record = runs_by_key(parts.instance, [key]).get(key)
    if record is None or not _is_void(record):
        return False
    if not record.dagster_run.is_finished:
        parts.instance.report_run_failed(record.dagster_run, "It never got into the queue.")
    return settle_unbegun(parts.postgres, id, row.attempt, parts.settings.max_attempts)


def _is_void(record: dg.RunRecord) -> bool:
    run = record.dagster_run
    if run.status is dg.DagsterRunStatus.NOT_STARTED:
        return record.create_timestamp.timestamp() < time.time() - UNSTARTED_S
    return run.is_finished


def _slots_of_ended_runs(parts: Parts) -> list[str]:
    storage = parts.instance.event_log_storage
    holders: set[str] = set()
    for pool in storage.get_concurrency_keys():
        info = storage.get_concurrency_info(pool)
        holders |= {slot.run_id for slot in info.claimed_slots}
        holders |= {step.run_id for step in info.pending_steps}
    return sorted(run_id for run_id in holders if _is_over(parts, run_id))


def _free_slots(parts: Parts, run_id: str) -> bool:
    parts.instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return True


def _is_over(parts: Parts, run_id: str) -> bool:
    """Whether the run has ended so long ago that it does not give its slots back itself."""
    record = parts.instance.get_run_record_by_id(run_id)
    if record is None:
        return True
    ended_at = record.end_time or record.update_timestamp.timestamp()
    return record.dagster_run.is_finished and ended_at < time.time() - SILENT_S


def _partitions_without_row(parts: Parts) -> list[str]:
    partitions = parts.instance.get_dynamic_partitions(_PARTITIONS)
    rows = parts.postgres.rows(
        "select id from ytcaption.transcription where id = any(%(ids)s)", {"ids": list(partitions)}
    )
    return sorted(set(partitions) - {row["id"] for row in rows})


def _remove_partition(parts: Parts, id: str) -> bool:
    # A request that comes in between finds its partition made by the sensor.
    if get_transcriptions(parts.postgres, [id]):
        return False
    parts.instance.delete_dynamic_partition(_PARTITIONS, id)
    return True


def _rows_without_partition(parts: Parts) -> list[str]:
    """Of what is not retired by its age; what was queued just now the sensor comes to."""
    rows = parts.postgres.rows(
        f"""
        select id from ytcaption.transcription t
        where updated_at < now() - make_interval(secs => %(silent_s)s) and (
            %(days)s = 0 or not {FINISHED} or {is_pinned("t.id")}
            or {TOUCHED} > now() - make_interval(secs => %(days)s * 86400))
        order by id
        """,  # noqa: S608
        {"silent_s": SILENT_S, "days": parts.settings.partition_days},
    )
    known = set(parts.instance.get_dynamic_partitions(_PARTITIONS))
    return [row["id"] for row in rows if row["id"] not in known]


def _add_partitions(parts: Parts, ids: Sequence[str]) -> Mended:
    present = list(get_transcriptions(parts.postgres, ids))
    parts.instance.add_dynamic_partitions(_PARTITIONS, present)
    return Mended(done=present)


RUN_CHECKS = (
    Check(
        "running_without_process",
        "running, and their run is silent",
        "queued again",
        _running_without_process,
        _settle_silent,
    ),
    Check(
        "queued_without_run",
        "queued, and their run is over",
        "queued again under another run key",
        _queued_without_run,
        one_by_one(_queue_again),
    ),
    Check(
        "slot_without_run",
        "runs that are over and hold slots of a pool",
        "the slots are freed",
        _slots_of_ended_runs,
        one_by_one(_free_slots),
    ),
)

PARTITION_CHECKS = (
    Check(
        "partition_without_row",
        "partitions of no transcription",
        "removed from Dagster",
        _partitions_without_row,
        one_by_one(_remove_partition),
    ),
    Check(
        "row_without_partition",
        "transcriptions that Dagster has no partition of",
        "added to Dagster",
        _rows_without_partition,
        _add_partitions,
    ),
)
