"""Segments that hold the words somebody looks for, by the index that Postgres keeps of them.

What is common is not fetched whole. Where everything is in scope and there is little of it, all is
looked for at once; else in the newest transcripts, in as many as are likely to hold enough to rank.
Where a filter or the caller's rights leave a part, that part's newest transcripts come first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import Connection, sql
from psycopg.rows import DictRow

from resources.search.cost import TIMEOUT_MS, Commonness, bound_statements, commonness
from resources.search.documents import documents_of, newest_documents, newest_ids
from resources.search.retriever import Document, Hit, Order, Retrieved
from resources.search.scope import Scope
from ytcaption.domain.search_query import SearchQuery, Term

ENOUGH = 400
"""Segments to rank: with as many found among the newest, the older ones are left out."""

SOME = 100
"""Segments that will do: with fewer among the newest, others are looked into as well."""

MOST_SEGMENTS = 1_000
"""Segments that one look fetches."""

LITTLE = 3 * MOST_SEGMENTS
"""Expected segments, up to which it may well be no more than one look fetches."""


@dataclass(frozen=True)
class Question:
    """The search in one language, as Postgres' tsquery.

    Attributes:
        language: Whisper's code; None where it is not known.
    """

    language: str | None
    tsquery: str


class KeywordRetriever:
    """By words: stemmed in each transcript's own language, and without accents."""

    def retrieve(
        self, connection: Connection[DictRow], query: SearchQuery, scope: Scope, order: Order
    ) -> Retrieved:
        """Hits in no order; each statement of the transaction has its time from here on."""
        bound_statements(connection, TIMEOUT_MS, {"work_mem": "32MB"})
        questions, is_dropped = _questions(connection, query, scope.language)
        if not questions:
            return Retrieved((), {}, is_dropped=is_dropped)
        search = _KeywordSearch(connection, questions, scope, order)
        is_complete = search.run()
        return search.retrieved(is_complete, is_dropped)


class _KeywordSearch:
    """One search, as it goes on."""

    def __init__(
        self,
        connection: Connection[DictRow],
        questions: Sequence[Question],
        scope: Scope,
        order: Order,
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._order: Order = order
        self._values = scope.values | {
            "languages": [question.language or "" for question in questions],
            "questions": [question.tsquery for question in questions],
            "question": " | ".join(
                f"({text})" for text in dict.fromkeys(each.tsquery for each in questions)
            ),
        }
        self._hits: dict[tuple[str, int], tuple[Hit, bool]] = {}
        self._documents: dict[str, Document] = {}

    def run(self) -> bool:
        """Looks until there is enough, or all is seen: whether it is all."""
        common = commonness(self._connection, self._values["question"])
        everywhere: list[DictRow] = []
        if self._scope.is_open and common.found <= LITTLE:
            everywhere = self._found(_EVERYWHERE)
            if len(everywhere) < MOST_SEGMENTS:
                return self._add(everywhere)
        is_all, are_others = self._look_into_newest(common)
        if not are_others:
            return is_all
        if len(self._hits) >= SOME:
            return False
        if self._scope.is_open:
            return self._add(everywhere or self._found(_EVERYWHERE))
        return self._look_in_scope()

    def _look_into_newest(self, common: Commonness) -> tuple[bool, bool]:
        """Whether all that they hold was fetched, and whether there are other transcripts."""
        size = common.documents_with(ENOUGH)
        ids = self._newest(size)
        if not ids:
            return True, False
        where = _READ_BATCH if common.is_read(len(ids)) else _IN_BATCH
        return self._add(self._found(where, ids)), len(ids) == size

    def _look_in_scope(self) -> bool:
        try:
            with self._connection.transaction():
                return self._add(self._found(_EVERYWHERE + _IN_SCOPE + self._scope.where + ")"))
        except psycopg.errors.QueryCanceled:
            return False

    def _newest(self, most: int) -> list[str]:
        """Those that come first. Where all are in scope, nearly all are: which are not is seen
        where something is found."""
        if self._scope.is_open:
            return newest_ids(self._connection, most, self._order)
        found = newest_documents(self._connection, self._scope, most, self._order)
        self._documents |= found
        return list(found)

    def _found(self, where: LiteralString, among: Sequence[str] = ()) -> list[DictRow]:
        """Segments with their scores, `MOST_SEGMENTS` at most."""
        # Planned for these very words: how common they are decides which index is read.
        return self._connection.execute(
            _HITS.format(where=sql.SQL(where)),
            self._values | {"among": list(among), "most": MOST_SEGMENTS},
            prepare=False,
        ).fetchall()

    def _add(self, rows: list[DictRow]) -> bool:
        """Whether they are all that one look could find."""
        unknown = {row["transcription_id"] for row in rows} - self._documents.keys()
        self._documents |= documents_of(self._connection, self._scope, unknown)
        for row in rows:
            id, index = row["transcription_id"], row["index"]
            if id in self._documents:
                self._hits[id, index] = (Hit(id, index, row["score"]), row["is_own"])
        return len(rows) < MOST_SEGMENTS

    def retrieved(self, is_complete: bool, is_dropped: bool) -> Retrieved:
        """Without what is found by its neighbour's words alone, which is found there."""
        hits = tuple(
            hit
            for (id, index), (hit, is_own) in self._hits.items()
            if is_own or (id, index + 1) not in self._hits
        )
        known = {hit.transcription_id for hit in hits}
        documents = {id: self._documents[id] for id in known}
        return Retrieved(hits, documents, is_complete, is_dropped)


def _questions(
    connection: Connection[DictRow], query: SearchQuery, language: str | None
) -> tuple[list[Question], bool]:
    """The search in each language that transcripts are written in, and whether there are languages
    in which it has no word to look for."""
    values: dict[str, Any] = {"language": language}

    def asked(term: Term) -> sql.Composable:
        name = f"term{len(values)}"
        values.update({name: term.text, f"{name}_is_prefix": term.is_prefix})
        return sql.SQL("ytcaption.search_term(code, {}::text, {}::boolean)").format(
            sql.Placeholder(name), sql.Placeholder(f"{name}_is_prefix")
        )

    groups = [
        sql.SQL("({})").format(sql.SQL(" || ").join(asked(term) for term in group))
        for group in query.groups
    ]
    wanted = sql.SQL(" && ").join(groups)
    unwanted = [sql.SQL("&& !! {}").format(asked(term)) for term in query.excluded]
    statement = (_ONE_LANGUAGE if language else _LANGUAGES) + sql.SQL(
        "select code, numnode({wanted}) = 0 as is_dropped, ({wanted} {unwanted})::text as question "
        "from language"
    ).format(wanted=wanted, unwanted=sql.SQL(" ").join(unwanted))
    rows = connection.execute(statement, values).fetchall()
    questions = [Question(row["code"], row["question"]) for row in rows if not row["is_dropped"]]
    return questions, len(questions) < len(rows)


_ONE_LANGUAGE = sql.SQL("with language (code) as (values (%(language)s::text)) ")

# From one language to the next by the index, without reading all between.
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
with question as materialized (
    select language, tsquery::tsquery
    from unnest(%(languages)s::text[], %(questions)s::text[]) as asked (language, tsquery)
), hit as materialized (
    select transcription_id, index, coalesce(language, '') as language, tsv
    from ytcaption.segment
    where {where}
    limit %(most)s
)
select transcription_id, index, ts_rank_cd(tsv, tsquery, 1) as score,
    ts_filter(tsv, '{{a}}') @@ tsquery as is_own
from hit join question using (language)
where tsv @@ tsquery
""")
_EVERYWHERE: LiteralString = "tsv @@ %(question)s::tsquery"
_IN_BATCH: LiteralString = _EVERYWHERE + " and transcription_id = any(%(among)s)"
# Past the index of words.
_READ_BATCH: LiteralString = (
    "coalesce(tsv) @@ %(question)s::tsquery and transcription_id = any(%(among)s)"
)
_IN_SCOPE: LiteralString = """
    and exists (
        select from ytcaption.transcription join ytcaption.media on media.id = media_id
        where transcription.id = segment.transcription_id and
"""
