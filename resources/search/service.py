"""Search over all that was said: pages of media with their best segments, marked, in context."""

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
from resources.search.results import MediaResult, Place, SearchResults, SegmentHit, Spoken
from resources.search.retriever import Hit, Mode, Order, Retriever
from resources.search.scope import SearchFilter, scope
from resources.search.semantic import SemanticRetriever
from resources.telemetry.spans import traced
from resources.transcriptions.rows import MEDIA_COLUMNS, media_row
from ytcaption.domain.caller import LOCAL, Caller
from ytcaption.domain.errors import SearchTooBroad
from ytcaption.domain.search_query import SearchQuery, parse_search

ONLY_STOP_WORDS = (
    "These words are so common that nothing is looked for by them. Add a word that tells more."
)
NOT_ALL = (
    "So much was found that only a part of it is ranked, the newest first. Add a word, or filter "
    "by channel or time."
)


class Search:
    """What may be read is what is found (rules 12, 30): of completed transcriptions, the newest of
    each media and language.

    Args:
        embedder: what modes other than `keyword` need.
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
        after: Place | None = None,
        limit: int = 10,
        segments: int = 3,
        facets: bool = True,
    ) -> SearchResults:
        """A page of media, each with its best segments.

        Args:
            text: as somebody types it.
            after: the place of the last media of the page before.
            segments: shown of each media at most.

        Raises:
            InvalidSearch: it asks for nothing, or too much.
            SearchTooBroad: it would take too long.
            SemanticUnavailable: this mode is not to be had here.
            ModelUnavailable, ModelCorrupt: nor is its model.
        """
        query = parse_search(text)
        retriever = self._retriever(mode, query)
        with self._postgres.transaction() as connection, _in_time():
            looked_in = scope(connection, caller, filter)
            found = retriever.retrieve(connection, query, looked_in, order)
            if not found.hits and mode == "keyword" and len(query.groups) > 1:
                wider = query.any_of_them()
                found = retriever.retrieve(connection, wider, looked_in, order)
                query = wider if found.hits else query
            placed = sorted((group.place(order), group) for group in groups_of(found))
            rest = [pair for pair in placed if after is None or pair[0] > after]
            shown = [group for _, group in rest[:limit]]
            items = _described(connection, query, shown, segments)
        groups = [group for _, group in placed]
        notes = [*query.notes, *found.notes]
        if found.is_dropped and not found.hits:
            notes.append(ONLY_STOP_WORDS)
        if not found.is_complete:
            notes.append(NOT_ALL)
        page = SearchResults(
            items=tuple(items),
            last=rest[limit - 1][0] if len(rest) > limit else None,
            media_count=len(groups),
            hit_count=len(found.hits),
            is_complete=found.is_complete,
            notes=tuple(notes),
        )
        if not facets:
            return page
        return replace(page, channels=by_channel(groups), months=by_month(groups))

    def _retriever(self, mode: Mode, query: SearchQuery) -> Retriever:
        """Before a connection is taken: what is looked for may have to be embedded."""
        if mode == "keyword":
            return KeywordRetriever()
        said = " ".join(term.text for term in query.wanted)
        meaning = SemanticRetriever(*self._embedder.query(said))
        return meaning if mode == "semantic" else HybridRetriever(KeywordRetriever(), meaning)


@contextmanager
def _in_time() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.QueryCanceled:
        raise SearchTooBroad(
            "This search finds too much to look through in time. Add a word, write more of a word "
            "before *, or filter by channel or time."
        ) from None


def _described(
    connection: Connection[DictRow], query: SearchQuery, groups: Sequence[Group], segments: int
) -> list[MediaResult]:
    if not groups:
        return []
    chosen = {
        group.document.id: sorted(group.hits, key=lambda hit: (-hit.score, hit.index))[:segments]
        for group in groups
    }
    rows = {
        row["transcription_id"]: row
        for row in connection.execute(_MEDIA, {"ids": list(chosen)}).fetchall()
    }
    spoken = _spoken(connection, query, groups, chosen)
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
                        _joined([spoken[id, index] for index in _indexes(hit)]),
                        round(hit.score, 6),
                        spoken.get((id, hit.index - 1)),
                        spoken.get((id, _indexes(hit)[-1] + 1)),
                    )
                    for hit in hits
                ),
            )
        )
    return items


def _spoken(
    connection: Connection[DictRow],
    query: SearchQuery,
    groups: Sequence[Group],
    chosen: dict[str, list[Hit]],
) -> dict[tuple[str, int], Spoken]:
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
        (row["transcription_id"], row["index"]): tuple(found)
        for row, found in zip(marked, Marker(query).marks(connection, texts), strict=True)
    }
    return {
        (row["transcription_id"], row["index"]): Spoken(
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


def _joined(said: Sequence[Spoken]) -> Spoken:
    """A passage as one segment, with a space between its segments."""
    marks, texts, at = [], [], 0
    for each in said:
        marks += [(at + start, at + end) for start, end in each.marks]
        texts.append(each.text)
        at += len(each.text) + 1
    first, last = said[0], said[-1]
    return Spoken(first.index, first.start_s, last.end_s, " ".join(texts), tuple(marks))


_MEDIA = (
    "select transcription.id as transcription_id, provenance ->> 'source' as source, "  # noqa: S608
    + ", ".join(f"media.{name}" for name in MEDIA_COLUMNS)
    + " from ytcaption.transcription join ytcaption.media on media.id = media_id "
    "where transcription.id = any(%(ids)s)"
)
_SEGMENTS = """
select segment.transcription_id, segment.index, start_s, end_s, text
from unnest(%(ids)s::text[], %(indexes)s::integer[]) as wanted (id, index)
join ytcaption.segment
    on segment.transcription_id = wanted.id and segment.index = wanted.index
"""
