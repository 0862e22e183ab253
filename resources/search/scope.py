"""The scope of a search: by the caller's rights, by filters, and the newest version only."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.predicates import is_erased, is_visible_to_owner
from resources.transcriptions.listing import IS_IN_CHANNEL
from ytcaption.domain.caller import Caller

_FEW_IDS = 2_000
"""Transcripts of an owner, or media of a channel, up to which they are listed by id."""

Source = Literal["asr", "manual_captions", "automatic_captions"]


def _is_searched(row: LiteralString) -> LiteralString:
    """Return SQL for whether a `ytcaption.transcription` row has a text that `owner` may read."""
    return (
        f"{row}.status = 'completed' and {is_visible_to_owner(f'{row}.id')} "
        f"and not {is_erased(f'{row}.id')}"
    )


SEARCHED: LiteralString = f"""
    {_is_searched("transcription")} and not exists (
        select from ytcaption.transcription as newer
        where newer.media_id = transcription.media_id
            and (newer.completed_at, newer.id) > (transcription.completed_at, transcription.id)
            and ytcaption.written_language(newer.language, newer.options)
                is not distinct from ytcaption.written_language(
                    transcription.language, transcription.options)
            and {_is_searched("newer")}
    )
"""  # noqa: S608 - of literals only
"""SQL: a text that `owner` may read, the newest of its media in its language."""


@dataclass(frozen=True)
class SearchFilter:
    """Filters of a search, all of which must match.

    Attributes:
        channel: its id, its full name in any case, or the id of a subscribed channel.
        language: of the text, by Whisper's code.
        published_from, published_to: inclusive dates; media without a date count by their request.
        sources: any of them; empty: all.
    """

    channel: str | None = None
    media_id: str | None = None
    language: str | None = None
    published_from: date | None = None
    published_to: date | None = None
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Scope:
    """The transcripts to search.

    Attributes:
        where: SQL on rows `transcription` and `media`, which takes `values`.
        is_open: all `SEARCHED` transcripts, for a caller who sees everything.
        language: of all transcripts in scope, if a filter sets it.
    """

    where: LiteralString
    values: dict[str, Any]
    is_open: bool
    language: str | None


def scope(connection: Connection[DictRow], caller: Caller, filter: SearchFilter) -> Scope:
    """Return what the caller may find with this filter."""
    values: dict[str, Any] = {
        "owner": caller.sees_only,
        "channel": filter.channel,
        "media_id": filter.media_id,
        "language": filter.language,
        "published_from": filter.published_from and filter.published_from.isoformat(),
        "published_to": filter.published_to and filter.published_to.isoformat(),
        "sources": list(filter.sources),
    }
    conditions: list[LiteralString] = [SEARCHED]
    # Few transcripts of an owner or channel are listed by id: otherwise all would be read.
    if caller.sees_only is not None:
        own = connection.execute(_REQUESTED, values | {"limit": _FEW_IDS + 1}).fetchall()
        if len(own) <= _FEW_IDS:
            values["own_ids"] = [row["id"] for row in own]
            conditions.append("transcription.id = any(%(own_ids)s)")
    if filter.channel is not None:
        media = connection.execute(_MEDIA_OF_CHANNEL, values | {"limit": _FEW_IDS + 1}).fetchall()
        if len(media) <= _FEW_IDS:
            values["media_ids"] = [row["id"] for row in media]
            conditions.append("transcription.media_id = any(%(media_ids)s)")
        else:
            conditions.append(f"({IS_IN_CHANNEL} or {_IS_IN_SUBSCRIBED})")
    if filter.media_id is not None:
        conditions.append("transcription.media_id = %(media_id)s")
    if filter.language is not None:
        conditions.append(
            "ytcaption.written_language(transcription.language, transcription.options) "
            "= %(language)s"
        )
    if filter.published_from is not None:
        conditions.append("transcription.published_on >= %(published_from)s")
    if filter.published_to is not None:
        conditions.append("transcription.published_on <= %(published_to)s")
    if filter.sources:
        conditions.append("transcription.provenance ->> 'source' = any(%(sources)s)")
    return Scope(
        " and ".join(conditions), values, is_open=not any(values.values()), language=filter.language
    )


_IS_IN_SUBSCRIBED: LiteralString = """
    exists (
        select from ytcaption.channel_item as item
        join ytcaption.channel on channel.id = item.channel_id
        where item.media_id = media.id and item.channel_id = %(channel)s
            and (%(owner)s::text is null or channel.owner = %(owner)s)
    )
"""
_REQUESTED: LiteralString = """
    select distinct transcription_id as id from ytcaption.request where owner = %(owner)s
    limit %(limit)s
"""
_MEDIA_OF_CHANNEL: LiteralString = """
    select id from (
        select id from ytcaption.media where info ->> 'channel_id' = %(channel)s
        union select id from ytcaption.media
        where lower(info ->> 'channel') = lower(%(channel)s)
        union select item.media_id from ytcaption.channel_item as item
        join ytcaption.channel on channel.id = item.channel_id
        where item.channel_id = %(channel)s and item.media_id is not null
            and (%(owner)s::text is null or channel.owner = %(owner)s)
    ) as media limit %(limit)s
"""
