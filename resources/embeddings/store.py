"""Embeddings of passages in Postgres: written, replaced, forgotten.

The tables are there where pgvector is: `migrations/0014_embedding.sql`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow

from resources.embeddings.embedder import EmbeddingModel
from resources.postgres.connection import Postgres
from resources.postgres.predicates import is_erased
from ytcaption.domain.errors import SemanticUnavailable
from ytcaption.domain.transcripts.passages import Passage, Said

if TYPE_CHECKING:
    import numpy as np

NO_PGVECTOR = (
    "This database has no pgvector 0.8 or newer. Have it installed on the server and made by "
    "somebody who may (`create extension vector`), run `ytcaption migrate`, then `ytcaption embed`."
)

_WAITING = f"""
select id from ytcaption.transcription
where status = 'completed' and document_sha256 is not null and not {is_erased("id")}
    and completed_at <= now() - make_interval(secs => %(settled_s)s)
    and id > %(after)s and not exists (
        select from ytcaption.embedding_done as done
        where done.transcription_id = transcription.id and model_id = %(model_id)s
            and done.document_sha256 = transcription.document_sha256
            and (done.failed_at is null or not %(again)s)
    )
order by id limit %(limit)s
"""  # noqa: S608 - of literals only

_COUNTS: LiteralString = f"""
select count(*) filter (where done is null and not {is_erased("transcription.id")}) as waiting,
    count(done.failed_at) as failed
from ytcaption.transcription
left join ytcaption.embedding_done as done
    on done.transcription_id = transcription.id
    and done.document_sha256 = transcription.document_sha256
    and model_id = (
        select model_id from ytcaption.embedding_done join ytcaption.embedding_model
            on embedding_model.id = model_id
        where name = %(name)s order by done_at desc limit 1
    )
where status = 'completed' and transcription.document_sha256 is not null
    and completed_at <= now() - make_interval(secs => %(settled_s)s)
"""  # noqa: S608 - of literals only


@dataclass(frozen=True)
class EmbeddingCounts:
    """Completed transcriptions, as far as search by meaning goes.

    Attributes:
        waiting: not embedded yet by the model, as they are.
        failed: that could not be; they are tried again by `ytcaption embed` only.
    """

    waiting: int
    failed: int


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

    def waiting(
        self,
        model_id: int,
        after: str = "",
        limit: int = 100,
        *,
        again: bool = False,
        settled_s: float = 0.0,
    ) -> list[str]:
        """Completed transcriptions that this model has not embedded as they are, by id.

        Args:
            again: those that it could not embed, too.
            settled_s: for how long they must have been completed.
        """
        values = {"model_id": model_id, "after": after, "limit": limit, "again": again}
        rows = self._postgres.rows(_WAITING, {**values, "settled_s": settled_s})
        return [row["id"] for row in rows]

    def counts(self, name: str, settled_s: float = 0.0) -> EmbeddingCounts | None:
        """By the model of this name, as it was when it was last used: nothing is loaded. None where
        the database has no pgvector.

        Args:
            settled_s: for how long they must have been completed.
        """
        with self._postgres.transaction() as connection:
            if not has_vectors(connection):
                return None
            row = connection.execute(_COUNTS, {"name": name, "settled_s": settled_s}).fetchone()
        assert row is not None
        return EmbeddingCounts(**row)

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
            if not _note_done(connection, id, model_id, text.document_sha256, has_failed=False):
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

    def record_failed(self, id: str, model_id: int) -> None:
        """It cannot be embedded, and waits no more until its text or the model is another; what
        there was of it is forgotten."""
        with self._postgres.transaction() as connection:
            sha256 = _document_sha256(connection, id)
            if sha256 is not None:
                _note_done(connection, id, model_id, sha256, has_failed=True)


def _note_done(
    connection: Connection[DictRow], id: str, model_id: int, sha256: str, *, has_failed: bool
) -> bool:
    """In place of what there was; False where another transaction has done so just now."""
    forget_embeddings(connection, id)
    try:
        with connection.transaction():
            connection.execute(
                "insert into ytcaption.embedding_done "
                "(transcription_id, model_id, document_sha256, failed_at) "
                "values (%s, %s, %s, case when %s then now() end)",
                (id, model_id, sha256, has_failed),
            )
    except psycopg.errors.UniqueViolation:
        return False
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
