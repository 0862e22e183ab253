"""The queue of transcriptions: submit, list what is due, wait for work, cancel."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres, Role
from resources.postgres.notify import WORK_CHANNEL
from resources.telemetry.spans import traced
from resources.transcriptions.fair_queue import ANY_NUMBER, due, next_due_in_s
from resources.transcriptions.idempotency import (
    IdempotencyKey,
    claim_key,
    store_answer,
    stored_answer,
)
from resources.transcriptions.intake import enqueue_requests
from resources.transcriptions.quotas import within_limits
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
from ytcaption.settings.settings import Settings


class RequestStore(dg.ConfigurableResource):
    """Requests and the queue. `reads` and `listing` read transcriptions; `RunStore` is for runs."""

    postgres: Postgres

    @classmethod
    def from_settings(cls, settings: Settings, role: Role = "dagster") -> "RequestStore":
        """Return a store that connects with the rights of one role."""
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
        pinned: bool = False,
        owner: str = LOCAL_OWNER,
        traceparent: str | None = None,
        idempotency: IdempotencyKey | None = None,
        limits: Limits | None = None,
    ) -> Submission:
        """Request a transcription. One that is queued, running or completed is shared; one that
        failed or was canceled is queued again; with `force`, a completed one, too.

        Args:
            force: download and transcribe again. An upload's audio is kept: it has no other source.
            metadata: JSON of the requester, stored with the request.
            callback: URL that is notified when the transcription ends.
            pinned: exempt it from retention.
            owner: who requests it (`Caller.owner`).
            traceparent: W3C trace context for the run that this request queues.
            idempotency: a repeated key returns the first answer and adds nothing.
            limits: quotas of the owner; None: no limits.

        Raises:
            TranscriptionBusy: forced while a run works on it.
            OptionsMismatch: the id exists with other options.
            IdempotencyMismatch: the key was used with another body.
            QuotaExceeded: the owner has reached a limit.
            DatabaseUnavailable: nothing was stored; try again.
        """
        request = TranscriptionRequest(source, options, priority, force, metadata, callback, pinned)
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
        """Submit many requests in one transaction. Return one answer each, in their order.

        Args:
            requests: a Refusal stands for a request that was refused earlier, and is returned.
            limits: quotas of the owner; the requests beyond them are refused, the first ones not.

        Raises:
            IdempotencyMismatch: the key was used with other requests.
            DatabaseUnavailable: nothing was stored; try again.
        """
        with self.postgres.transaction() as connection:
            answers = _submit(connection, requests, owner, traceparent, idempotency, limits)
        return [Refusal.of(it) if isinstance(it, YtcaptionError) else it for it in answers]

    def stored_answer(
        self, owner: str, idempotency: IdempotencyKey
    ) -> list[Submission | Refusal] | None:
        """Return the answer given to this Idempotency-Key within 24 hours; None if it is new.

        Raises:
            IdempotencyMismatch: the key was used with another body.
            TranscriptionErased: the transcription it requested was erased since.
        """
        with self.postgres.transaction() as connection:
            return stored_answer(connection, owner, idempotency)

    def due(
        self, limit: int, per_site: int = ANY_NUMBER, pacing: Pacing = UNPACED
    ) -> list[DueTranscription]:
        """Return the transcriptions a run can be started for now, in order (`fair_queue.due`)."""
        with self.postgres.transaction() as connection:
            return due(connection, limit, per_site, pacing)

    def next_due_in_s(self, per_site: int = ANY_NUMBER, pacing: Pacing = UNPACED) -> float | None:
        """Return the seconds until a transcription is due, 0 if one is; None where none will be
        without a further event."""
        with self.postgres.transaction() as connection:
            return next_due_in_s(connection, per_site, pacing=pacing)

    def wait_for_work(
        self,
        timeout_s: float,
        per_site: int = ANY_NUMBER,
        known: Sequence[str] = (),
        pacing: Pacing = UNPACED,
    ) -> bool:
        """Wait until a transcription is due; return whether one is. Wakes up on a NOTIFY, at the
        time of a retry, and when a site's pause ends.

        Args:
            per_site, pacing: as `due`.
            known: run keys of transcriptions not to wait for.

        Raises:
            DatabaseUnavailable: the connection was lost while waiting.
        """
        deadline = time.monotonic() + timeout_s
        with self.postgres.own_connection() as connection:
            # Listen before the first query: a commit in between is then seen by one of the two.
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
        """Cancel the transcription if it is queued or running. Return its row, which names the run
        to end; whatever that run still writes is refused.

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
    accepted = [it for it in requests if isinstance(it, TranscriptionRequest)]
    results = iter(enqueue_requests(connection, accepted, owner, traceparent) if accepted else ())
    answers = [next(results) if isinstance(it, TranscriptionRequest) else it for it in requests]
    if idempotency is not None:
        stored = [Refusal.of(it) if isinstance(it, YtcaptionError) else it for it in answers]
        store_answer(connection, owner, idempotency, stored)
    return answers
