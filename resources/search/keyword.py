"""Search by words: segments that contain them, by the full-text index in Postgres.

Common words are not fetched completely. If everything is in scope and few matches are expected, all
are searched at once; otherwise the newest transcripts, as many as are likely to hold enough matches
to rank. If a filter or the caller's rights restrict the scope, its newest transcripts come first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import Connection, sql
from psycopg.rows import DictRow

from resources.search.cost import TIMEOUT_MS, Estimate, bound_statements, estimate
from resources.search.documents import documents_of, newest_documents, newest_ids
from resources.search.retriever import Document, Hit, Order, Retrieved
from resources.search.scope import Scope
from ytcaption.domain.search_query import SearchQuery, Term

ENOUGH_MATCHES = 400
"""Matches to rank: with as many among the newest, older transcripts are left out."""

MIN_MATCHES = 100
"""With fewer matches among the newest transcripts, the others are searched as well."""

MAX_SEGMENTS = 1_000
"""Segments that one statement fetches."""

FEW_MATCHES = 3 * MAX_SEGMENTS
"""Expected matches up to which one statement may well fetch all."""


@dataclass(frozen=True)
class LanguageQuery:
    """The search in one language, as a Postgres tsquery.

    Attributes:
        language: Whisper's code; None if unknown.
    """

    language: str | None
    tsquery: str


class KeywordRetriever:
    """Finds words, stemmed in each transcript's own language and without accents."""

    def retrieve(
        self, connection: Connection[DictRow], query: SearchQuery, scope: Scope, order: Order
    ) -> Retrieved:
        """Return unordered hits; the time limit applies to each statement from here on."""
        bound_statements(connection, TIMEOUT_MS, {"work_mem": "32MB"})
        queries, has_only_stop_words = _language_queries(connection, query, scope.language)
        if not queries:
            return Retrieved((), {}, has_only_stop_words=has_only_stop_words)
        search = _KeywordSearch(connection, queries, scope, order)
        is_complete = search.run()
        return search.retrieved(is_complete, has_only_stop_words)


class _KeywordSearch:
    """The state of one search."""

    def __init__(
        self,
        connection: Connection[DictRow],
        queries: Sequence[LanguageQuery],
        scope: Scope,
        order: Order,
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._order: Order = order
        self._values = scope.values | {
            "languages": [each.language or "" for each in queries],
            "tsqueries": [each.tsquery for each in queries],
            "tsquery": " | ".join(
                f"({text})" for text in dict.fromkeys(each.tsquery for each in queries)
            ),
        }
        self._hits: dict[tuple[str, int], tuple[Hit, bool]] = {}
        self._documents: dict[str, Document] = {}

    def run(self) -> bool:
        """Search until there are enough matches or all are found; return whether all were found."""
        expected = estimate(self._connection, self._values["tsquery"])
        everywhere: list[DictRow] = []
        if self._scope.is_open and expected.matches <= FEW_MATCHES:
            everywhere = self._matches(_EVERYWHERE)
            if len(everywhere) < MAX_SEGMENTS:
                return self._add(everywhere)
        is_all, are_others = self._search_newest(expected)
        if not are_others:
            return is_all
        if len(self._hits) >= MIN_MATCHES:
            return False
        if self._scope.is_open:
            return self._add(everywhere or self._matches(_EVERYWHERE))
        return self._search_scope()

    def _search_newest(self, expected: Estimate) -> tuple[bool, bool]:
        """Return whether all their matches were fetched, and whether older transcripts exist."""
        size = expected.documents_holding(ENOUGH_MATCHES)
        ids = self._newest(size)
        if not ids:
            return True, False
        where = _READ_BATCH if expected.is_reading_faster(len(ids)) else _IN_BATCH
        return self._add(self._matches(where, ids)), len(ids) == size

    def _search_scope(self) -> bool:
        try:
            with self._connection.transaction():
                return self._add(self._matches(_EVERYWHERE + _IN_SCOPE + self._scope.where + ")"))
        except psycopg.errors.QueryCanceled:
            return False

    def _newest(self, limit: int) -> list[str]:
        """Return the first transcripts.

        If all are in scope, nearly all are searchable; which are not is checked on matches only.
        """
        if self._scope.is_open:
            return newest_ids(self._connection, limit, self._order)
        documents = newest_documents(self._connection, self._scope, limit, self._order)
        self._documents |= documents
        return list(documents)

    def _matches(self, where: LiteralString, among: Sequence[str] = ()) -> list[DictRow]:
        """Return matching segments with their scores, at most `MAX_SEGMENTS`."""
        # Planned again for these words: their frequency decides which index is read.
        return self._connection.execute(
            _HITS.format(where=sql.SQL(where)),
            self._values | {"among": list(among), "limit": MAX_SEGMENTS},
            prepare=False,
        ).fetchall()

    def _add(self, rows: list[DictRow]) -> bool:
        """Add the rows; return whether they are all that the statement could match."""
        unknown = {row["transcription_id"] for row in rows} - self._documents.keys()
        self._documents |= documents_of(self._connection, self._scope, unknown)
        for row in rows:
            id, index = row["transcription_id"], row["index"]
            if id in self._documents:
                self._hits[id, index] = (Hit(id, index, row["score"]), row["is_own"])
        return len(rows) < MAX_SEGMENTS

    def retrieved(self, is_complete: bool, has_only_stop_words: bool) -> Retrieved:
        """Return the hits without those that match only by their neighbour's words."""
        hits = tuple(
            hit
            for (id, index), (hit, is_own) in self._hits.items()
            if is_own or (id, index + 1) not in self._hits
        )
        known = {hit.transcription_id for hit in hits}
        documents = {id: self._documents[id] for id in known}
        return Retrieved(hits, documents, is_complete, has_only_stop_words)


def _language_queries(
    connection: Connection[DictRow], query: SearchQuery, language: str | None
) -> tuple[list[LanguageQuery], bool]:
    """Return the search in each language of transcripts, and whether one has only stop words."""
    values: dict[str, Any] = {"language": language}

    def term_sql(term: Term) -> sql.Composable:
        name = f"term{len(values)}"
        values.update({name: term.text, f"{name}_is_prefix": term.is_prefix})
        return sql.SQL("ytcaption.search_term(code, {}::text, {}::boolean)").format(
            sql.Placeholder(name), sql.Placeholder(f"{name}_is_prefix")
        )

    groups = [
        sql.SQL("({})").format(sql.SQL(" || ").join(term_sql(term) for term in group))
        for group in query.groups
    ]
    wanted = sql.SQL(" && ").join(groups)
    exclusions = [sql.SQL("&& !! {}").format(term_sql(term)) for term in query.excluded]
    statement = (_ONE_LANGUAGE if language else _LANGUAGES) + sql.SQL(
        "select code, numnode({wanted}) = 0 as has_only_stop_words, "
        "({wanted} {exclusions})::text as tsquery from language"
    ).format(wanted=wanted, exclusions=sql.SQL(" ").join(exclusions))
    rows = connection.execute(statement, values).fetchall()
    queries = [
        LanguageQuery(row["code"], row["tsquery"]) for row in rows if not row["has_only_stop_words"]
    ]
    return queries, len(queries) < len(rows)


_ONE_LANGUAGE = sql.SQL("with language (code) as (values (%(language)s::text)) ")

# A loose index scan: from one language to the next without reading the rows between.
_LANGUAGES = sql.SQL("""
with recursive spoken (code) as (
    (select min(language) from ytcaption.transcription where status = 'completed')
    union all
    select (
        select min(language) from ytcaption.transcription
        where status = 'completed' and language > spoken.code
    ) from spoken where spoken.code is not null
), language (code) as (
    select code from spoken where code is not null union select 'en'
    union select null where exists (
        select from ytcaption.transcription where status = 'completed' and language is null
    )
)
""")

_HITS = sql.SQL("""
with query as materialized (
    select language, tsquery::tsquery
    from unnest(%(languages)s::text[], %(tsqueries)s::text[]) as queries (language, tsquery)
), hit as materialized (
    select transcription_id, index, coalesce(language, '') as language, tsv
    from ytcaption.segment
    where {where}
    limit %(limit)s
)
select transcription_id, index, ts_rank_cd(tsv, tsquery, 1) as score,
    ts_filter(tsv, '{{a}}') @@ tsquery as is_own
from hit join query using (language)
where tsv @@ tsquery
""")
_EVERYWHERE: LiteralString = "tsv @@ %(tsquery)s::tsquery"
_IN_BATCH: LiteralString = _EVERYWHERE + " and transcription_id = any(%(among)s)"
# `coalesce` keeps Postgres from using the index of words.
_READ_BATCH: LiteralString = (
    "coalesce(tsv) @@ %(tsquery)s::tsquery and transcription_id = any(%(among)s)"
)
_IN_SCOPE: LiteralString = """
    and exists (
        select from ytcaption.transcription join ytcaption.media on media.id = media_id
        where transcription.id = segment.transcription_id and
"""
