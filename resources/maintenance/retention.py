"""Retention: each kind is a check that finds what is too old, and whose repair removes it.

Age counts from the last change and from the last request. A transcription that a request exempts is
never too old, nor is anything that belongs to it. See docs/adr/security-rules.md#rule-44
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString

import dagster as dg

from resources.channels.retention import expired_items, with_channel_retention
from resources.maintenance.check import Check, Installation, Repaired, one_by_one
from resources.maintenance.erasure import transcribe_logs
from resources.maintenance.file_checks import IN_USE_S, forget_audio
from resources.maintenance.purge import PurgeFilter, matching
from resources.object_store.store import upload_key
from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.runs import (
    FINISHED_STATUSES,
    delete_run,
)
from resources.orchestration.tags import PARTITION_TAG
from resources.postgres.advisory_locks import exclusive_work_lock, removal_lock, upload_lock
from resources.postgres.predicates import FINISHED, TOUCHED, is_pinned
from resources.reports.report import old_reports
from resources.transcriptions.checkpoints import CHECKPOINT_DAYS
from resources.transcriptions.reads import get_media
from resources.webhooks.outbox import Outbox
from ytcaption.domain.errors import TranscriptionErased, TranscriptionNotFound

RUNS_A_DAY = 10_000
"""Maximum number of runs removed per day."""

_PARTITIONS = transcription_partitions.name or ""

_OLD_AUDIO: LiteralString = f"""
select m.id from ytcaption.media m
cross join lateral (
    select case m.kind when 'upload' then %(upload_days)s else %(audio_days)s end as days
) allowed
where m.audio_key is not null and days > 0
    and m.audio_stored_at < now() - make_interval(secs => days * 86400)
    and (%(id)s::text is null or m.id = %(id)s)
    and not exists (
        select from ytcaption.transcription t where t.media_id = m.id and (
            not {FINISHED} or {is_pinned("t.id")}
            or {TOUCHED} > now() - make_interval(secs => days * 86400)))
order by m.audio_stored_at, m.id
"""  # noqa: S608 - of literals only

_OLD_PARTITIONS: LiteralString = f"""
select t.id from ytcaption.transcription t
where t.id = any(%(ids)s) and {FINISHED} and not {is_pinned("t.id")}
    and {TOUCHED} < now() - make_interval(secs => %(days)s * 86400)
order by t.id
"""  # noqa: S608


def _old_audio(installation: Installation, id: str | None = None) -> list[str]:
    settings = installation.settings
    days = {
        "audio_days": settings.retention.audio_days,
        "upload_days": settings.retention.upload_days,
    }
    return [row["id"] for row in installation.postgres.rows(_OLD_AUDIO, {**days, "id": id})]


def _remove_audio(installation: Installation, media_id: str) -> bool:
    with (
        removal_lock(installation.postgres),
        exclusive_work_lock(installation.postgres, media_id, IN_USE_S),
        upload_lock(installation.postgres, media_id),
    ):
        if not _old_audio(installation, media_id):
            return False
        audio = get_media(installation.postgres, media_id).audio
        # The row first: a file without a row is found by another check.
        forget_audio(installation, media_id)
        for key in {upload_key(media_id), audio.key if audio else upload_key(media_id)}:
            installation.objects.delete(key)
    return True


def _old_transcripts(installation: Installation, id: str | None = None) -> list[str]:
    days = installation.settings.retention.transcript_days
    if not days:
        return []
    ids = matching(installation.postgres, PurgeFilter(older_than_days=days), id)
    others = with_channel_retention(installation.postgres, ids)
    return [each for each in ids if each not in others]


def _expired_items(installation: Installation, id: str | None = None) -> list[str]:
    return expired_items(installation.postgres, installation.settings.retention.transcript_days, id)


def _erasing(
    old: Callable[[Installation, str | None], Sequence[str]],
) -> Callable[[Installation, str], bool]:
    def erase(installation: Installation, id: str) -> bool:
        if not old(installation, id):
            return False
        try:
            return installation.erasure.erase(id)
        except (TranscriptionNotFound, TranscriptionErased):
            return False

    return erase


def _old_partitions(installation: Installation) -> list[str]:
    return _retired(installation, installation.instance.get_dynamic_partitions(_PARTITIONS))


def _retire(installation: Installation, ids: Sequence[str]) -> Repaired:
    retired = _retired(installation, ids)
    for id in retired:
        installation.instance.delete_dynamic_partition(_PARTITIONS, id)
    return Repaired(done=retired)


def _retired(installation: Installation, ids: Sequence[str]) -> list[str]:
    days = installation.settings.retention.partition_days
    if not days:
        return []
    rows = installation.postgres.rows(_OLD_PARTITIONS, {"ids": list(ids), "days": days})
    return [row["id"] for row in rows]


def _old_runs(installation: Installation) -> list[str]:
    days = installation.settings.retention.run_days
    if not days:
        return []
    records = installation.instance.get_run_records(
        dg.RunsFilter(
            statuses=FINISHED_STATUSES,
            updated_before=datetime.now(UTC) - timedelta(days=days),
        ),
        limit=RUNS_A_DAY,
        order_by="id",
        ascending=True,
    )
    runs = [record.dagster_run for record in records]
    protected = _keeping_runs(installation, [run.tags.get(PARTITION_TAG, "") for run in runs])
    return [run.run_id for run in runs if run.tags.get(PARTITION_TAG) not in protected]


def _keeping_runs(installation: Installation, ids: Sequence[str]) -> set[str]:
    """Return the transcriptions whose runs are kept, old attempts included: those exempt from
    retention, and unfinished ones."""
    rows = installation.postgres.rows(
        f"select id from ytcaption.transcription t where id = any(%(ids)s) "  # noqa: S608
        f"and ({is_pinned('t.id')} or not {FINISHED})",
        {"ids": list(ids)},
    )
    return {row["id"] for row in rows}


def _remove_run(installation: Installation, run_id: str) -> bool:
    delete_run(installation.instance, run_id)
    return True


def _old_logs(installation: Installation) -> list[str]:
    days = installation.settings.retention.run_days
    oldest = time.time() - days * 86_400
    logs = transcribe_logs(installation.settings) if days else []
    return [str(log) for log in logs if log.stat().st_mtime < oldest]


def _remove_log(_parts: Installation, path: str) -> bool:
    Path(path).unlink(missing_ok=True)
    return True


def _old_reports(installation: Installation) -> list[str]:
    return old_reports(installation.objects, installation.settings.retention.report_days)


def _remove_report(installation: Installation, key: str) -> bool:
    installation.objects.delete(key)
    return True


def _old_deliveries(installation: Installation) -> list[str]:
    rows = installation.postgres.rows(
        "select id::text from ytcaption.delivery where status <> 'waiting' "
        "and settled_at < now() - make_interval(secs => %(days)s * 86400.0) order by id",
        {"days": installation.settings.retention.delivery_days},
    )
    return [row["id"] for row in rows]


def _remove_deliveries(installation: Installation, ids: Sequence[str]) -> Repaired:
    Outbox(installation.postgres).delete_old(installation.settings.retention.delivery_days)
    return Repaired(done=list(ids))


def _old_answers(installation: Installation) -> list[str]:
    rows = installation.postgres.rows(
        "select owner || ' ' || created_at as name from ytcaption.idempotency "
        "where created_at <= now() - interval '24 hours' order by created_at",
        {},
    )
    return [row["name"] for row in rows]


def _remove_answers(installation: Installation, names: Sequence[str]) -> Repaired:
    with installation.postgres.transaction() as connection:
        connection.execute(
            "delete from ytcaption.idempotency where created_at <= now() - interval '24 hours'"
        )
    return Repaired(done=list(names))


def _old_checkpoints(installation: Installation) -> list[str]:
    rows = installation.postgres.rows(
        "select distinct transcription_id as id from ytcaption.checkpoint "
        "where saved_at < now() - make_interval(days => %(days)s) order by 1",
        {"days": CHECKPOINT_DAYS},
    )
    return [row["id"] for row in rows]


def _remove_checkpoints(installation: Installation, ids: Sequence[str]) -> Repaired:
    with installation.postgres.transaction() as connection:
        connection.execute(
            "delete from ytcaption.checkpoint where saved_at < now() - make_interval(days => %s)",
            (CHECKPOINT_DAYS,),
        )
    return Repaired(done=list(ids))


RETENTION = (
    Check(
        "transcript_old",
        "transcriptions older than YTCAPTION_TRANSCRIPT_DAYS",
        "erased",
        _old_transcripts,
        one_by_one(_erasing(_old_transcripts)),
    ),
    Check(
        "channel_transcript_old",
        "transcriptions older than the age limit of their channels",
        "erased",
        _expired_items,
        one_by_one(_erasing(_expired_items)),
    ),
    Check(
        "audio_old",
        "media whose audio is older than YTCAPTION_AUDIO_DAYS, uploads than YTCAPTION_UPLOAD_DAYS",
        "the audio is removed; their transcripts stay",
        _old_audio,
        one_by_one(_remove_audio),
    ),
    Check(
        "partition_old",
        "partitions of finished transcriptions older than YTCAPTION_PARTITION_DAYS",
        "retired from Dagster; their data stay, and a new request adds them again",
        _old_partitions,
        _retire,
    ),
    Check(
        "run_old",
        "runs older than YTCAPTION_RUN_DAYS, with their events and logs",
        "removed from Dagster",
        _old_runs,
        one_by_one(_remove_run),
    ),
    Check(
        "log_old",
        "logs of `ytcaption transcribe` older than YTCAPTION_RUN_DAYS",
        "removed",
        _old_logs,
        one_by_one(_remove_log),
    ),
    Check(
        "report_old",
        "reports of the library older than YTCAPTION_REPORT_DAYS",
        "removed",
        _old_reports,
        one_by_one(_remove_report),
    ),
    Check(
        "delivery_old",
        "settled webhook deliveries older than YTCAPTION_DELIVERY_DAYS",
        "removed",
        _old_deliveries,
        _remove_deliveries,
    ),
    Check(
        "idempotency_old",
        "answers to Idempotency-Keys older than 24 hours",
        "removed",
        _old_answers,
        _remove_answers,
    ),
    Check(
        "checkpoint_old",
        f"transcriptions with checkpoints unused for {CHECKPOINT_DAYS} days",
        "removed",
        _old_checkpoints,
        _remove_checkpoints,
    ),
)
