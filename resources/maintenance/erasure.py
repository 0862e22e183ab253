"""Erases a transcription: only ids in events and a tombstone stay.

See docs/adr/security-rules.md#rule-43. The order ensures that, after a crash or while a part is
unavailable, no row refers to something that is deleted, and that a repetition finishes the erasure:

1. One transaction inserts the tombstone: from then on every read answers that the transcription was
   erased, to those who had requested it; to others that there is none. It deletes deliveries,
   requests, segments, embeddings, drafts, checkpoints, captions and accuracies, and clears
   document, audio and listed items in the rows of transcription, media and channels.
2. Its files, its runs and partition in Dagster, its logs and its rows in the lake are deleted. Each
   step may fail and can be repeated: all are found by the ids that the rows still have.
3. One transaction deletes the rows.

A request that arrives before step 1 is not erased with the others: for another owner it stays, and
an erasure for all owners is to be repeated. One that arrives after it removes the tombstone and
queues the emptied row. Step 3 then leaves the row, and the new run waits for the lock
(`resources.postgres.advisory_locks`) that is held here throughout, so that nothing new is deleted
with the old.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from resources.channels.retention import forget_items, forget_unwanted
from resources.download.extensions import EXTENSIONS, UNKNOWN
from resources.download.workspace import Workspace
from resources.embeddings.store import forget_embeddings
from resources.events import add_event
from resources.lake.catalog import TranscriptCatalog
from resources.object_store.store import ObjectStore, audio_key, document_key, upload_key
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.advisory_locks import exclusive_work_lock, removal_lock, upload_lock
from resources.postgres.connection import Postgres, Role
from resources.postgres.notify import PROGRESS_CHANNEL, notify
from resources.postgres.predicates import erased_for, is_erased
from resources.reports.report import delete_reports
from resources.transcriptions.accuracy import delete_reference
from resources.transcriptions.actions import (
    has_other_requesters,
    owned_row,
    use_remaining_link,
    withdraw,
)
from resources.transcriptions.state import NO_AUDIO, cancel_row, locked_media
from ytcaption.domain.errors import TranscriptionBusy, TranscriptionErased
from ytcaption.domain.events import EventType
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

RUN_STOPS_S = 20.0
"""Seconds a canceled run may continue to write a file before the erasure gives up."""

_IS_ERASED = is_erased("t.id")
_REQUESTED_AGAIN = "It was requested again. Repeat this to erase it."


def _note_erased(connection: Connection[DictRow], id: str, owners: Sequence[str]) -> None:
    """Note that it was erased for these owners, who are answered so from then on."""
    connection.execute(
        f"insert into ytcaption.erased_for (id_owner_sha256) "  # noqa: S608
        f"select {erased_for('%(id)s', 'owner')} from unnest(%(owners)s::text[]) as owner "
        "order by 1 on conflict do nothing",
        {"id": id, "owners": list(owners)},
    )


def _is_requested_since(
    connection: Connection[DictRow], id: str, owner: str | None, requests: Sequence[UUID]
) -> bool:
    """Whether others than the owner have made a request that is not one of these."""
    row = connection.execute(
        "select 1 from ytcaption.request where transcription_id = %s "
        "and owner is distinct from %s and id <> all(%s) limit 1",
        (id, owner, list(requests)),
    ).fetchone()
    return row is not None


def transcribe_logs(settings: Settings) -> list[Path]:
    """Return the log files of `ytcaption transcribe`."""
    return sorted((settings.home / "logs").glob("transcribe-*.log"))


@dataclass(frozen=True)
class _Emptied:
    """What is left to do after step 1.

    Attributes:
        has_media: whether the media is to be erased, too: no other transcription uses it.
        was_in_lake: whether the lake may have rows: a transcript was stored once.
    """

    media_id: str
    has_media: bool
    was_in_lake: bool
    run_ids: tuple[str, ...]


class _RequestedByOthersError(Exception):
    """Another owner has requested it since it was stopped."""


class Erasure:
    """Erases transcriptions, for their requesters and for operators."""

    def __init__(self, settings: Settings, postgres: Postgres, orchestrator: Orchestrator) -> None:
        self._settings = settings
        self._postgres = postgres
        self._orchestrator = orchestrator
        self._objects = ObjectStore.from_settings(settings)
        self._workspace = Workspace.from_settings(settings)

    @classmethod
    def from_settings(cls, settings: Settings, role: Role = "api") -> Self:
        """Return an erasure with its own orchestrator."""
        return cls(settings, Postgres.from_settings(settings, role), Orchestrator())

    def erase(self, id: str, owner: str | None = None, *, force: bool = False) -> bool:
        """Erase a transcription. If others have requested it, too, only withdraw the owner's
        requests. May be repeated.

        Args:
            owner: `Caller.sees_only`; None: acts for all owners.
            force: cancel the run that works on it.

        Returns:
            Whether it is erased; False if it stays for other owners.

        Raises:
            TranscriptionNotFound: no such id, or this owner has not requested it.
            TranscriptionBusy: a run works on it, or has not ended in time, or it was requested
                again in the meantime; try again.
            BackupRunning: try again when the backup has ended.
            ObjectStoreUnavailable, LakeUnavailable, DagsterUnavailable, DatabaseUnavailable: not
                all of it is deleted; try again.
        """
        with removal_lock(self._postgres):
            return self._erase(id, owner, force)

    def _erase(self, id: str, owner: str | None, force: bool) -> bool:
        try:
            requests = self._stop(id, owner, force)
        except TranscriptionErased:
            requests = () if id in self.unfinished() else None
            if requests is None and (owner is None or not self._exists(id)):
                return True
        if requests is None:
            assert owner is not None, "nobody else has requests to withdraw"
            self._forget_owner(id, owner)
            return False
        try:
            self._erase_for_all(id, owner, requests)
        except _RequestedByOthersError:
            return self._erase(id, owner, force)
        return True

    def _erase_for_all(self, id: str, owner: str | None, requests: Sequence[UUID]) -> None:
        """Do steps 1 to 3, once no run writes any more."""
        with exclusive_work_lock(self._postgres, id, RUN_STOPS_S):
            emptied = self._empty(id, owner, requests)
            if emptied is None:
                return
            self._objects.delete(document_key(id))
            delete_reports(self._objects)
            if emptied.has_media:
                with (
                    exclusive_work_lock(self._postgres, emptied.media_id, RUN_STOPS_S),
                    upload_lock(self._postgres, emptied.media_id),
                ):
                    # An upload of the same bytes may have been requested since, and its file
                    # could not be downloaded again.
                    if not self._is_used(emptied.media_id):
                        self._delete_audio(emptied.media_id)
            self._orchestrator.erase(id, emptied.run_ids)
            self._delete_logs((id, *emptied.run_ids))
            if emptied.was_in_lake:
                # Opened for this call only: DuckDB is loaded now and released at the end.
                TranscriptCatalog.from_settings(self._settings).erase(id)
            self._delete_rows(id)
        logger.info("erased %s", id)

    def unfinished(self) -> list[str]:
        """Return the ids whose erasure was interrupted: `erase` finishes them."""
        with self._postgres.transaction() as connection:
            rows = connection.execute(
                f"select id from ytcaption.transcription t where {_IS_ERASED} order by id"  # noqa: S608
            ).fetchall()
        return [row["id"] for row in rows]

    def _stop(self, id: str, owner: str | None, force: bool) -> Sequence[UUID] | None:
        """Cancel it. Return the ids of its requests, or None if it stays, because other owners have
        requested it."""
        with self._postgres.transaction() as connection:
            row = owned_row(connection, id, owner)
            if owner is not None and has_other_requesters(connection, id, owner):
                withdraw(connection, row, owner)
                _note_erased(connection, id, [owner])
                return None
            requests = connection.execute(
                "select id from ytcaption.request where transcription_id = %s", (id,)
            ).fetchall()
            status = TranscriptionStatus(row["status"])
            if status is TranscriptionStatus.RUNNING and not force:
                raise TranscriptionBusy(
                    "A run is working on it. Cancel it first, or send force=true."
                )
            if not status.is_final:
                cancel_row(connection, row)
        if not status.is_final:
            self._orchestrator.end_runs(id, row["attempt"], row["run_id"])
        return [request["id"] for request in requests]

    def _forget_owner(self, id: str, owner: str) -> None:
        """Remove what else an owner who has withdrawn had of it. May be repeated."""
        with self._postgres.transaction() as connection:
            forget_items(connection, id, owner)
            use_remaining_link(connection, id)
            connection.execute(
                "update ytcaption.media set title = null where title is not null and id = "
                "(select media_id from ytcaption.transcription where id = %s)",
                (id,),
            )

    def _exists(self, id: str) -> bool:
        with self._postgres.transaction() as connection:
            row = connection.execute(
                "select 1 from ytcaption.transcription where id = %s", (id,)
            ).fetchone()
        return row is not None

    def _empty(self, id: str, owner: str | None, requests: Sequence[UUID]) -> _Emptied | None:
        """Do step 1. Return None if it was erased by another caller in the meantime.

        Args:
            requests: ids of those that it had when it was stopped.

        Raises:
            _RequestedByOthersError: nothing is changed.
            TranscriptionBusy: it was requested again, and the erasure acts for all owners.
        """
        with self._postgres.transaction() as connection:
            # Lock items before the media's row: requests for items use the same order.
            forget_items(connection, id)
            locked_media(connection, id)
            row = connection.execute(
                "select * from ytcaption.transcription where id = %s for update", (id,)
            ).fetchone()
            if row is None:
                return None
            if _is_requested_since(connection, id, owner, requests):
                if owner is not None:
                    raise _RequestedByOthersError
                raise TranscriptionBusy(_REQUESTED_AGAIN)
            if not TranscriptionStatus(row["status"]).is_final:
                raise TranscriptionBusy(_REQUESTED_AGAIN)
            connection.execute(
                "insert into ytcaption.tombstone (id_sha256) "
                "values (encode(sha256(convert_to(%s, 'UTF8')), 'hex')) on conflict do nothing",
                (id,),
            )
            connection.execute(
                """
                update ytcaption.transcription
                set status = 'canceled', document_key = null, document_sha256 = null,
                    completed_at = null, error_code = null, error_message = null, updated_at = now()
                where id = %s
                """,
                (id,),
            )
            owners = connection.execute(
                "select distinct owner from ytcaption.request where transcription_id = %s", (id,)
            ).fetchall()
            _note_erased(connection, id, [each["owner"] for each in owners])
            connection.execute(
                "update ytcaption.media set title = null where id = %s and title is not null",
                (row["media_id"],),
            )
            tables = ("delivery", "request", "segment", "draft_segment", "checkpoint")
            for table in (*tables, "caption_track", "caption_accuracy"):
                connection.execute(
                    f"delete from ytcaption.{table} where transcription_id = %s",  # noqa: S608
                    (id,),
                )
            forget_embeddings(connection, id)
            has_media = self._forget_audio(connection, row["media_id"])
            add_event(connection, row, EventType.ERASED, {"attempt": row["attempt"]})
            notify(connection, PROGRESS_CHANNEL, id)
            events = connection.execute(
                "select coalesce(bool_or(event_type = %s), false) as was_in_lake, "
                "array_agg(distinct run_id) filter (where run_id is not null) as run_ids "
                "from ytcaption.event where transcription_id = %s",
                (EventType.TRANSCRIPT_STORED, id),
            ).fetchone()
            assert events is not None
            return _Emptied(
                row["media_id"], has_media, events["was_in_lake"], tuple(events["run_ids"] or ())
            )

    @staticmethod
    def _forget_audio(connection: Connection[DictRow], media_id: str) -> bool:
        """Remove the media's audio, and captions downloaded with it, from the rows, unless another
        transcription uses the media. Return whether they were removed."""
        updated = connection.execute(
            f"""
            update ytcaption.media set {NO_AUDIO}
            where id = %(media_id)s and not exists (
                select from ytcaption.transcription t
                where t.media_id = %(media_id)s and not {_IS_ERASED})
            """,  # noqa: S608
            {"media_id": media_id},
        )
        if updated.rowcount == 1:
            delete_reference(connection, media_id)
        return updated.rowcount == 1

    def _is_used(self, media_id: str) -> bool:
        return bool(
            self._postgres.rows(
                f"select from ytcaption.transcription t where media_id = %(media_id)s "
                f"and not {_IS_ERASED} limit 1",
                {"media_id": media_id},
            )
        )

    def _delete_audio(self, media_id: str) -> None:
        """Delete the audio under every key it can have: the row no longer names it when this is
        repeated."""
        self._objects.delete(upload_key(media_id))
        for extension in (*sorted(EXTENSIONS), UNKNOWN):
            self._objects.delete(audio_key(media_id, extension))
        self._workspace.clear(media_id)

    def _delete_logs(self, names: Sequence[str]) -> None:
        """Delete logs of failed `ytcaption transcribe` that name one of these ids: they may contain
        titles and links."""
        for log in transcribe_logs(self._settings):
            with suppress(FileNotFoundError):
                text = log.read_bytes()
                if any(name.encode() in text for name in names):
                    log.unlink()

    def _delete_rows(self, id: str) -> None:
        """Do step 3, unless it was requested again."""
        with self._postgres.transaction() as connection:
            media = locked_media(connection, id)
            deleted = connection.execute(
                f"delete from ytcaption.transcription t where id = %s and {_IS_ERASED}",  # noqa: S608
                (id,),
            )
            if media is not None and deleted.rowcount:
                forget_unwanted(connection, media["id"])
                connection.execute(
                    "delete from ytcaption.media where id = %(id)s and not exists "
                    "(select from ytcaption.transcription where media_id = %(id)s)",
                    {"id": media["id"]},
                )
