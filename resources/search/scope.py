"""Which transcripts a search looks into: by who asks, by filters, and the newest version."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.predicates import is_erased, is_visible_to_owner
from resources.transcriptions.listing import IS_IN_CHANNEL
from ytcaption.domain.caller import Caller

_SMALL = 2_000
"""Transcripts of somebody, media of a channel."""

Source = Literal["asr", "manual_captions", "automatic_captions"]


def _is_searched(row: LiteralString) -> LiteralString:
    """SQL: whether this row of `ytcaption.transcription` has a text that `owner` may read."""
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
"""SQL: a text that `owner` may read, the newest that its media has in its language."""


@dataclass(frozen=True)
class SearchFilter:
    """What a search keeps to; all of it must be so.

    Attributes:
        channel: its id, its whole name in upper or lower case, or the id of a subscribed channel.
        language: that the text is written in, by Whisper's code.
        published_from, published_to: days, both in; of what names no day, when it was asked for.
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
    """Where to look.

    Attributes:
        where: SQL on rows `transcription` and `media`, which takes `values`.
        is_open: all that is `SEARCHED` by somebody who sees everything.
        language: of all that is in scope, where a filter tells it.
    """

    where: LiteralString
    values: dict[str, Any]
    is_open: bool
    language: str | None


def scope(connection: Connection[DictRow], caller: Caller, filter: SearchFilter) -> Scope:
    """What this caller may find by this filter."""
    values: dict[str, Any] = {
        "owner": caller.sees_only,
        "channel": filter.channel,
        "media_id": filter.media_id,
        "language": filter.language,
        "published_from": filter.published_from and filter.published_from.isoformat(),
        "published_to": filter.published_to and filter.published_to.isoformat(),
        "sources": list(filter.sources),
    }
    wanted: list[LiteralString] = [SEARCHED]
    # Of who has asked for few, and of a small channel, by name: else all transcripts are looked at
    # for those few.
    if caller.sees_only is not None:
        mine = connection.execute(_ASKED_FOR, values | {"most": _SMALL + 1}).fetchall()
        if len(mine) <= _SMALL:
            values["mine"] = [row["id"] for row in mine]
            wanted.append("transcription.id = any(%(mine)s)")
    if filter.channel is not None:
        media = connection.execute(_MEDIA_OF_CHANNEL, values | {"most": _SMALL + 1}).fetchall()
        if len(media) <= _SMALL:
            values["media_ids"] = [row["id"] for row in media]
            wanted.append("transcription.media_id = any(%(media_ids)s)")
        else:
            wanted.append(f"({IS_IN_CHANNEL} or {_IS_IN_SUBSCRIBED})")
    if filter.media_id is not None:
        wanted.append("transcription.media_id = %(media_id)s")
    if filter.language is not None:
        wanted.append(
            "ytcaption.written_language(transcription.language, transcription.options) "
            "= %(language)s"
        )
    if filter.published_from is not None:
        wanted.append("transcription.published_on >= %(published_from)s")
    if filter.published_to is not None:
        wanted.append("transcription.published_on <= %(published_to)s")
    if filter.sources:
        wanted.append("transcription.provenance ->> 'source' = any(%(sources)s)")
    return Scope(
        " and ".join(wanted), values, is_open=not any(values.values()), language=filter.language
    )


_IS_IN_SUBSCRIBED: LiteralString = """
    exists (
        select from ytcaption.channel_item as item
        join ytcaption.channel on channel.id = item.channel_id
        where item.media_id = media.id and item.channel_id = %(channel)s
            and (%(owner)s::text is null or channel.owner = %(owner)s)
    )
"""
_ASKED_FOR: LiteralString = """
    select distinct transcription_id as id from ytcaption.request where owner = %(owner)s
    limit %(most)s
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
    ) as media limit %(most)s
"""
