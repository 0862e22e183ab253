"""Requests that carry an Idempotency-Key: their answers, kept with the work for 24 hours.

The key's row is inserted first in the transaction, so that of two at once the second waits for the
first and then gives its answer. An answer names requests by their ids and says nothing of media:
where one was erased, its request is gone, and so is what the answer said of it.
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
    """What makes a request a repetition.

    Attributes:
        key: of the client's making, 1 to 255 characters.
        body_sha256: hex, of what is asked for and where.
    """

    key: str
    body_sha256: str


def answered(
    connection: Connection[DictRow], owner: str, key: IdempotencyKey
) -> list[Answer] | None:
    """The answer that the key was given; None where it is new.

    Raises:
        IdempotencyMismatch: it came with another body.
        TranscriptionErased: what it asked for was erased since.
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
            "This Idempotency-Key came with another body within the last 24 hours. Send the same "
            "body, or take a new key."
        )
    return _read(connection, row["answer"])


def claim_key(
    connection: Connection[DictRow], owner: str, key: IdempotencyKey
) -> list[Answer] | None:
    """Take the key for this transaction, or give the answer that it was given.

    Raises:
        as `answered`.
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
    return None if claimed.rowcount else answered(connection, owner, key)


def keep_answer(
    connection: Connection[DictRow], owner: str, key: IdempotencyKey, answers: Sequence[Answer]
) -> None:
    """Write the answer beside the work; some that are too old go in passing."""
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
        (Jsonb([_written(answer) for answer in answers]), owner, key.key),
    )


def _written(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Refusal):
        return {"refusal": clean(asdict(answer))}
    row = answer.transcription
    return {
        "request_id": str(answer.request_id),
        "status": row.status.value,
        "created_at": row.created_at.isoformat(),
    }


def _read(connection: Connection[DictRow], written: list[dict[str, Any]]) -> list[Answer]:
    ids = [item["request_id"] for item in written if "request_id" in item]
    rows = connection.execute(
        "select request.id as request_id, transcription.* from ytcaption.request "
        "join ytcaption.transcription on transcription.id = request.transcription_id "
        "where request.id = any(%s::uuid[])",
        (ids,),
    ).fetchall()
    rows_by_id = {str(row["request_id"]): row for row in rows}
    answers = [_answer(item, rows_by_id) for item in written]
    if len(answers) == 1 and ids and not rows:
        raise erased_error()
    return answers


def _answer(written: dict[str, Any], rows: dict[str, DictRow]) -> Answer:
    if "refusal" in written:
        return Refusal(**written["refusal"])
    row = rows.get(written["request_id"])
    if row is None:
        return Refusal.of(erased_error())
    then = replace(
        transcription_row(row),
        status=TranscriptionStatus(written["status"]),
        created_at=datetime.fromisoformat(written["created_at"]),
    )
    return Submission(UUID(written["request_id"]), then, False, False, repeated=True)
