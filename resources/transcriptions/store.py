"""Requests for transcriptions: asking, waiting for work, canceling."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres, Role
from resources.postgres.notify import WORK_CHANNEL
from resources.telemetry.spans import traced
from resources.transcriptions.fair_queue import ANY_NUMBER, due, next_due_in_s
from resources.transcriptions.idempotency import IdempotencyKey, answered, claim_key, keep_answer
from resources.transcriptions.intake import enqueue_requests
from resources.transcriptions.quotas import within_limits
from resources.transcriptions.reads import TranscriptionReads
from resources.transcriptions.rows import (
    Callback,
    DueTranscription,
    Refusal,
    Submission,
    TranscriptionRequest,
    TranscriptionRow,
    transcription_row,
)
from resources.transcriptions.state import cancel_row, locked_row
from ytcaption.domain.caller import LOCAL_OWNER, Limits
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.media.pacing import UNPACED, Pacing
from ytcaption.domain.request import Priority, TranscriptionOptions, TranscriptionStatus
from ytcaption.settings import Settings


class RequestStore(TranscriptionReads):
    """Requests and the queue; what is read is in TranscriptionReads, what runs write in RunStore
    and RunOutcomes."""

    @classmethod
    def from_settings(cls, settings: Settings, role: Role = "dagster") -> "RequestStore":
        """With the rights of one part; otherwise the environment's settings are taken."""
        return cls(postgres=Postgres.from_settings(settings, role))

    @traced("postgres.submit")
    def submit(
        self,
        source: MediaSource,
        options: TranscriptionOptions,
        *,
        priority: Priority = "interactive",
        force: bool = False,
        metadata: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        keep: bool = False,
        owner: str = LOCAL_OWNER,
        traceparent: str | None = None,
        idempotency: IdempotencyKey | None = None,
        limits: Limits | None = None,
    ) -> Submission:
        """Ask for a transcription. What is queued, running or completed is shared; what failed or
        was canceled is queued again; with `force`, what is completed, too.

        Args:
            force: download and transcribe anew. An upload's audio stays, since nobody can fetch it.
            metadata: the asker's own JSON, kept with the request.
            callback: where the asker is told of the end.
            keep: no age takes it away.
            owner: whose request it is, as `Caller.owner` says.
            traceparent: W3C trace context, for the run that this request queues.
            idempotency: the same again gives the first answer and adds nothing.
            limits: of the owner; None: none.

        Raises:
            TranscriptionBusy: forced while a run works on it.
            OptionsMismatch: the id is there with other options.
            IdempotencyMismatch: the key came with another body.
            QuotaExceeded: the owner has as much as the limits allow.
            DatabaseUnavailable: nothing was asked; ask again.
        """
        request = TranscriptionRequest(source, options, priority, force, metadata, callback, keep)
        with self.postgres.transaction() as connection:
            [answer] = _submit(connection, [request], owner, traceparent, idempotency, limits)
            if isinstance(answer, YtcaptionError):
                raise answer
        assert isinstance(answer, Submission)
        return answer

    @traced("postgres.submit_many")
    def submit_many(
        self,
        requests: Sequence[TranscriptionRequest | Refusal],
        *,
        owner: str = LOCAL_OWNER,
        traceparent: str | None = None,
        idempotency: IdempotencyKey | None = None,
        limits: Limits | None = None,
    ) -> list[Submission | Refusal]:
        """Ask for many in one transaction, each answered for itself, in their order.

        Args:
            requests: a refusal stands for what was refused before; it is answered as it is.
            limits: of the owner; what goes beyond them is refused, the first ones not.

        Raises:
            IdempotencyMismatch: the key came with other requests.
            DatabaseUnavailable: nothing was asked; ask again.
        """
        with self.postgres.transaction() as connection:
            answers = _submit(connection, requests, owner, traceparent, idempotency, limits)
        return [Refusal.of(it) if isinstance(it, YtcaptionError) else it for it in answers]

    def answered(
        self, owner: str, idempotency: IdempotencyKey
    ) -> list[Submission | Refusal] | None:
        """What was answered to this Idempotency-Key within 24 hours; None where it is new.

        Raises:
            IdempotencyMismatch: it came with another body.
            TranscriptionErased: what it asked for was erased since.
        """
        with self.postgres.transaction() as connection:
            return answered(connection, owner, idempotency)

    def due(
        self, limit: int, per_site: int = ANY_NUMBER, pacing: Pacing = UNPACED
    ) -> list[DueTranscription]:
        """What a run can be started for now, in order, as `turns.due`."""
        with self.postgres.transaction() as connection:
            return due(connection, limit, per_site, pacing)

    def next_due_in_s(self, per_site: int = ANY_NUMBER, pacing: Pacing = UNPACED) -> float | None:
        """Seconds until something is due, 0 if it is; None where nothing will be by itself."""
        with self.postgres.transaction() as connection:
            return next_due_in_s(connection, per_site, pacing=pacing)

    def wait_for_work(
        self,
        timeout_s: float,
        per_site: int = ANY_NUMBER,
        known: Sequence[str] = (),
        pacing: Pacing = UNPACED,
    ) -> bool:
        """Wait until something is due; whether it is. Wakes on a NOTIFY, and at a retry's time or
        when a site has rested.

        Args:
            per_site, pacing: as `due`.
            known: run keys of what is not waited for.

        Raises:
            DatabaseUnavailable: the connection was lost while waiting.
        """
        deadline = time.monotonic() + timeout_s
        with self.postgres.own_connection() as connection:
            # Listen first, then look: what is committed in between is seen by the one or the other.
            connection.execute(f"listen {WORK_CHANNEL}")
            while True:
                due_in_s = next_due_in_s(connection, per_site, known, pacing)
                if due_in_s == 0.0:
                    return True
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                wait_s = left_s if due_in_s is None else min(left_s, due_in_s)
                for _ in connection.notifies(timeout=wait_s, stop_after=1):
                    pass

    def cancel(self, id: str) -> TranscriptionRow:
        """Stop what is queued or running; what is at rest stays as it is. The row names the run
        that is to be ended; all that it still writes is refused.

        Raises:
            TranscriptionNotFound: no such id.
        """
        with self.postgres.transaction() as connection:
            row = locked_row(connection, id)
            if not TranscriptionStatus(row["status"]).is_final:
                cancel_row(connection, row)
            return transcription_row(locked_row(connection, id))


def _submit(
    connection: Connection[DictRow],
    requests: Sequence[TranscriptionRequest | Refusal | YtcaptionError],
    owner: str,
    traceparent: str | None,
    idempotency: IdempotencyKey | None,
    limits: Limits | None,
) -> Sequence[Submission | Refusal | YtcaptionError]:
    if idempotency is not None:
        earlier = claim_key(connection, owner, idempotency)
        if earlier is not None:
            return earlier
    if limits is not None:
        requests = within_limits(connection, requests, owner, limits)
    asked = [it for it in requests if isinstance(it, TranscriptionRequest)]
    taken = iter(enqueue_requests(connection, asked, owner, traceparent) if asked else ())
    answers = [next(taken) if isinstance(it, TranscriptionRequest) else it for it in requests]
    if idempotency is not None:
        kept = [Refusal.of(it) if isinstance(it, YtcaptionError) else it for it in answers]
        keep_answer(connection, owner, idempotency, kept)
    return answers
