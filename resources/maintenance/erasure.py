"""Erasing a transcription: nothing of it is left but ids in events, and a tombstone (rule 43).

In this order, so that a crash or a part that is away leaves nothing promised that is not there, and
repeating it finishes what is left:

1. One transaction: the tombstone, from which on every read answers that it was erased;
   deliveries, requests, segments, embeddings, drafts, checkpoints, captions and what was measured
   by them go; the rows of transcription and media forget document and audio, and the items of
   channels what their list has shown.
2. Its files, its runs and partition in Dagster, its logs, its rows in the lake: each may fail, all
   can be repeated, since all are found by the ids that the rows still have.
3. One transaction: the rows.

Whoever asks for the media again while this goes on takes the tombstone away and queues the emptied
row: step 3 then leaves it, and the run waits for the lock (`resources.postgres.advisory_locks`)
that is held here throughout, so that nothing new is deleted with the old.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

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
from resources.postgres.advisory_locks import alone, removing, storing
from resources.postgres.connection import Postgres, Role
from resources.postgres.notify import PROGRESS_CHANNEL, notify
from resources.postgres.predicates import is_erased
from resources.reports.report import delete_reports
from resources.transcriptions.accuracy import forget_reference
from resources.transcriptions.actions import has_other_requesters, owned_row, withdraw
from resources.transcriptions.state import NO_AUDIO, cancel_row, locked_media
from ytcaption.domain.errors import TranscriptionBusy, TranscriptionErased
from ytcaption.domain.events import EventType
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings import Settings

logger = logging.getLogger(__name__)

RUN_STOPS_S = 20.0
"""How long a canceled run may go on writing a file before the erasure gives up."""

_IS_ERASED = is_erased("t.id")


def transcribe_logs(settings: Settings) -> list[Path]:
    """Logs that `ytcaption transcribe` has left."""
    return sorted((settings.home / "logs").glob("transcribe-*.log"))


@dataclass(frozen=True)
class _Emptied:
    """What step 1 leaves to be done.

    Attributes:
        has_media: no other transcription uses the media.
        was_in_lake: its text was stored once; the lake's rows come after.
    """

    media_id: str
    has_media: bool
    was_in_lake: bool
    run_ids: tuple[str, ...]


class Erasure:
    """Erases transcriptions, for those who asked for them and for operators."""

    def __init__(self, settings: Settings, postgres: Postgres, orchestrator: Orchestrator) -> None:
        self._settings = settings
        self._postgres = postgres
        self._orchestrator = orchestrator
        self._objects = ObjectStore.from_settings(settings)
        self._workspace = Workspace.from_settings(settings)

    @classmethod
    def from_settings(cls, settings: Settings, role: Role = "api") -> Self:
        """With an orchestrator of its own."""
        return cls(settings, Postgres.from_settings(settings, role), Orchestrator())

    def erase(self, id: str, owner: str | None = None, *, force: bool = False) -> bool:
        """Erase it, unless others have asked for it, too: then the owner's requests are taken back.
        Repeats safely; what was erased before is erased.

        Args:
            owner: who wants it erased, as `Caller.sees_only` says; None acts for everybody.
            force: cancel the run that works on it.

        Returns:
            Whether it is erased; False where it stays for others.

        Raises:
            TranscriptionNotFound: no such id, or this owner has not asked for it.
            TranscriptionBusy: a run works on it, or has not ended in time; repeat it.
            BackupRunning: repeat it once the backup is made.
            ObjectStoreUnavailable, LakeUnavailable, DagsterUnavailable, DatabaseUnavailable: not
                all of it is gone; repeat it.
        """
        with removing(self._postgres):
            return self._erase(id, owner, force)

    def _erase(self, id: str, owner: str | None, force: bool) -> bool:
        try:
            stays = self._stop(id, owner, force)
        except TranscriptionErased:
            if not self._is_left(id):
                return True
            stays = False
        if stays:
            return False
        with alone(self._postgres, id, RUN_STOPS_S):
            emptied = self._empty(id)
            if emptied is None:
                return True
            self._objects.delete(document_key(id))
            delete_reports(self._objects)
            if emptied.has_media:
                with (
                    alone(self._postgres, emptied.media_id, RUN_STOPS_S),
                    storing(self._postgres, emptied.media_id),
                ):
                    # An upload of the same bytes may have been asked for since: nobody can fetch
                    # its file again.
                    if not self._is_used(emptied.media_id):
                        self._delete_audio(emptied.media_id)
            self._orchestrator.erase(id, emptied.run_ids)
            self._delete_logs((id, *emptied.run_ids))
            if emptied.was_in_lake:
                # Of this call: DuckDB is loaded now, and let go at the end.
                TranscriptCatalog.from_settings(self._settings).erase(id)
            self._delete_rows(id)
        logger.info("erased %s", id)
        return True

    def unfinished(self) -> list[str]:
        """Ids whose erasure was cut short: `erase` finishes them."""
        with self._postgres.transaction() as connection:
            rows = connection.execute(
                f"select id from ytcaption.transcription t where {_IS_ERASED} order by id"  # noqa: S608
            ).fetchall()
        return [row["id"] for row in rows]

    def _stop(self, id: str, owner: str | None, force: bool) -> bool:
        """Let nobody work on it any longer; whether it stays as it is, for others."""
        with self._postgres.transaction() as connection:
            row = owned_row(connection, id, owner)
            if owner is not None and has_other_requesters(connection, id, owner):
                withdraw(connection, row, owner)
                return True
            status = TranscriptionStatus(row["status"])
            if status is TranscriptionStatus.RUNNING and not force:
                raise TranscriptionBusy(
                    "A run is working on it. Cancel it first, or send force=true."
                )
            if not status.is_final:
                cancel_row(connection, row)
        if not status.is_final:
            self._orchestrator.end_runs(id, row["attempt"], row["run_id"])
        return False

    def _is_left(self, id: str) -> bool:
        with self._postgres.transaction() as connection:
            found = connection.execute(
                "select 1 from ytcaption.transcription where id = %s", (id,)
            ).fetchone()
        return found is not None

    def _empty(self, id: str) -> _Emptied | None:
        """Step 1; None where another has erased it meanwhile."""
        with self._postgres.transaction() as connection:
            # Before the media's row, as who asks for items holds them before.
            forget_items(connection, id)
            locked_media(connection, id)
            row = connection.execute(
                "select * from ytcaption.transcription where id = %s for update", (id,)
            ).fetchone()
            if row is None:
                return None
            if not TranscriptionStatus(row["status"]).is_final:
                raise TranscriptionBusy("Somebody has asked for it again. Repeat this to erase it.")
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
        """Whether no transcription that stays uses the media; then its audio is none any more, nor
        are captions that were fetched beside it."""
        forgotten = connection.execute(
            f"""
            update ytcaption.media set {NO_AUDIO}
            where id = %(media_id)s and not exists (
                select from ytcaption.transcription t
                where t.media_id = %(media_id)s and not {_IS_ERASED})
            """,  # noqa: S608
            {"media_id": media_id},
        )
        if forgotten.rowcount == 1:
            forget_reference(connection, media_id)
        return forgotten.rowcount == 1

    def _is_used(self, media_id: str) -> bool:
        return bool(
            self._postgres.rows(
                f"select from ytcaption.transcription t where media_id = %(media_id)s "
                f"and not {_IS_ERASED} limit 1",
                {"media_id": media_id},
            )
        )

    def _delete_audio(self, media_id: str) -> None:
        """Under every name it can have: the row no longer says which, so that this repeats."""
        self._objects.delete(upload_key(media_id))
        for extension in (*sorted(EXTENSIONS), UNKNOWN):
            self._objects.delete(audio_key(media_id, extension))
        self._workspace.clear(media_id)

    def _delete_logs(self, names: Sequence[str]) -> None:
        """Of `ytcaption transcribe` where it failed: titles and links may be in them, and each line
        names its run."""
        for log in transcribe_logs(self._settings):
            with suppress(FileNotFoundError):
                text = log.read_bytes()
                if any(name.encode() in text for name in names):
                    log.unlink()

    def _delete_rows(self, id: str) -> None:
        """Step 3, unless somebody has asked for it anew."""
        with self._postgres.transaction() as connection:
            media = locked_media(connection, id)
            gone = connection.execute(
                f"delete from ytcaption.transcription t where id = %s and {_IS_ERASED}",  # noqa: S608
                (id,),
            )
            if media is not None and gone.rowcount:
                forget_unwanted(connection, media["id"])
                connection.execute(
                    "delete from ytcaption.media where id = %(id)s and not exists "
                    "(select from ytcaption.transcription where media_id = %(id)s)",
                    {"id": media["id"]},
                )
