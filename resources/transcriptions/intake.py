"""Intake of requests: writes media, transcriptions and requests in a few statements."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.events import EVENT_VERSION, add_event, insert_events, trace_id
from resources.postgres.jsonb import clean
from resources.postgres.notify import PROGRESS_CHANNEL, WORK_CHANNEL
from resources.postgres.predicates import erased_for
from resources.sites.domains import site_of
from resources.transcriptions.captions import delete_captions
from resources.transcriptions.checkpoints import delete_checkpoint
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
with requested as materialized (
    select * from jsonb_to_recordset(%(requested)s) as requested(
        id text, media_id text, kind text, url text, extractor text, site text,
        options jsonb, priority text
    )
), known_media as (
    insert into ytcaption.media as known (id, kind, url, extractor, site)
    select distinct on (media_id) media_id, kind, url, extractor, site
    from requested order by media_id
    on conflict (id) do update
    set url = coalesce(excluded.url, known.url),
        extractor = coalesce(excluded.extractor, known.extractor),
        site = coalesce(excluded.site, known.site),
        updated_at = now()
    -- A row that would not change is locked only.
    where (coalesce(excluded.url, known.url), coalesce(excluded.extractor, known.extractor),
           coalesce(excluded.site, known.site))
        is distinct from (known.url, known.extractor, known.site)
), revived as (
    delete from ytcaption.tombstone using requested
    where id_sha256 = encode(sha256(convert_to(requested.id, 'UTF8')), 'hex')
), revived_for_owner as (
    delete from ytcaption.erased_for using requested
    where id_owner_sha256 = {erased_for("requested.id", "%(owner)s")}
), created as (
    insert into ytcaption.transcription
        (id, media_id, options, priority, source_site, owner, traceparent)
    select id, media_id, options, priority, site, %(owner)s, %(traceparent)s
    from requested order by id
    on conflict (id) do nothing
    returning *
), new_event as (
    select id as position, %(created)s as event_type, id as transcription_id, media_id, run_id,
        %(trace_id)s as trace_id, jsonb_build_object('priority', priority) as data
    from created
), appended as ({insert_events("new_event")})
select * from created order by id
"""  # noqa: S608

_ADD_REQUESTS = f"""
with requested as materialized (
    select *, ytcaption.uuid7() as request_id from jsonb_to_recordset(%(requested)s) as requested(
        number integer, transcription_id text, media_id text, run_id text, priority text,
        force boolean, metadata jsonb, created boolean, queued boolean, attempt integer,
        queued_priority text,
        callback_url text, callback_include text, keep boolean, title text, url text
    )
), called_back as (
    insert into ytcaption.webhook (owner)
    select %(owner)s where exists (select from requested where callback_url is not null)
    on conflict (owner) where url is null do nothing
), stored as (
    insert into ytcaption.request (
        id, transcription_id, priority, force, metadata, owner, callback_url, callback_include,
        keep, title, url)
    select request_id, transcription_id, priority, force, metadata, %(owner)s,
        callback_url, callback_include, keep, title, url
    from requested order by number
), new_event as (
    select number * 2 + step as position, event_type, transcription_id, media_id, run_id,
        %(trace_id)s as trace_id, data
    from requested, lateral (values
        (0, %(requested_event)s, jsonb_build_object(
            'request_id', request_id, 'priority', priority, 'force', force)),
        (1, %(queued_event)s, jsonb_build_object(
            'attempt', attempt, 'priority', queued_priority))
    ) as event(step, event_type, data)
    where step = 0 or queued
), appended as ({insert_events("new_event")})
select number, request_id,
    case when queued then pg_notify(%(work)s, transcription_id) end,
    -- Nobody can be watching a transcription that was just created.
    case when queued and not created then pg_notify(%(progress)s, transcription_id) end
from requested
"""  # noqa: S608


class _Applied(NamedTuple):
    """A request that was applied to its transcription.

    Attributes:
        created: the transcription is new.
        queued: the request has queued it.
    """

    request: TranscriptionRequest
    created: bool
    queued: bool


def enqueue_requests(
    connection: Connection[DictRow],
    requests: Sequence[TranscriptionRequest],
    owner: str,
    traceparent: str | None = None,
) -> list[Submission | YtcaptionError]:
    """Store all requests in a few statements, whatever their number. Return one answer each, in
    their order: a request that fails does not affect the others."""
    new_ids, rows = _transcriptions(connection, requests, owner, traceparent)
    results: list[_Applied | YtcaptionError] = []
    for request in requests:
        row, created = rows[request.id], request.id in new_ids
        new_ids.discard(request.id)  # the first of equal requests has created it
        try:
            _check_same(row, request)
            changed = (
                None if created else apply_request(connection, row, request, owner, traceparent)
            )
        except YtcaptionError as error:
            results.append(error)
            continue
        rows[request.id] = changed or row
        queued = created or (changed is not None and row["status"] != "queued")
        results.append(_Applied(request, created, queued))
    values = [
        _request_values(number, result, rows[result.request.id])
        for number, result in enumerate(results)
        if isinstance(result, _Applied)
    ]
    request_ids = _add_requests(connection, values, owner, traceparent) if values else {}
    transcriptions = {id: transcription_row(row) for id, row in rows.items()}
    return [
        Submission(
            request_ids[number], transcriptions[result.request.id], result.created, result.queued
        )
        if isinstance(result, _Applied)
        else result
        for number, result in enumerate(results)
    ]


def _request_values(number: int, applied: _Applied, row: DictRow) -> dict[str, Any]:
    request = applied.request
    return {
        "number": number,
        "transcription_id": request.id,
        "media_id": request.source.media_id,
        "run_id": row["run_id"],
        "priority": request.priority,
        "force": request.force,
        "metadata": clean(request.metadata or {}),
        "created": applied.created,
        "queued": applied.queued,
        "attempt": row["attempt"],
        "queued_priority": row["priority"],
        "callback_url": request.callback.url if request.callback else None,
        "callback_include": request.callback.include if request.callback else None,
        "keep": request.pinned,
        "title": None if request.inherits else clean(request.source.title),
        "url": None if request.inherits else request.source.url,
    }


def _transcriptions(
    connection: Connection[DictRow],
    requests: Sequence[TranscriptionRequest],
    owner: str,
    traceparent: str | None,
) -> tuple[set[str], dict[str, DictRow]]:
    """Create the missing transcriptions. Return the new ids, and all rows by id, locked until the
    transaction ends."""
    missing = {request.id: request for request in requests}
    new_ids: set[str] = set()
    rows: dict[str, DictRow] = {}
    for _ in range(3):
        inserted = connection.execute(
            _INSERT_NEW,
            {
                "requested": Jsonb([_media_values(request) for request in missing.values()]),
                "owner": owner,
                "traceparent": traceparent,
                "created": EventType.TRANSCRIPTION_CREATED,
                "trace_id": trace_id(traceparent),
            }
            | EVENT_VERSION,
        ).fetchall()
        new_ids |= {row["id"] for row in inserted}
        rows |= {row["id"]: row for row in inserted}
        known = [id for id in missing if id not in rows]
        if known:
            existing = connection.execute(
                "select * from ytcaption.transcription where id = any(%s) order by id for update",
                (known,),
            ).fetchall()
            rows |= {row["id"]: row for row in existing}
        # A row that was erased between the two statements is inserted again.
        missing = {id: request for id, request in missing.items() if id not in rows}
        if not missing:
            return new_ids, rows
    raise DatabaseUnavailable("The transcription is being erased repeatedly. Try again later.")


def _media_values(request: TranscriptionRequest) -> dict[str, Any]:
    source = request.source
    return {
        "id": request.id,
        "media_id": source.media_id,
        "kind": source.kind,
        # One that the caller has not given now may be older than the stored one.
        "url": None if request.inherits else source.url,
        "extractor": source.extractor,
        "site": site_of(source.url) if source.url else None,
        "options": request.options.to_dict(),
        "priority": request.priority,
    }


def _add_requests(
    connection: Connection[DictRow],
    requests: list[dict[str, Any]],
    owner: str,
    traceparent: str | None,
) -> dict[int, Any]:
    """Insert requests with their events. Return their ids by number."""
    values = {"requested": Jsonb(requests), "owner": owner, "trace_id": trace_id(traceparent)}
    types = {"requested_event": EventType.REQUESTED, "queued_event": EventType.QUEUED}
    channels = {"work": WORK_CHANNEL, "progress": PROGRESS_CHANNEL}
    rows = connection.execute(_ADD_REQUESTS, values | types | channels | EVENT_VERSION).fetchall()
    return {row["number"]: row["request_id"] for row in rows}


def _check_same(row: DictRow, request: TranscriptionRequest) -> None:
    if row["media_id"] != request.source.media_id or row["options"] != request.options.to_dict():
        raise OptionsMismatch(
            f"{row['id']} exists with other options than those requested. Nothing was shared."
        )


def apply_request(
    connection: Connection[DictRow],
    row: DictRow,
    request: TranscriptionRequest,
    owner: str,
    traceparent: str | None = None,
) -> DictRow | None:
    """Apply a further request to an existing transcription. Return the changed row; None if it
    stays as it is.

    Args:
        owner: its owner in the fair queue from now on, if it is queued.

    Raises:
        TranscriptionBusy: forced while a run works on it.
    """
    status = TranscriptionStatus(row["status"])
    if request.force and status is TranscriptionStatus.RUNNING:
        raise TranscriptionBusy(
            f"A run is working on {row['id']}. Wait for it to end, or cancel it, then force."
        )
    if request.force:
        _discard_result(connection, row)
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


def _discard_result(connection: Connection[DictRow], row: DictRow) -> None:
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
    delete_checkpoint(connection, row["id"])
    delete_captions(connection, row["id"])
    add_event(connection, row, EventType.RESULT_DISCARDED, {"attempt": row["attempt"]})
