"""Requests, transcriptions and media: asking, reading, waiting for work, canceling."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.postgres import Postgres, Role
from resources.request_intake import ask_again, upsert_media
from resources.request_rows import (
    DueTranscription,
    EventRow,
    MediaRow,
    Submission,
    TranscriptionRow,
    clean,
    media_row,
    segment_row,
    transcription_row,
)
from resources.run_store import RunStore
from resources.transcription_state import (
    PROGRESS_CHANNEL,
    WORK_CHANNEL,
    add_event,
    cancel_row,
    locked_row,
    not_found,
    notify,
)
from ytcaption_assets.domain.errors import MediaNotFound, OptionsMismatch
from ytcaption_assets.domain.media import MediaSource
from ytcaption_assets.domain.request import (
    Priority,
    TranscriptionOptions,
    TranscriptionStatus,
    partition_key,
)
from ytcaption_assets.domain.transcript import Segment
from ytcaption_assets.settings import Settings


class RequestStore(RunStore):
    """What is asked for and read of it; what runs write is in RunStore and RunOutcomes."""

    @classmethod
    def from_settings(cls, settings: Settings, role: Role = "dagster") -> "RequestStore":
        """With the rights of one part; otherwise the environment's settings are taken."""
        return cls(postgres=Postgres.from_settings(settings, role))

    def submit(
        self,
        source: MediaSource,
        options: TranscriptionOptions,
        *,
        priority: Priority = "interactive",
        force: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> Submission:
        """Ask for a transcription. What is queued, running or completed is shared; what failed or
        was canceled is queued again; with `force`, what is completed, too.

        Args:
            force: download and transcribe anew. An upload's audio stays, since nobody can fetch it.
            metadata: the asker's own JSON, kept with the request.

        Raises:
            TranscriptionBusy: forced while a run works on it.
            OptionsMismatch: the id is there with other options.
            DatabaseUnavailable: nothing was asked; ask again.
        """
        id = partition_key(source.media_id, options)
        with self.postgres.transaction() as connection:
            upsert_media(connection, source)
            inserted = connection.execute(
                """
                insert into ytcaption.transcription (id, media_id, options, priority)
                values (%s, %s, %s, %s)
                on conflict (id) do nothing
                returning *
                """,
                (id, source.media_id, Jsonb(options.to_dict()), priority),
            ).fetchone()
            row = inserted or locked_row(connection, id)
            if row["media_id"] != source.media_id or row["options"] != options.to_dict():
                raise OptionsMismatch(
                    f"{id} is known with other options than those asked for. Nothing was shared."
                )
            queued = inserted is not None
            if inserted is None:
                queued = ask_again(connection, row, priority, force)
            request = connection.execute(
                """
                insert into ytcaption.request (transcription_id, priority, force, metadata)
                values (%s, %s, %s, %s)
                returning id
                """,
                (id, priority, force, Jsonb(clean(metadata or {}))),
            ).fetchone()
            assert request is not None
            row = locked_row(connection, id)
            asked = {"request_id": str(request["id"]), "priority": priority, "force": force}
            add_event(connection, row, "request.created", asked)
            if queued:
                add_event(connection, row, "transcription.queued", {"attempt": row["attempt"]})
                notify(connection, WORK_CHANNEL, id)
                notify(connection, PROGRESS_CHANNEL, id)
            return Submission(request["id"], transcription_row(row), inserted is not None, queued)

    def get(self, id: str) -> TranscriptionRow:
        """One transcription.

        Raises:
            TranscriptionNotFound: no such id.
        """
        found = self.get_many([id])
        if id not in found:
            raise not_found(id)
        return found[id]

    def get_many(self, ids: Iterable[str]) -> dict[str, TranscriptionRow]:
        """Those of the ids that are there, by id."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "select * from ytcaption.transcription where id = any(%s)", (list(ids),)
            ).fetchall()
        return {row["id"]: transcription_row(row) for row in rows}

    def media(self, media_id: str) -> MediaRow:
        """One media.

        Raises:
            MediaNotFound: no such id.
        """
        with self.postgres.transaction() as connection:
            row = connection.execute(
                "select * from ytcaption.media where id = %s", (media_id,)
            ).fetchone()
        if row is None:
            raise MediaNotFound(f"There is no media {media_id[:120]}.")
        return media_row(row)

    def segments(self, id: str) -> list[Segment]:
        """The text in time order; empty before it is there."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "select * from ytcaption.segment where transcription_id = %s order by index", (id,)
            ).fetchall()
        return [segment_row(row) for row in rows]

    def events(self, id: str) -> list[EventRow]:
        """What happened to a transcription, oldest first."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                'select * from ytcaption.event where transcription_id = %s order by "timestamp"',
                (id,),
            ).fetchall()
        return [EventRow(**row) for row in rows]

    def counts(self) -> dict[TranscriptionStatus, int]:
        """How many transcriptions are in each status."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "select status, count(*) as number from ytcaption.transcription group by status"
            ).fetchall()
        found = {row["status"]: row["number"] for row in rows}
        return {status: found.get(status.value, 0) for status in TranscriptionStatus}

    def completed_ids(self) -> list[str]:
        """All that have a result."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "select id from ytcaption.transcription where status = 'completed' order by id"
            ).fetchall()
        return [row["id"] for row in rows]

    def list_recent(self, limit: int = 50) -> list[TranscriptionRow]:
        """The newest transcriptions first."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "select * from ytcaption.transcription order by created_at desc, id limit %s",
                (limit,),
            ).fetchall()
        return [transcription_row(row) for row in rows]

    def due(self, limit: int) -> list[DueTranscription]:
        """What a run can be started for now: interactive first, then by age. Read by state, never
        from an id on, since a transaction that commits late would be lost."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                """
                select id, attempt, priority, media_id from ytcaption.transcription
                where status = 'queued' and next_attempt_at <= now()
                order by (priority = 'bulk'), queued_at, id
                limit %s
                """,
                (limit,),
            ).fetchall()
        return [DueTranscription(**row) for row in rows]

    def next_due_in_s(self) -> float | None:
        """Seconds until something is due, 0 if it is; None with an empty queue."""
        with self.postgres.transaction() as connection:
            return _next_due_in_s(connection)

    def wait_for_work(self, timeout_s: float) -> bool:
        """Wait until something is due; whether it is. Wakes on a NOTIFY, and at a retry's time.

        Raises:
            DatabaseUnavailable: the connection was lost while waiting.
        """
        deadline = time.monotonic() + timeout_s
        with self.postgres.own_connection() as connection:
            # Listen first, then look: what is committed in between is seen by the one or the other.
            connection.execute(f"listen {WORK_CHANNEL}")
            while True:
                due_in_s = _next_due_in_s(connection)
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


def _next_due_in_s(connection: Connection[DictRow]) -> float | None:
    row = connection.execute(
        "select extract(epoch from min(next_attempt_at) - now())::float8 as due_in_s "
        "from ytcaption.transcription where status = 'queued'"
    ).fetchone()
    if row is None or row["due_in_s"] is None:
        return None
    return max(0.0, row["due_in_s"])
