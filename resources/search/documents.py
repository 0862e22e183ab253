"""The transcripts that a search looks into."""

from collections.abc import Collection
from typing import LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from resources.search.retriever import Document, Order
from resources.search.scope import Scope


def newest_documents(
    connection: Connection[DictRow], scope: Scope, limit: int, order: Order = "recency"
) -> dict[str, Document]:
    """Return the first transcripts in scope by id; the oldest first if the order is `time`."""
    rows = connection.execute(
        _DOCUMENTS + scope.where + _first_in(order), scope.values | {"limit": limit}
    )
    return {row["id"]: Document(**row) for row in rows}


def documents_of(
    connection: Connection[DictRow], scope: Scope, ids: Collection[str]
) -> dict[str, Document]:
    """Return the transcripts of these ids that are in scope."""
    if not ids:
        return {}
    rows = connection.execute(
        _DOCUMENTS + scope.where + " and transcription.id = any(%(ids)s)",
        scope.values | {"ids": list(ids)},
    )
    return {row["id"]: Document(**row) for row in rows}


def newest_ids(connection: Connection[DictRow], limit: int, order: Order = "recency") -> list[str]:
    """Return the first ids of all completed transcripts, some of which may not be searchable."""
    rows = connection.execute(_COMPLETED + _first_in(order), {"limit": limit})
    return [row["id"] for row in rows]


def _first_in(order: Order) -> LiteralString:
    return _OLDEST_FIRST if order == "time" else _NEWEST_FIRST


_DOCUMENTS: LiteralString = """
select transcription.id, transcription.media_id,
    coalesce(
        transcription.published_on, ytcaption.search_day(media.info, transcription.created_at)
    ) as published_on,
    media.info ->> 'channel' as channel, media.info ->> 'channel_id' as channel_id,
    ytcaption.search_channel(media.info) as channel_key,
    ytcaption.written_language(transcription.language, transcription.options) as language
from ytcaption.transcription join ytcaption.media on media.id = transcription.media_id
where
"""
_COMPLETED: LiteralString = """
select transcription.id from ytcaption.transcription where transcription.status = 'completed'
"""
_NEWEST_FIRST: LiteralString = (
    " order by transcription.published_on desc, transcription.id desc limit %(limit)s"
)
_OLDEST_FIRST: LiteralString = (
    " order by transcription.published_on, transcription.id limit %(limit)s"
)
