"""Embeddings of passages in Postgres: written, replaced, forgotten.

The tables are there where pgvector is: `migrations/0014_embedding.sql`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow

from resources.embedder import EmbeddingModel
from resources.postgres import Postgres
from resources.transcription_state import is_erased
from ytcaption_assets.domain.errors import SemanticUnavailable
from ytcaption_assets.domain.passages import Passage, Said

if TYPE_CHECKING:
    import numpy as np

NO_PGVECTOR = (
    "This database has no pgvector 0.8 or newer. Have it installed on the server and made by "
    "somebody who may (`create extension vector`), run `ytcaption migrate`, then `ytcaption embed`."
)

_WAITING = f"""
select id from ytcaption.transcription
where status = 'completed' and document_sha256 is not null and not {is_erased("id")}
    and id > %(after)s and not exists (
        select from ytcaption.embedding_done as done
        where done.transcription_id = transcription.id and model_id = %(model_id)s
            and done.document_sha256 = transcription.document_sha256
    )
order by id limit %(limit)s
"""  # noqa: S608 - of literals only


@dataclass(frozen=True)
class Text:
    """What was said, and which document says so."""

    document_sha256: str
    segments: tuple[Said, ...]


def forget_embeddings(connection: Connection[DictRow], id: str) -> None:
    """The transcription's text is gone, or another."""
    connection.execute("select ytcaption.forget_embeddings(%s)", (id,))


def has_vectors(connection: Connection[DictRow]) -> bool:
    """Whether this database keeps embeddings."""
    row = connection.execute(
        "select to_regclass('ytcaption.embedding') is not null as has"
    ).fetchone()
    return row is not None and row["has"]


class EmbeddingStore:
    """With the rights of runs, or all."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def model_id(self, model: EmbeddingModel) -> int:
        """The number of a model, which it is given with an index of its own.

        Raises:
            SemanticUnavailable: the database has no pgvector.
        """
        with self._postgres.transaction() as connection:
            if not has_vectors(connection):
                raise SemanticUnavailable(NO_PGVECTOR)
            row = connection.execute(
                "select ytcaption.embedding_model_of(%s, %s, %s) as id",
                (model.name, model.revision, model.dimensions),
            ).fetchone()
        assert row is not None
        return row["id"]

    def waiting(self, model_id: int, after: str = "", limit: int = 100) -> list[str]:
        """Completed transcriptions that this model has not embedded as they are, by id."""
        values = {"model_id": model_id, "after": after, "limit": limit}
        return [row["id"] for row in self._postgres.rows(_WAITING, values)]

    def text(self, id: str) -> Text | None:
        """None where it is not completed, or erased."""
        with self._postgres.transaction() as connection:
            sha256 = _document_sha256(connection, id)
            if sha256 is None:
                return None
            said = connection.execute(
                "select index, start_s, end_s, text from ytcaption.segment "
                "where transcription_id = %s order by index",
                (id,),
            ).fetchall()
        return Text(sha256, tuple(Said(**segment) for segment in said))

    def store(
        self,
        id: str,
        model_id: int,
        text: Text,
        passages: Sequence[Passage],
        vectors: "np.ndarray",
    ) -> bool:
        """Replace what there is of it; False, and nothing is stored, where its text is another by
        now, or erased.

        Args:
            vectors: shape (n_passages, dimensions).
        """
        with self._postgres.transaction() as connection:
            sha256 = _document_sha256(connection, id)
            if sha256 != text.document_sha256:
                return False
            forget_embeddings(connection, id)
            try:
                with connection.transaction():
                    connection.execute(
                        "insert into ytcaption.embedding_done "
                        "(transcription_id, model_id, document_sha256) values (%s, %s, %s)",
                        (id, model_id, text.document_sha256),
                    )
            except psycopg.errors.UniqueViolation:
                return True  # another has done the same just now
            connection.execute(
                """
                insert into ytcaption.embedding
                    (transcription_id, first_index, last_index, model_id, vector)
                select %(id)s, first_index, last_index, %(model_id)s, vector::halfvec
                from unnest(%(first)s::integer[], %(last)s::integer[], %(vectors)s::text[])
                    as made (first_index, last_index, vector)
                """,
                {
                    "id": id,
                    "model_id": model_id,
                    "first": [passage.first_index for passage in passages],
                    "last": [passage.last_index for passage in passages],
                    "vectors": [as_text(vector) for vector in vectors],
                },
            )
        return True


def _document_sha256(connection: Connection[DictRow], id: str) -> str | None:
    """Of a completed transcription's document, which stays as it is until the transaction ends."""
    row = connection.execute(
        "select document_sha256 from ytcaption.transcription "  # noqa: S608
        f"where id = %s and status = 'completed' and not {is_erased('id')} for share",
        (id,),
    ).fetchone()
    return None if row is None else row["document_sha256"]


def as_text(vector: "np.ndarray") -> str:
    """As pgvector reads it."""
    return "[" + ",".join(f"{number:.6g}" for number in vector.tolist()) + "]"
