"""Statements that read transcriptions with all that their askers are told: one, or a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

from psycopg.types.json import Jsonb

from resources.postgres.predicates import is_erased, is_visible_to_owner
from resources.sites.wait_reasons import WAITING_FOR, Waiting, waiting_of
from resources.transcriptions.rows import (
    MEDIA_COLUMNS,
    MediaRow,
    TranscriptionRow,
    media_row,
    transcription_row,
)
from ytcaption.domain.caller import Caller
from ytcaption.domain.request import TranscriptionStatus

COUNTED = 1_000
"""As many of the queue are counted; who stands behind them has the position after the last."""

IS_IN_CHANNEL: LiteralString = (
    "(media.info ->> 'channel_id' = %(channel)s "
    "or lower(media.info ->> 'channel') = lower(%(channel)s))"
)
"""SQL: whether a media is of the channel of this id or whole name."""

_MEDIA: LiteralString = ", ".join([f"media.{name} as media__{name}" for name in MEDIA_COLUMNS])

# For one row those before it are counted; for many the queue is numbered once.
_PLACE_OF_ONE: LiteralString = """
    select count(*) + 1 from (
        select from ytcaption.transcription as ahead
        where ahead.status = 'queued' and ((ahead.priority = 'bulk'), ahead.queued_at, ahead.id)
            < ((transcription.priority = 'bulk'), transcription.queued_at, transcription.id)
        limit %(counted)s
    ) as those_before
"""
_QUEUE: LiteralString = """
with queue as materialized (
    select id, row_number() over (order by (priority = 'bulk'), queued_at, id) as place from (
        select id, priority, queued_at from ytcaption.transcription where status = 'queued'
        order by (priority = 'bulk'), queued_at, id limit %(counted)s
    ) as first_ones
)
"""
_PLACE_OF_MANY: LiteralString = """
    coalesce((select place from queue where queue.id = transcription.id limit 1), %(counted)s + 1)
"""


def _select(place: LiteralString) -> LiteralString:
    """The inner selects run for the rows that come out only."""
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
    ) as keep,
    case when transcription.status = 'queued' then ({place}) end as queue_position,
    {WAITING_FOR} as waiting_for
from ytcaption.transcription join ytcaption.media on media.id = transcription.media_id
where not {is_erased("transcription.id")} and
"""  # noqa: S608 - of literals only


_ONE: LiteralString = _select(_PLACE_OF_ONE)
_MANY: LiteralString = _QUEUE + _select(_PLACE_OF_MANY)

_NAMES: tuple[LiteralString, ...] = ("one", "two", "three", "four", "five")
MOST_FIELDS = len(_NAMES)
"""Of metadata that one list is filtered by."""


@dataclass(frozen=True)
class TranscriptionDetail:
    """One transcription with all that its asker is told of it.

    Attributes:
        metadata: of the asker's latest request for it.
        keep: the asker keeps it, whatever its age; to who sees everything, somebody does.
        queue_position: from 1, counted to the end of the queue or its first thousand; None unless
            it is queued.
        read_at: by the database's clock, which all other times are of, too.
        waiting_for: where it is not for its turn alone.
    """

    transcription: TranscriptionRow
    media: MediaRow
    metadata: dict[str, Any]
    keep: bool
    queue_position: int | None
    read_at: datetime
    waiting_for: Waiting | None = None


class Position(NamedTuple):
    """A place in the list."""

    created_at: datetime
    id: str


@dataclass(frozen=True)
class ListFilter:
    """What a list is to hold; all of it must be so.

    Attributes:
        statuses: any of them; empty: all.
        channel: its id, or its name in upper or lower case.
        language: that is spoken, or that was asked for while it is not known.
        created_after, created_before: the first is in, the second out.
        title: a part of it, in upper or lower case.
        metadata: fields of one request, at most five, each with the text or the JSON value that it
            has.
        media_id: whose versions these are.
    """

    statuses: tuple[TranscriptionStatus, ...] = ()
    channel: str | None = None
    language: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    title: str | None = None
    metadata: tuple[tuple[str, str, Any], ...] = ()
    media_id: str | None = None


def detail_statement(id: str, caller: Caller) -> tuple[LiteralString, dict[str, Any]]:
    """The one with this id, if the caller may see it."""
    where: LiteralString = _ONE + "transcription.id = %(id)s"
    if caller.sees_only is not None:
        where += f" and {is_visible_to_owner('transcription.id')}"
    return where, _asker(caller) | {"id": id}


def page_statement(
    caller: Caller, filter: ListFilter, after: Position | None, limit: int
) -> tuple[LiteralString, dict[str, Any]]:
    """The newest first, by time and id, so that a page begins where the one before ended."""
    values = _asker(caller) | {
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
    wanted: list[LiteralString] = ["true"]
    if filter.statuses:
        wanted.append("transcription.status = any(%(statuses)s)")
    if filter.channel is not None:
        wanted.append(IS_IN_CHANNEL)
    if filter.language is not None:
        wanted.append(
            "coalesce(transcription.language, transcription.options ->> 'language') = %(language)s"
        )
    if filter.created_after is not None:
        wanted.append("transcription.created_at >= %(created_after)s")
    if filter.created_before is not None:
        wanted.append("transcription.created_at < %(created_before)s")
    if filter.title is not None:
        wanted.append(
            "strpos(lower(coalesce(media.info ->> 'title', media.title)), lower(%(title)s)) > 0"
        )
    if filter.media_id is not None:
        wanted.append("transcription.media_id = %(media_id)s")
    if after is not None:
        wanted.append("(transcription.created_at, transcription.id) < (%(at)s, %(after_id)s)")
    asked: list[LiteralString] = ["transcription_id = transcription.id"]
    if caller.sees_only is not None:
        asked.append("owner = %(owner)s")
    for name, (field, text, value) in zip(_NAMES, filter.metadata, strict=False):
        # Two comparisons, and no array of them, which the index could not answer.
        values |= {f"{name}_text": Jsonb({field: text}), f"{name}_value": Jsonb({field: value})}
        asked.append(f"(metadata @> %({name}_text)s or metadata @> %({name}_value)s)")
    if len(asked) > 1:
        wanted.append("exists (select from ytcaption.request where " + " and ".join(asked) + ")")
    order: LiteralString = (
        " order by transcription.created_at desc, transcription.id desc limit %(limit)s"
    )
    return _MANY + " and ".join(wanted) + order, values


def _asker(caller: Caller) -> dict[str, Any]:
    return {"owner": caller.owner, "sees_only": caller.sees_only, "counted": COUNTED}


def detail_row(row: Mapping[str, Any]) -> TranscriptionDetail:
    """From these statements."""
    return TranscriptionDetail(
        transcription=transcription_row(row),
        media=media_row({name: row[f"media__{name}"] for name in MEDIA_COLUMNS}),
        metadata=row["metadata"] or {},
        keep=row["keep"],
        queue_position=row["queue_position"],
        read_at=row["read_at"],
        waiting_for=waiting_of(row["waiting_for"]),
    )
