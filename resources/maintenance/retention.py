"""What is taken away by its age (rule 44): each kind is a check that finds what is too old, and
whose mending removes it. What a request keeps (`keep`) is never too old, nor is anything of it.

Age counts from the last change and the last request: what somebody has asked for lately is not old.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString

import dagster as dg

from resources.channels.retention import expired_items, with_channel_retention
from resources.maintenance.check import Check, Mended, Parts, one_by_one
from resources.maintenance.erasure import transcribe_logs
from resources.maintenance.file_checks import IN_USE_S, forget_audio
from resources.maintenance.purge import PurgeFilter, fitting
from resources.object_store.store import upload_key
from resources.orchestration.partitions import transcription_partitions
from resources.orchestration.runs import FINISHED_STATUSES, PARTITION_TAG, forget_run
from resources.postgres.advisory_locks import alone, removing, storing
from resources.postgres.predicates import FINISHED, TOUCHED, is_pinned
from resources.reports.report import old_reports
from resources.transcriptions.checkpoints import KEPT_DAYS
from resources.webhooks.outbox import Outbox
from ytcaption.domain.errors import TranscriptionErased, TranscriptionNotFound

RUNS_A_DAY = 10_000
"""Most runs that are taken away at once: the rest goes on the next days."""

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


def _old_audio(parts: Parts, id: str | None = None) -> list[str]:
    settings = parts.settings
    days = {"audio_days": settings.audio_days, "upload_days": settings.upload_days}
    return [row["id"] for row in parts.postgres.rows(_OLD_AUDIO, {**days, "id": id})]


def _remove_audio(parts: Parts, media_id: str) -> bool:
    with (
        removing(parts.postgres),
        alone(parts.postgres, media_id, IN_USE_S),
        storing(parts.postgres, media_id),
    ):
        if not _old_audio(parts, media_id):
            return False
        audio = parts.store.media(media_id).audio
        # The row first: a file without a row is found again.
        forget_audio(parts, media_id)
        for key in {upload_key(media_id), audio.key if audio else upload_key(media_id)}:
            parts.objects.delete(key)
    return True


def _old_transcripts(parts: Parts, id: str | None = None) -> list[str]:
    days = parts.settings.transcript_days
    if not days:
        return []
    ids = fitting(parts.postgres, PurgeFilter(older_than_days=days), id)
    others = with_channel_retention(parts.postgres, ids)
    return [each for each in ids if each not in others]


def _expired_items(parts: Parts, id: str | None = None) -> list[str]:
    return expired_items(parts.postgres, parts.settings.transcript_days, id)


def _erasing(
    old: Callable[[Parts, str | None], Sequence[str]],
) -> Callable[[Parts, str], bool]:
    def erase(parts: Parts, id: str) -> bool:
        if not old(parts, id):
            return False
        try:
            return parts.erasure.erase(id)
        except (TranscriptionNotFound, TranscriptionErased):
            return False

    return erase


def _old_partitions(parts: Parts) -> list[str]:
    return _retired(parts, parts.instance.get_dynamic_partitions(_PARTITIONS))


def _retire(parts: Parts, ids: Sequence[str]) -> Mended:
    retired = _retired(parts, ids)
    for id in retired:
        parts.instance.delete_dynamic_partition(_PARTITIONS, id)
    return Mended(done=retired)


def _retired(parts: Parts, ids: Sequence[str]) -> list[str]:
    days = parts.settings.partition_days
    if not days:
        return []
    rows = parts.postgres.rows(_OLD_PARTITIONS, {"ids": list(ids), "days": days})
    return [row["id"] for row in rows]


def _old_runs(parts: Parts) -> list[str]:
    days = parts.settings.run_days
    if not days:
        return []
    records = parts.instance.get_run_records(
        dg.RunsFilter(
            statuses=FINISHED_STATUSES,
            updated_before=datetime.now(UTC) - timedelta(days=days),
        ),
        limit=RUNS_A_DAY,
        order_by="id",
        ascending=True,
    )
    runs = [record.dagster_run for record in records]
    kept = _staying(parts, [run.tags.get(PARTITION_TAG, "") for run in runs])
    return [run.run_id for run in runs if run.tags.get(PARTITION_TAG) not in kept]


def _staying(parts: Parts, ids: Sequence[str]) -> set[str]:
    """Those that are kept, and those that are worked on: an old attempt's run counts as its own."""
    rows = parts.postgres.rows(
        f"select id from ytcaption.transcription t where id = any(%(ids)s) "  # noqa: S608
        f"and ({is_pinned('t.id')} or not {FINISHED})",
        {"ids": list(ids)},
    )
    return {row["id"] for row in rows}


def _remove_run(parts: Parts, run_id: str) -> bool:
    forget_run(parts.instance, run_id)
    return True


def _old_logs(parts: Parts) -> list[str]:
    days = parts.settings.run_days
    oldest = time.time() - days * 86_400
    logs = transcribe_logs(parts.settings) if days else []
    return [str(log) for log in logs if log.stat().st_mtime < oldest]


def _remove_log(_parts: Parts, path: str) -> bool:
    Path(path).unlink(missing_ok=True)
    return True


def _old_reports(parts: Parts) -> list[str]:
    return old_reports(parts.objects, parts.settings.report_days)


def _remove_report(parts: Parts, key: str) -> bool:
    parts.objects.delete(key)
    return True


def _old_deliveries(parts: Parts) -> list[str]:
    rows = parts.postgres.rows(
        "select id::text from ytcaption.delivery where status <> 'waiting' "
        "and settled_at < now() - make_interval(secs => %(days)s * 86400.0) order by id",
        {"days": parts.settings.delivery_days},
    )
    return [row["id"] for row in rows]


def _remove_deliveries(parts: Parts, ids: Sequence[str]) -> Mended:
    Outbox(parts.postgres).forget_old(parts.settings.delivery_days)
    return Mended(done=list(ids))


def _old_answers(parts: Parts) -> list[str]:
    rows = parts.postgres.rows(
        "select owner || ' ' || created_at as name from ytcaption.idempotency "
        "where created_at <= now() - interval '24 hours' order by created_at",
        {},
    )
    return [row["name"] for row in rows]


def _remove_answers(parts: Parts, names: Sequence[str]) -> Mended:
    with parts.postgres.transaction() as connection:
        connection.execute(
            "delete from ytcaption.idempotency where created_at <= now() - interval '24 hours'"
        )
    return Mended(done=list(names))


def _old_checkpoints(parts: Parts) -> list[str]:
    rows = parts.postgres.rows(
        "select distinct transcription_id as id from ytcaption.checkpoint "
        "where saved_at < now() - make_interval(days => %(days)s) order by 1",
        {"days": KEPT_DAYS},
    )
    return [row["id"] for row in rows]


def _remove_checkpoints(parts: Parts, ids: Sequence[str]) -> Mended:
    with parts.postgres.transaction() as connection:
        connection.execute(
            "delete from ytcaption.checkpoint where saved_at < now() - make_interval(days => %s)",
            (KEPT_DAYS,),
        )
    return Mended(done=list(ids))


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
        "transcriptions older than their channels keep them",
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
        f"transcriptions with checkpoints that nobody went on with for {KEPT_DAYS} days",
        "removed",
        _old_checkpoints,
        _remove_checkpoints,
    ),
)
