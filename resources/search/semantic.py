"""Passages that mean something near to what is looked for, by the vectors that pgvector keeps.

In a small library, and where a filter or the caller's rights leave few passages, all of them are
compared. Else the index of vectors is gone through, the nearest first, until there are enough that
are in scope. It may miss what is like nothing else: see docs/search.md.
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

MOST_PASSAGES = 100
"""Of a search: what is further off says something else."""

LEAST_COMPARED, MOST_COMPARED = 20_000, 200_000
"""Passages in scope, up to which all are compared: in a small library, and in the largest."""

BALANCE = 6_000
"""Comparing takes as long as going through the index where the square of the passages in scope is
so many times the library's. Measured by `benchmarks.search`."""

MOST_DOCUMENTS = 4_000
"""Transcripts that are listed, so that theirs are compared."""

EF_SEARCH = 1_000
"""Vectors that one look into the index gives, and pgvector's most; it looks again while too few are
in scope. With a tenth of it half of what is like nothing else is missed."""

MOST_TUPLES = 20_000
"""Vectors that it looks at in all."""

NOT_EMBEDDED = (
    "No transcript has been embedded by this model yet. Run `ytcaption embed`; mode=keyword works."
)
WORDS_STAY = "In this mode a word that is not wanted is not looked at."


@dataclass(frozen=True)
class SemanticRetriever:
    """By meaning.

    Attributes:
        vector: of what is looked for, shape (dimensions,), of length 1.
    """

    model: EmbeddingModel
    vector: "np.ndarray"

    def retrieve(
        self, connection: Connection[DictRow], query: SearchQuery, scope: Scope, order: Order
    ) -> Retrieved:
        """The nearest passages; of two that overlap, the nearer one.

        Raises:
            SemanticUnavailable: nothing is embedded, or the database has no pgvector.
        """
        bound_statements(connection, TIMEOUT_MS, _SETTINGS)
        model_id = self._model_id(connection)
        values = scope.values | {"vector": vector_literal(self.vector), "most": MOST_PASSAGES}
        numbers = {
            "model_id": sql.Literal(model_id),
            "dimensions": sql.Literal(self.model.dimensions),
        }
        compared = _compared(connection, scope, _AMONG.format(**numbers), values)
        if compared is None:
            # Planned for this very model: the index is of its rows only.
            nearest = _NEAREST.format(**numbers, scope=sql.SQL(scope.where))
            rows = connection.execute(nearest, values, prepare=False).fetchall()
            documents = documents_of(connection, scope, {row["transcription_id"] for row in rows})
        else:
            rows, documents = compared
        hits = tuple(_apart(rows))
        found = {hit.transcription_id for hit in hits}
        return Retrieved(
            hits, {id: documents[id] for id in found}, notes=_notes(query), is_of_many=False
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


def _compared(
    connection: Connection[DictRow], scope: Scope, among: sql.Composed, values: dict[str, Any]
) -> tuple[list[DictRow], dict[str, Document]] | None:
    """The nearest of all passages in scope, and what is in scope; None where they are many."""
    size = library_size(connection)
    few = math.sqrt(BALANCE * size.passages)
    few = int(min(max(few, LEAST_COMPARED), MOST_COMPARED))
    # How many passages a transcript has is known once they are read: here, as many as the others.
    documents = min(int(few * size.documents / size.passages) + 1, MOST_DOCUMENTS)
    if scope.is_open and size.documents > documents:
        return None
    found = newest_documents(connection, scope, documents + 1)
    if len(found) > documents:
        return None
    rows = connection.execute(
        among, values | {"among": list(found), "few": few + 1}, prepare=False
    ).fetchall()
    return None if rows and rows[0]["compared"] > few else (rows, found)


def _apart(rows: Sequence[DictRow]) -> Iterable[Hit]:
    taken: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["distance"]):
        id, first, last = row["transcription_id"], row["first_index"], row["last_index"]
        if all(last < begin or first > end for begin, end in taken[id]):
            taken[id].append((first, last))
            yield Hit(id, first, max(1 - row["distance"], 1e-6), last)


def _notes(query: SearchQuery) -> tuple[str, ...]:
    return (WORDS_STAY,) if query.excluded else ()


# Nested loops and no sorting: rows come in the index's order, and each is looked up in its place.
_SETTINGS = {
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.ef_search": str(EF_SEARCH),
    "hnsw.max_scan_tuples": str(MOST_TUPLES),
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
limit %(most)s
""")

_AMONG = sql.SQL("""
with among as materialized (
    select transcription_id, first_index, last_index,
        vector::halfvec({dimensions}) <=> %(vector)s::halfvec({dimensions}) as distance
    from ytcaption.embedding
    where transcription_id = any(%(among)s) and model_id = {model_id}
    limit %(few)s
)
select *, (select count(*) from among) as compared from among order by distance limit %(most)s
""")
