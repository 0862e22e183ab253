"""Search by meaning: passages near the query, by vectors in pgvector.

In a small library, and if a filter or the caller's rights leave few passages, all of them are
compared. Otherwise the vector index is searched, the nearest first, until enough are in scope. It
may miss passages unlike any others: see docs/explanation/search.md.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import Connection, sql
from psycopg.rows import DictRow

from resources.embeddings.embedder import EmbeddingModel
from resources.embeddings.store import NO_PGVECTOR, has_vectors, vector_literal
from resources.search.cost import TIMEOUT_MS, bound_statements, library_size
from resources.search.documents import documents_of, newest_documents
from resources.search.retriever import Document, Hit, Order, Retrieved
from resources.search.scope import Scope
from ytcaption.domain.errors import SemanticUnavailable
from ytcaption.domain.search_query import SearchQuery

if TYPE_CHECKING:
    import numpy as np

MAX_PASSAGES = 100
"""Passages of a search: more distant ones have another meaning."""

MIN_COMPARED, MAX_COMPARED = 20_000, 200_000
"""Bounds of the number of passages up to which all in scope are compared."""

COMPARISON_FACTOR = 6_000
"""Comparing takes as long as searching the index if the square of the passages in scope is this
many times the library's. Measured by `benchmarks.search`."""

MAX_DOCUMENTS = 4_000
"""Transcripts whose passages are compared."""

EF_SEARCH = 1_000
"""Vectors per index search, pgvector's maximum; it is repeated while too few are in scope. With a
tenth of it, half of the isolated passages are missed."""

MAX_SCAN_TUPLES = 20_000
"""Vectors that it reads in all."""

NOT_EMBEDDED = (
    "No transcript has been embedded by this model yet. Run `ytcaption embed`; mode=keyword works."
)
EXCLUSIONS_IGNORED = "Excluded words are ignored in this mode."


@dataclass(frozen=True)
class SemanticRetriever:
    """Finds passages by meaning.

    Attributes:
        vector: of the query, shape (dimensions,), of length 1.
    """

    model: EmbeddingModel
    vector: "np.ndarray"

    def retrieve(
        self, connection: Connection[DictRow], query: SearchQuery, scope: Scope, order: Order
    ) -> Retrieved:
        """Return the nearest passages; of overlapping ones, the nearer.

        Raises:
            SemanticUnavailable: nothing is embedded, or the database has no pgvector.
        """
        bound_statements(connection, TIMEOUT_MS, _SETTINGS)
        model_id = self._model_id(connection)
        values = scope.values | {"vector": vector_literal(self.vector), "limit": MAX_PASSAGES}
        numbers = {
            "model_id": sql.Literal(model_id),
            "dimensions": sql.Literal(self.model.dimensions),
        }
        compared = _compare_all(connection, scope, _COMPARE_ALL.format(**numbers), values)
        if compared is None:
            # Planned again for this model: the index has only its rows.
            nearest = _NEAREST.format(**numbers, scope=sql.SQL(scope.where))
            rows = connection.execute(nearest, values, prepare=False).fetchall()
            documents = documents_of(connection, scope, {row["transcription_id"] for row in rows})
        else:
            rows, documents = compared
        hits = tuple(_without_overlaps(rows))
        ids = {hit.transcription_id for hit in hits}
        return Retrieved(
            hits, {id: documents[id] for id in ids}, notes=_notes(query), prefers_many=False
        )

    def _model_id(self, connection: Connection[DictRow]) -> int:
        if not has_vectors(connection):
            raise SemanticUnavailable(NO_PGVECTOR)
        row = connection.execute(
            "select id from ytcaption.embedding_model where name = %s and revision = %s",
            (self.model.name, self.model.revision),
        ).fetchone()
        if row is None:
            raise SemanticUnavailable(NOT_EMBEDDED)
        return row["id"]


def _compare_all(
    connection: Connection[DictRow], scope: Scope, statement: sql.Composed, values: dict[str, Any]
) -> tuple[list[DictRow], dict[str, Document]] | None:
    """Return the nearest of all passages in scope, and their transcripts; None: too many."""
    size = library_size(connection)
    max_passages = math.sqrt(COMPARISON_FACTOR * size.passages)
    max_passages = int(min(max(max_passages, MIN_COMPARED), MAX_COMPARED))
    # The number of passages per transcript is only known later; assume the average.
    documents = min(int(max_passages * size.documents / size.passages) + 1, MAX_DOCUMENTS)
    if scope.is_open and size.documents > documents:
        return None
    documents_in_scope = newest_documents(connection, scope, documents + 1)
    if len(documents_in_scope) > documents:
        return None
    rows = connection.execute(
        statement,
        values | {"ids": list(documents_in_scope), "max_passages": max_passages + 1},
        prepare=False,
    ).fetchall()
    return None if rows and rows[0]["compared_count"] > max_passages else (rows, documents_in_scope)


def _without_overlaps(rows: Sequence[DictRow]) -> Iterable[Hit]:
    """Yield the rows as hits, the nearest first, without those that overlap a nearer one."""
    ranges: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["distance"]):
        id, first, last = row["transcription_id"], row["first_index"], row["last_index"]
        if all(last < begin or first > end for begin, end in ranges[id]):
            ranges[id].append((first, last))
            yield Hit(id, first, max(1 - row["distance"], 1e-6), last)


def _notes(query: SearchQuery) -> tuple[str, ...]:
    return (EXCLUSIONS_IGNORED,) if query.excluded else ()


# Nested loops and no sorting: rows come in the order of the index, and each is looked up directly.
_SETTINGS = {
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.ef_search": str(EF_SEARCH),
    "hnsw.max_scan_tuples": str(MAX_SCAN_TUPLES),
}

_NEAREST = sql.SQL("""
select transcription_id, first_index, last_index,
    vector::halfvec({dimensions}) <=> %(vector)s::halfvec({dimensions}) as distance
from ytcaption.embedding
where model_id = {model_id} and exists (
    select from ytcaption.transcription join ytcaption.media on media.id = media_id
    where transcription.id = embedding.transcription_id and {scope}
)
order by vector::halfvec({dimensions}) <=> %(vector)s::halfvec({dimensions})
limit %(limit)s
""")

_COMPARE_ALL = sql.SQL("""
with compared as materialized (
    select transcription_id, first_index, last_index,
        vector::halfvec({dimensions}) <=> %(vector)s::halfvec({dimensions}) as distance
    from ytcaption.embedding
    where transcription_id = any(%(ids)s) and model_id = {model_id}
    limit %(max_passages)s
)
select *, (select count(*) from compared) as compared_count
from compared order by distance limit %(limit)s
""")
