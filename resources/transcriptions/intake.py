"""What requests change: their medias' rows, their transcriptions', and their own."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.events import VERSION, add_event, appending, trace_id
from resources.postgres.jsonb import clean
from resources.postgres.notify import PROGRESS_CHANNEL, WORK_CHANNEL
from resources.sites.domains import site_of
from resources.transcriptions.captions import forget_captions
from resources.transcriptions.checkpoints import forget_checkpoint
from resources.transcriptions.rows import Submission, TranscriptionRequest, transcription_row
from resources.transcriptions.state import NO_AUDIO, REQUEUE
from ytcaption.domain.errors import (
    DatabaseUnavailable,
    OptionsMismatch,
    TranscriptionBusy,
    YtcaptionError,
)
from ytcaption.domain.events import EventType
from ytcaption.domain.request import TranscriptionStatus

_INSERT_NEW = f"""
with asked as materialized (
    select * from jsonb_to_recordset(%(asked)s) as asked(
        id text, media_id text, kind text, url text, extractor text, title text, site text,
        options jsonb, priority text
    )
), known_media as (
    insert into ytcaption.media as known (id, kind, url, extractor, title, site)
    select distinct on (media_id) media_id, kind, url, extractor, title, site
    from asked order by media_id
    on conflict (id) do update
    set url = coalesce(excluded.url, known.url),
        extractor = coalesce(excluded.extractor, known.extractor),
        title = coalesce(known.title, excluded.title),
        site = coalesce(excluded.site, known.site),
        updated_at = now()
    -- What is known already is locked, not written anew.
    where (coalesce(excluded.url, known.url), coalesce(excluded.extractor, known.extractor),
           coalesce(known.title, excluded.title), coalesce(excluded.site, known.site))
        is distinct from (known.url, known.extractor, known.title, known.site)
), revived as (
    delete from ytcaption.tombstone using asked
    where id_sha256 = encode(sha256(convert_to(asked.id, 'UTF8')), 'hex')
), made as (
    insert into ytcaption.transcription
        (id, media_id, options, priority, source_site, owner, traceparent)
    select id, media_id, options, priority, site, %(owner)s, %(traceparent)s from asked order by id
    on conflict (id) do nothing
    returning *
), happened as (
    select id as place, %(created)s as event_type, id as transcription_id, media_id, run_id,
        %(trace_id)s as trace_id, jsonb_build_object('priority', priority) as data
    from made
), told as ({appending("happened")})
select * from made order by id
"""  # noqa: S608

_ADD_REQUESTS = f"""
with asked as materialized (
    select *, ytcaption.uuid7() as request_id from jsonb_to_recordset(%(asked)s) as asked(
        number integer, transcription_id text, media_id text, run_id text, priority text,
        force boolean, metadata jsonb, created boolean, queued boolean, attempt integer,
        queued_priority text,
        callback_url text, callback_include text, keep boolean
    )
), called_back as (
    insert into ytcaption.webhook (owner)
    select %(owner)s where exists (select from asked where callback_url is not null)
    on conflict (owner) where url is null do nothing
), kept as (
    insert into ytcaption.request (
        id, transcription_id, priority, force, metadata, owner, callback_url, callback_include,
        keep)
    select request_id, transcription_id, priority, force, metadata, %(owner)s,
        callback_url, callback_include, keep
    from asked order by number
), happened as (
    select number * 2 + step as place, event_type, transcription_id, media_id, run_id,
        %(trace_id)s as trace_id, data
    from asked, lateral (values
        (0, %(requested)s, jsonb_build_object(
            'request_id', request_id, 'priority', priority, 'force', force)),
        (1, %(queued)s, jsonb_build_object('attempt', attempt, 'priority', queued_priority))
    ) as event(step, event_type, data)
    where step = 0 or queued
), told as ({appending("happened")})
select number, request_id,
    case when queued then pg_notify(%(work)s, transcription_id) end,
    -- Nobody can watch what has just been made.
    case when queued and not created then pg_notify(%(progress)s, transcription_id) end
from asked
"""  # noqa: S608


def enqueue_requests(
    connection: Connection[DictRow],
    requests: Sequence[TranscriptionRequest],
    owner: str,
    traceparent: str | None = None,
) -> list[Submission | YtcaptionError]:
    """Ask for all of them in a few statements, whatever their number, each answered for itself."""
    new, rows = _transcriptions(connection, requests, owner, traceparent)
    taken: list[tuple[TranscriptionRequest, bool, bool] | YtcaptionError] = []
    for request in requests:
        row, created = rows[request.id], request.id in new
        new.discard(request.id)  # the first of equal ones has made it
        try:
            _check_same(row, request)
            again = None if created else ask_again(connection, row, request, owner, traceparent)
        except YtcaptionError as error:
            taken.append(error)
            continue
        rows[request.id] = again or row
        queued = created or (again is not None and row["status"] != "queued")
        taken.append((request, created, queued))
    asked = [
        {
            "number": number,
            "transcription_id": item[0].id,
            "media_id": item[0].source.media_id,
            "run_id": rows[item[0].id]["run_id"],
            "priority": item[0].priority,
            "force": item[0].force,
            "metadata": clean(item[0].metadata or {}),
            "created": item[1],
            "queued": item[2],
            "attempt": rows[item[0].id]["attempt"],
            "queued_priority": rows[item[0].id]["priority"],
            "callback_url": item[0].callback.url if item[0].callback else None,
            "callback_include": item[0].callback.include if item[0].callback else None,
            "keep": item[0].keep,
        }
        for number, item in enumerate(taken)
        if not isinstance(item, YtcaptionError)
    ]
    request_ids = _add_requests(connection, asked, owner, traceparent) if asked else {}
    read = {id: transcription_row(row) for id, row in rows.items()}
    return [
        item
        if isinstance(item, YtcaptionError)
        else Submission(request_ids[number], read[item[0].id], item[1], item[2])
        for number, item in enumerate(taken)
    ]


def _transcriptions(
    connection: Connection[DictRow],
    requests: Sequence[TranscriptionRequest],
    owner: str,
    traceparent: str | None,
) -> tuple[set[str], dict[str, DictRow]]:
    """Which ids are new, and all rows by id, held until the transaction ends."""
    missing = {request.id: request for request in requests}
    new: set[str] = set()
    rows: dict[str, DictRow] = {}
    for _ in range(3):
        inserted = connection.execute(
            _INSERT_NEW,
            {
                "asked": Jsonb([_inserted(request) for request in missing.values()]),
                "owner": owner,
                "traceparent": traceparent,
                "created": EventType.TRANSCRIPTION_CREATED,
                "trace_id": trace_id(traceparent),
            }
            | VERSION,
        ).fetchall()
        new |= {row["id"] for row in inserted}
        rows |= {row["id"]: row for row in inserted}
        known = [id for id in missing if id not in rows]
        if known:
            found = connection.execute(
                "select * from ytcaption.transcription where id = any(%s) order by id for update",
                (known,),
            ).fetchall()
            rows |= {row["id"]: row for row in found}
        # Erased between the two statements: once more.
        missing = {id: request for id, request in missing.items() if id not in rows}
        if not missing:
            return new, rows
    raise DatabaseUnavailable("What is asked for is being erased again and again. Ask later.")


def _inserted(request: TranscriptionRequest) -> dict[str, Any]:
    source = request.source
    return {
        "id": request.id,
        "media_id": source.media_id,
        "kind": source.kind,
        "url": source.url,
        "extractor": source.extractor,
        "title": clean(source.title),
        "site": site_of(source.url) if source.url else None,
        "options": request.options.to_dict(),
        "priority": request.priority,
    }


def _add_requests(
    connection: Connection[DictRow],
    asked: list[dict[str, Any]],
    owner: str,
    traceparent: str | None,
) -> dict[int, Any]:
    values = {"asked": Jsonb(asked), "owner": owner, "trace_id": trace_id(traceparent)}
    types = {"requested": EventType.REQUESTED, "queued": EventType.QUEUED}
    channels = {"work": WORK_CHANNEL, "progress": PROGRESS_CHANNEL}
    rows = connection.execute(_ADD_REQUESTS, values | types | channels | VERSION).fetchall()
    return {row["number"]: row["request_id"] for row in rows}


def _check_same(row: DictRow, request: TranscriptionRequest) -> None:
    if row["media_id"] != request.source.media_id or row["options"] != request.options.to_dict():
        raise OptionsMismatch(
            f"{row['id']} is known with other options than those asked for. Nothing was shared."
        )


def ask_again(
    connection: Connection[DictRow],
    row: DictRow,
    request: TranscriptionRequest,
    owner: str,
    traceparent: str | None = None,
) -> DictRow | None:
    """The row as asking for it once more has changed it; None where that changes nothing.

    Args:
        owner: whose turn it takes from now on.

    Raises:
        TranscriptionBusy: forced while a run works on it.
    """
    status = TranscriptionStatus(row["status"])
    if request.force and status is TranscriptionStatus.RUNNING:
        raise TranscriptionBusy(
            f"A run is working on {row['id']}. Wait for it to end, or cancel it, then force."
        )
    if request.force:
        _forget_result(connection, row)
    if status is TranscriptionStatus.QUEUED:
        priority = "interactive" if request.priority == "interactive" else row["priority"]
        if priority == row["priority"] and not request.force:
            return None
        return connection.execute(
            "update ytcaption.transcription set priority = %s, owner = %s "
            "where id = %s returning *",
            (priority, owner, row["id"]),
        ).fetchone()
    if not status.is_final or (status is TranscriptionStatus.COMPLETED and not request.force):
        return None
    return connection.execute(
        f"""
        update ytcaption.transcription
        set {REQUEUE}, priority = %s, owner = %s, traceparent = %s
        where id = %s
        returning *
        """,  # noqa: S608
        (request.priority, owner, traceparent, row["id"]),
    ).fetchone()


def _forget_result(connection: Connection[DictRow], row: DictRow) -> None:
    connection.execute(
        """
        update ytcaption.transcription
        set document_key = null, document_sha256 = null, completed_at = null,
            status = case status when 'completed' then 'canceled' else status end
        where id = %s
        """,
        (row["id"],),
    )
    connection.execute(
        f"""
        update ytcaption.media set {NO_AUDIO} where id = %s and kind <> 'upload'
        """,  # noqa: S608
        (row["media_id"],),
    )
    forget_checkpoint(connection, row["id"])
    forget_captions(connection, row["id"])
    add_event(connection, row, EventType.RESULT_DISCARDED, {"attempt": row["attempt"]})
