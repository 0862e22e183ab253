"""Reads transcriptions with everything their requesters may see: one, or a page of the list."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

from psycopg.types.json import Jsonb

from resources.postgres.connection import Postgres
from resources.postgres.predicates import is_erased, is_visible_to_owner
from resources.sites.wait_reasons import WAITING_FOR, Waiting, waiting_of
from resources.telemetry.spans import traced
from resources.transcriptions.rows import (
    MediaRow,
    TranscriptionRow,
    media_row,
    transcription_row,
)
from resources.transcriptions.seen_media import MEDIA_COLUMNS, media_columns, title_for
from resources.transcriptions.state import absent
from ytcaption.domain.caller import LOCAL, Caller
from ytcaption.domain.request import TranscriptionStatus

COUNTED = 1_000
"""Transcriptions of the queue that are counted; any behind them have the position after these."""

IS_IN_CHANNEL: LiteralString = (
    "(media.info ->> 'channel_id' = %(channel)s "
    "or lower(media.info ->> 'channel') = lower(%(channel)s))"
)
"""SQL: whether a media item belongs to the channel with this id or full name."""

_MEDIA: LiteralString = media_columns("media", "%(sees_only)s", "media__")

# For one row, count those before it; for many, number the queue once.
_POSITION_OF_ONE: LiteralString = """
    select count(*) + 1 from (
        select from ytcaption.transcription as ahead
        where ahead.status = 'queued' and ((ahead.priority = 'bulk'), ahead.queued_at, ahead.id)
            < ((transcription.priority = 'bulk'), transcription.queued_at, transcription.id)
        limit %(counted)s
    ) as those_before
"""
_QUEUE: LiteralString = """
with queue as materialized (
    select id, row_number() over (order by (priority = 'bulk'), queued_at, id) as position from (
        select id, priority, queued_at from ytcaption.transcription where status = 'queued'
        order by (priority = 'bulk'), queued_at, id limit %(counted)s
    ) as first_ones
)
"""
_POSITION_OF_MANY: LiteralString = """
    coalesce(
        (select position from queue where queue.id = transcription.id limit 1), %(counted)s + 1)
"""


def _select(position: LiteralString) -> LiteralString:
    """Return the select of a list. Its inner selects run for the returned rows only."""
    return f"""
select transcription.*, {_MEDIA}, now() as read_at,
    coalesce(
        (
            select metadata from ytcaption.request
            where transcription_id = transcription.id and owner = %(owner)s
            order by id desc limit 1
        ),
        case when %(sees_only)s::text is null then (
            select metadata from ytcaption.request where transcription_id = transcription.id
            order by id desc limit 1
        ) end
    ) as metadata,
    exists (
        select from ytcaption.request where transcription_id = transcription.id and keep
            and (%(sees_only)s::text is null or owner = %(owner)s)
    ) as pinned,
    case when transcription.status = 'queued' then ({position}) end as queue_position,
    {WAITING_FOR} as waiting_for
from ytcaption.transcription join ytcaption.media on media.id = transcription.media_id
where not {is_erased("transcription.id")} and
"""  # noqa: S608 - of literals only


_ONE: LiteralString = _select(_POSITION_OF_ONE)
_MANY: LiteralString = _QUEUE + _select(_POSITION_OF_MANY)

_NAMES: tuple[LiteralString, ...] = ("one", "two", "three", "four", "five")
MOST_FIELDS = len(_NAMES)
"""Maximum number of metadata fields in one filter."""


@dataclass(frozen=True)
class TranscriptionDetail:
    """One transcription with everything its requester may see.

    Attributes:
        metadata: of the caller's latest request for it.
        pinned: the caller has exempted it from retention; for a caller that sees everything:
            any requester has.
        queue_position: from 1; counted up to `COUNTED`. None unless it is queued.
        read_at: time of the reading by the database's clock, like all other times.
        waiting_for: what it waits for besides its position in the queue.
    """

    transcription: TranscriptionRow
    media: MediaRow
    metadata: dict[str, Any]
    pinned: bool
    queue_position: int | None
    read_at: datetime
    waiting_for: Waiting | None = None


class Position(NamedTuple):
    """A position in the list."""

    created_at: datetime
    id: str


@dataclass(frozen=True)
class ListFilter:
    """Conditions of a list; a transcription must meet all of them.

    Attributes:
        statuses: any of these; empty: all.
        channel: id of a channel, or its name, case ignored.
        language: the spoken one; the requested one while the spoken one is unknown.
        created_after, created_before: inclusive and exclusive bound.
        title: part of the title, case ignored.
        metadata: up to `MOST_FIELDS` fields of one request, each as (name, text, JSON value);
            either value may match.
        media_id: of this media item only.
    """

    statuses: tuple[TranscriptionStatus, ...] = ()
    channel: str | None = None
    language: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    title: str | None = None
    metadata: tuple[tuple[str, str, Any], ...] = ()
    media_id: str | None = None


@traced("postgres.detail")
def transcription_detail(
    postgres: Postgres, id: str, caller: Caller = LOCAL
) -> TranscriptionDetail:
    """Return one transcription with everything the caller may see, read at one point in time.

    Raises:
        TranscriptionNotFound: no such id, or the caller may not see it.
        TranscriptionErased: it existed and was erased.
    """
    statement: LiteralString = _ONE + "transcription.id = %(id)s"
    if caller.sees_only is not None:
        statement += f" and {is_visible_to_owner('transcription.id')}"
    rows = postgres.rows(statement, _caller_values(caller) | {"id": id})
    if not rows:
        with postgres.transaction() as connection:
            raise absent(connection, id, caller.sees_only)
    return _detail(rows[0])


@traced("postgres.page")
def transcription_page(
    postgres: Postgres,
    caller: Caller = LOCAL,
    filter: ListFilter = ListFilter(),
    *,
    after: Position | None = None,
    limit: int = 50,
) -> list[TranscriptionDetail]:
    """Return the transcriptions the caller may see and the filter allows, the newest first.

    Args:
        after: position of the last one of the previous page.
    """
    statement, values = _page_statement(caller, filter, after, limit)
    return [_detail(row) for row in postgres.rows(statement, values)]


def _page_statement(
    caller: Caller, filter: ListFilter, after: Position | None, limit: int
) -> tuple[LiteralString, dict[str, Any]]:
    """Return the statement of a page, ordered by time and id, so that pages never overlap."""
    values = _caller_values(caller) | {
        "limit": limit,
        "statuses": [status.value for status in filter.statuses],
        "channel": filter.channel,
        "language": filter.language,
        "created_after": filter.created_after,
        "created_before": filter.created_before,
        "title": filter.title,
        "media_id": filter.media_id,
        "at": after.created_at if after else None,
        "after_id": after.id if after else None,
    }
    conditions: list[LiteralString] = ["true"]
    if filter.statuses:
        conditions.append("transcription.status = any(%(statuses)s)")
    if filter.channel is not None:
        conditions.append(IS_IN_CHANNEL)
    if filter.language is not None:
        conditions.append(
            "coalesce(transcription.language, transcription.options ->> 'language') = %(language)s"
        )
    if filter.created_after is not None:
        conditions.append("transcription.created_at >= %(created_after)s")
    if filter.created_before is not None:
        conditions.append("transcription.created_at < %(created_before)s")
    if filter.title is not None:
        conditions.append(
            f"strpos(lower({title_for('media', '%(sees_only)s')}), lower(%(title)s)) > 0"
        )
    if filter.media_id is not None:
        conditions.append("transcription.media_id = %(media_id)s")
    if after is not None:
        conditions.append("(transcription.created_at, transcription.id) < (%(at)s, %(after_id)s)")
    of_request: list[LiteralString] = ["transcription_id = transcription.id"]
    if caller.sees_only is not None:
        of_request.append("owner = %(owner)s")
    for name, (field, text, value) in zip(_NAMES, filter.metadata, strict=False):
        # Two comparisons instead of one with an array, which could not use the index.
        values |= {f"{name}_text": Jsonb({field: text}), f"{name}_value": Jsonb({field: value})}
        of_request.append(f"(metadata @> %({name}_text)s or metadata @> %({name}_value)s)")
    if len(of_request) > 1:
        conditions.append(
            "exists (select from ytcaption.request where " + " and ".join(of_request) + ")"
        )
    order: LiteralString = (
        " order by transcription.created_at desc, transcription.id desc limit %(limit)s"
    )
    return _MANY + " and ".join(conditions) + order, values


def _caller_values(caller: Caller) -> dict[str, Any]:
    return {"owner": caller.owner, "sees_only": caller.sees_only, "counted": COUNTED}


def _detail(row: Mapping[str, Any]) -> TranscriptionDetail:
    return TranscriptionDetail(
        transcription=transcription_row(row),
        media=media_row({name: row[f"media__{name}"] for name in MEDIA_COLUMNS}),
        metadata=row["metadata"] or {},
        pinned=row["pinned"],
        queue_position=row["queue_position"],
        read_at=row["read_at"],
        waiting_for=waiting_of(row["waiting_for"]),
    )
