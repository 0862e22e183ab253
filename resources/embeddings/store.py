"""Stores the embeddings of passages in Postgres.

The tables exist if pgvector is installed: `migrations/0014_embedding.sql`.
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
    "This database has no pgvector 0.8 or newer. Install it on the server, have a superuser run "
    "`create extension vector`, then run `ytcaption migrate` and `ytcaption embed`."
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
    """Numbers of completed transcriptions that are not embedded.

    Attributes:
        waiting: not embedded by the model yet in their current form.
        failed: could not be embedded; only `ytcaption embed` tries them again.
    """

    waiting: int
    failed: int


@dataclass(frozen=True)
class TranscriptText:
    """The text of a transcript and the document it belongs to."""

    document_sha256: str
    segments: tuple[Said, ...]


def forget_embeddings(connection: Connection[DictRow], id: str) -> None:
    """Delete the embeddings of a transcription whose text was erased or has changed."""
    connection.execute("select ytcaption.forget_embeddings(%s)", (id,))


def has_vectors(connection: Connection[DictRow]) -> bool:
    """Return whether this database has tables for embeddings."""
    row = connection.execute(
        "select to_regclass('ytcaption.embedding') is not null as has"
    ).fetchone()
    return row is not None and row["has"]


class EmbeddingStore:
    """Reads and writes embeddings; the role of runs is sufficient."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def model_id(self, model: EmbeddingModel) -> int:
        """Return the database id of a model; create it, with an index of its own, if it is new.

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
        """Return the ids of completed transcriptions not embedded in their current form, in order.

        Args:
            again: include those that could not be embedded.
            settled_s: least seconds since their completion.
        """
        values = {"model_id": model_id, "after": after, "limit": limit, "again": again}
        rows = self._postgres.rows(_WAITING, {**values, "settled_s": settled_s})
        return [row["id"] for row in rows]

    def counts(self, name: str, settled_s: float = 0.0) -> EmbeddingCounts | None:
        """Count by the model of this name as last used, without loading it.

        None if the database has no pgvector.

        Args:
            settled_s: least seconds since their completion.
        """
        with self._postgres.transaction() as connection:
            if not has_vectors(connection):
                return None
            row = connection.execute(_COUNTS, {"name": name, "settled_s": settled_s}).fetchone()
        assert row is not None
        return EmbeddingCounts(**row)

    def text(self, id: str) -> TranscriptText | None:
        """Return the text; None if the transcription is not completed, or erased."""
        with self._postgres.transaction() as connection:
            sha256 = _document_sha256(connection, id)
            if sha256 is None:
                return None
            segments = connection.execute(
                "select index, start_s, end_s, text from ytcaption.segment "
                "where transcription_id = %s order by index",
                (id,),
            ).fetchall()
        return TranscriptText(sha256, tuple(Said(**segment) for segment in segments))

    def store(
        self,
        id: str,
        model_id: int,
        text: TranscriptText,
        passages: Sequence[Passage],
        vectors: "np.ndarray",
    ) -> bool:
        """Replace the transcription's embeddings.

        Return False, and store nothing, if its text has changed meanwhile or was erased.

        Args:
            vectors: shape (n_passages, dimensions).
        """
        with self._postgres.transaction() as connection:
            sha256 = _document_sha256(connection, id)
            if sha256 != text.document_sha256:
                return False
            if not _record_done(connection, id, model_id, text.document_sha256, has_failed=False):
                return True  # another transaction has just done the same
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
                    "vectors": [vector_literal(vector) for vector in vectors],
                },
            )
        return True

    def record_failed(self, id: str, model_id: int) -> None:
        """Record that a transcription cannot be embedded, and delete its embeddings.

        It is not tried again until its text or the model changes.
        """
        with self._postgres.transaction() as connection:
            sha256 = _document_sha256(connection, id)
            if sha256 is not None:
                _record_done(connection, id, model_id, sha256, has_failed=True)


def _record_done(
    connection: Connection[DictRow], id: str, model_id: int, sha256: str, *, has_failed: bool
) -> bool:
    """Replace the record and embeddings; return False if another transaction has just done so."""
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
    """Return the hash of a completed transcription's document, locked until the transaction
    ends."""
    row = connection.execute(
        "select document_sha256 from ytcaption.transcription "  # noqa: S608
        f"where id = %s and status = 'completed' and not {is_erased('id')} for share",
        (id,),
    ).fetchone()
    return None if row is None else row["document_sha256"]


def vector_literal(vector: "np.ndarray") -> str:
    """Return a vector in pgvector's text format."""
    return "[" + ",".join(f"{number:.6g}" for number in vector.tolist()) + "]"
