"""Requests with an Idempotency-Key: their answers are stored for 24 hours, in the transaction of
the work.

The key's row is inserted first in the transaction: of two simultaneous requests the second waits
for the first, then returns its answer. A stored answer names requests by id and contains nothing of
their media: after an erasure, the request is deleted, and its part of the answer is a refusal.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.postgres.jsonb import clean
from resources.transcriptions.rows import Refusal, Submission, transcription_row
from resources.transcriptions.state import erased_error
from ytcaption.domain.errors import IdempotencyMismatch
from ytcaption.domain.request import TranscriptionStatus

Answer = Submission | Refusal


@dataclass(frozen=True)
class IdempotencyKey:
    """An Idempotency-Key and the request it belongs to.

    Attributes:
        key: chosen by the client, 1 to 255 characters.
        body_sha256: hex SHA-256 of the request's path and body.
    """

    key: str
    body_sha256: str


def stored_answer(
    connection: Connection[DictRow], owner: str, key: IdempotencyKey
) -> list[Answer] | None:
    """Return the stored answer of the key; None if it is new.

    Raises:
        IdempotencyMismatch: the key was used with another body.
        TranscriptionErased: the transcription it requested was erased since.
    """
    row = connection.execute(
        "select body_sha256, answer from ytcaption.idempotency "
        "where owner = %s and key = %s and created_at > now() - interval '24 hours'",
        (owner, key.key),
    ).fetchone()
    if row is None:
        return None
    if row["body_sha256"] != key.body_sha256:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used with another body within the last 24 hours. Send the "
            "same body, or use a new key."
        )
    return _decode(connection, row["answer"])


def claim_key(
    connection: Connection[DictRow], owner: str, key: IdempotencyKey
) -> list[Answer] | None:
    """Reserve the key for this transaction and return None, or return its stored answer.

    Raises:
        as `stored_answer`.
    """
    claimed = connection.execute(
        """
        insert into ytcaption.idempotency as known (owner, key, body_sha256, answer)
        values (%s, %s, %s, '[]')
        on conflict (owner, key) do update
        set body_sha256 = excluded.body_sha256, answer = '[]', created_at = now()
        where known.created_at <= now() - interval '24 hours'
        """,
        (owner, key.key, key.body_sha256),
    )
    return None if claimed.rowcount else stored_answer(connection, owner, key)


def store_answer(
    connection: Connection[DictRow], owner: str, key: IdempotencyKey, answers: Sequence[Answer]
) -> None:
    """Store the answer of the reserved key, and delete some answers that are too old."""
    connection.execute(
        """
        with old as (
            select owner, key from ytcaption.idempotency
            where created_at <= now() - interval '24 hours' limit 100 for update skip locked
        ), removed as (
            delete from ytcaption.idempotency using old
            where idempotency.owner = old.owner and idempotency.key = old.key
        )
        update ytcaption.idempotency set answer = %s where owner = %s and key = %s
        """,
        (Jsonb([_encode(answer) for answer in answers]), owner, key.key),
    )


def _encode(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Refusal):
        return {"refusal": clean(asdict(answer))}
    row = answer.transcription
    return {
        "request_id": str(answer.request_id),
        "status": row.status.value,
        "created_at": row.created_at.isoformat(),
    }


def _decode(connection: Connection[DictRow], items: list[dict[str, Any]]) -> list[Answer]:
    ids = [item["request_id"] for item in items if "request_id" in item]
    rows = connection.execute(
        "select request.id as request_id, transcription.* from ytcaption.request "
        "join ytcaption.transcription on transcription.id = request.transcription_id "
        "where request.id = any(%s::uuid[])",
        (ids,),
    ).fetchall()
    rows_by_id = {str(row["request_id"]): row for row in rows}
    answers = [_decode_one(item, rows_by_id) for item in items]
    if len(answers) == 1 and ids and not rows:
        raise erased_error()
    return answers


def _decode_one(item: dict[str, Any], rows: dict[str, DictRow]) -> Answer:
    if "refusal" in item:
        return Refusal(**item["refusal"])
    row = rows.get(item["request_id"])
    if row is None:
        return Refusal.of(erased_error())
    as_answered = replace(
        transcription_row(row),
        status=TranscriptionStatus(item["status"]),
        created_at=datetime.fromisoformat(item["created_at"]),
    )
    return Submission(UUID(item["request_id"]), as_answered, False, False, repeated=True)
