"""Search: pages of media with their best segments, marked and in context."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow

from resources.embeddings.embedder import DEFAULT_MODEL, Embedder, embedder_of
from resources.postgres.connection import Postgres
from resources.search.grouping import Group, by_channel, by_month, groups_of
from resources.search.highlights import Marker
from resources.search.hybrid import HybridRetriever
from resources.search.keyword import KeywordRetriever
from resources.search.results import (
    MediaResult,
    ResultPosition,
    SearchResults,
    SegmentHit,
    ShownSegment,
)
from resources.search.retriever import Hit, Mode, Order, Retriever
from resources.search.scope import SearchFilter, scope
from resources.search.semantic import SemanticRetriever
from resources.telemetry.spans import traced
from resources.transcriptions.rows import media_row
from resources.transcriptions.seen_media import media_columns
from ytcaption.domain.caller import LOCAL, Caller
from ytcaption.domain.errors import SearchTooBroad
from ytcaption.domain.search_query import SearchQuery, parse_search

ONLY_STOP_WORDS = "These words are too common to search for. Add a more specific word."
NOT_ALL_RANKED = (
    "There are too many matches to rank all of them: only the newest are ranked. Add a word, or "
    "filter by channel or time."
)


class Search:
    """Searches the newest completed transcript of each media item and language that the caller may
    read.

    Args:
        embedder: for modes other than `keyword`.
    """

    def __init__(self, postgres: Postgres, embedder: Embedder | None = None) -> None:
        self._postgres = postgres
        self._embedder = embedder or embedder_of(DEFAULT_MODEL)

    @traced("postgres.search")
    def page(
        self,
        text: str,
        caller: Caller = LOCAL,
        filter: SearchFilter = SearchFilter(),  # noqa: B008 - frozen
        *,
        mode: Mode = "keyword",
        order: Order = "relevance",
        after: ResultPosition | None = None,
        limit: int = 10,
        segments: int = 3,
        facets: bool = True,
    ) -> SearchResults:
        """Return a page of media, each with its best segments.

        Args:
            text: as the user typed it.
            after: position of the last media of the previous page.
            segments: maximum segments shown per media item.

        Raises:
            InvalidSearch: the query is empty or too large.
            SearchTooBroad: it would take too long.
            SemanticUnavailable: this mode is not available here.
            ModelUnavailable, ModelCorrupt: its model is not available.
        """
        query = parse_search(text)
        retriever = self._retriever(mode, query)
        with self._postgres.transaction() as connection, _timeout_as_error():
            search_scope = scope(connection, caller, filter)
            retrieved = retriever.retrieve(connection, query, search_scope, order)
            if not retrieved.hits and mode == "keyword" and len(query.groups) > 1:
                wider = query.any_of_them()
                retrieved = retriever.retrieve(connection, wider, search_scope, order)
                query = wider if retrieved.hits else query
            positioned = sorted((group.position(order), group) for group in groups_of(retrieved))
            following = [pair for pair in positioned if after is None or pair[0] > after]
            shown = [group for _, group in following[:limit]]
            items = _described(connection, query, shown, segments, caller)
        groups = [group for _, group in positioned]
        notes = [*query.notes, *retrieved.notes]
        if retrieved.has_only_stop_words and not retrieved.hits:
            notes.append(ONLY_STOP_WORDS)
        if not retrieved.is_complete:
            notes.append(NOT_ALL_RANKED)
        page = SearchResults(
            items=tuple(items),
            last=following[limit - 1][0] if len(following) > limit else None,
            media_count=len(groups),
            hit_count=len(retrieved.hits),
            is_complete=retrieved.is_complete,
            notes=tuple(notes),
        )
        if not facets:
            return page
        return replace(page, channels=by_channel(groups), months=by_month(groups))

    def _retriever(self, mode: Mode, query: SearchQuery) -> Retriever:
        """Return the retriever; called before a connection is taken, as it may embed the query."""
        if mode == "keyword":
            return KeywordRetriever()
        text = " ".join(term.text for term in query.wanted)
        semantic = SemanticRetriever(*self._embedder.query(text))
        return semantic if mode == "semantic" else HybridRetriever(KeywordRetriever(), semantic)


@contextmanager
def _timeout_as_error() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.QueryCanceled:
        raise SearchTooBroad(
            "This search has too many matches to finish in time. Add a word, write more of a word "
            "before *, or filter by channel or time."
        ) from None


def _described(
    connection: Connection[DictRow],
    query: SearchQuery,
    groups: Sequence[Group],
    segments: int,
    caller: Caller,
) -> list[MediaResult]:
    if not groups:
        return []
    chosen = {
        group.document.id: sorted(group.hits, key=lambda hit: (-hit.score, hit.index))[:segments]
        for group in groups
    }
    rows = {
        row["transcription_id"]: row
        for row in connection.execute(
            _MEDIA, {"ids": list(chosen), "owner": caller.sees_only}
        ).fetchall()
    }
    shown = _shown_segments(connection, query, groups, chosen)
    items = []
    for group in groups:
        id = group.document.id
        hits = sorted(chosen[id], key=lambda hit: hit.index)
        items.append(
            MediaResult(
                transcription_id=id,
                media=media_row(rows[id]),
                published_on=group.document.published_on,
                language=group.document.language,
                source=rows[id]["source"],
                score=group.score,
                hit_count=len(group.hits),
                segments=tuple(
                    SegmentHit(
                        _as_one_segment([shown[id, index] for index in _indexes(hit)]),
                        round(hit.score, 6),
                        shown.get((id, hit.index - 1)),
                        shown.get((id, _indexes(hit)[-1] + 1)),
                    )
                    for hit in hits
                ),
            )
        )
    return items


def _shown_segments(
    connection: Connection[DictRow],
    query: SearchQuery,
    groups: Sequence[Group],
    chosen: dict[str, list[Hit]],
) -> dict[tuple[str, int], ShownSegment]:
    shown = {(id, index) for id, hits in chosen.items() for hit in hits for index in _indexes(hit)}
    wanted = {(id, index + step) for id, index in shown for step in (-1, 0, 1)}
    rows = connection.execute(
        _SEGMENTS,
        {"ids": [id for id, _ in wanted], "indexes": [index for _, index in wanted]},
    ).fetchall()
    languages = {group.document.id: group.document.language for group in groups}
    marked = [row for row in rows if (row["transcription_id"], row["index"]) in shown]
    texts = [(languages[row["transcription_id"]], row["text"]) for row in marked]
    marks = {
        (row["transcription_id"], row["index"]): tuple(positions)
        for row, positions in zip(marked, Marker(query).marks(connection, texts), strict=True)
    }
    return {
        (row["transcription_id"], row["index"]): ShownSegment(
            row["index"],
            row["start_s"],
            row["end_s"],
            row["text"],
            marks.get((row["transcription_id"], row["index"]), ()),
        )
        for row in rows
    }


def _indexes(hit: Hit) -> range:
    return range(hit.index, (hit.index if hit.last_index is None else hit.last_index) + 1)


def _as_one_segment(segments: Sequence[ShownSegment]) -> ShownSegment:
    """Return a passage as one segment, with a space between its segments."""
    marks, texts, offset = [], [], 0
    for each in segments:
        marks += [(offset + start, offset + end) for start, end in each.marks]
        texts.append(each.text)
        offset += len(each.text) + 1
    first, last = segments[0], segments[-1]
    return ShownSegment(first.index, first.start_s, last.end_s, " ".join(texts), tuple(marks))


_MEDIA = (
    "select transcription.id as transcription_id, provenance ->> 'source' as source, "  # noqa: S608
    + media_columns("media", "%(owner)s")
    + " from ytcaption.transcription join ytcaption.media on media.id = media_id "
    "where transcription.id = any(%(ids)s)"
)
_SEGMENTS = """
select segment.transcription_id, segment.index, start_s, end_s, text
from unnest(%(ids)s::text[], %(indexes)s::integer[]) as wanted (id, index)
join ytcaption.segment
    on segment.transcription_id = wanted.id and segment.index = wanted.index
"""
