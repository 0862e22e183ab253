"""What a run writes of its transcription.

A run claims its row; every later write says `where run_id = mine and status = 'running'`, so that a
revived or doubled run, or one that was canceled, changes nothing: it gets ClaimLost. Each change of
state is one transaction with its event. Rows are locked in the order media, transcription.
"""

from psycopg.types.json import Jsonb

from resources.embeddings.store import forget_embeddings
from resources.events import add_event
from resources.postgres.jsonb import clean
from resources.postgres.notify import PROGRESS_CHANNEL, notify
from resources.telemetry.spans import traced
from resources.transcriptions.captions import forget_captions
from resources.transcriptions.checkpoints import forget_checkpoint
from resources.transcriptions.rows import TranscriptionRow, transcription_row
from resources.transcriptions.run_downloads import RunDownloads
from resources.transcriptions.segments import write_segments
from resources.transcriptions.state import claim_lost, claimed_row, forget_drafts, locked_row
from resources.transcriptions.time_limits import TOOK_TOO_LONG, TimeLimits, fail_overdue
from ytcaption.domain.errors import ClaimLost, TookTooLong, TranscriptionBusy
from ytcaption.domain.events import EventType
from ytcaption.domain.transcripts.transcript import Transcript


class RunStore(RunDownloads):
    """The writes of a run, from its claim to its end."""

    @traced("postgres.claim")
    def claim(self, id: str, run_id: str, attempt: int | None = None) -> TranscriptionRow:
        """Make the transcription this run's own, at work from now on; by the same run again,
        nothing else changes.

        Args:
            attempt: the one that the run was started for; None for a run started by hand, which may
                also do anew what is completed, failed or canceled.

        Raises:
            TranscriptionNotFound: no such id.
            TranscriptionBusy: another run works on it.
            ClaimLost: it is not, or no longer, queued for this attempt.
        """
        with self.postgres.transaction() as connection:
            row = locked_row(connection, id)
            if row["status"] == "running":
                if row["run_id"] == run_id:
                    connection.execute(
                        "update ytcaption.transcription set working_since = now() where id = %s",
                        (id,),
                    )
                    return transcription_row(row)
                raise TranscriptionBusy(
                    f"Another run is working on {id}. Wait for it to end, or cancel it."
                )
            if attempt is not None and (row["status"] != "queued" or row["attempt"] != attempt):
                raise ClaimLost(
                    f"{id} is {row['status']} at attempt {row['attempt']}: attempt {attempt} has "
                    "nothing left to do."
                )
            anew = 0 if row["status"] == "queued" else 1
            claimed = connection.execute(
                """
                update ytcaption.transcription
                set status = 'running', run_id = %(run_id)s, heartbeat_at = now(),
                    started_at = now(), stage = 'starting', stage_started_at = now(),
                    attempt = attempt + %(anew)s,
                    series_start = case %(anew)s when 0 then series_start else attempt + 1 end,
                    progress_done = null, progress_total = null, is_downloading = false,
                    working_since = now(),
                    worked_s = case %(anew)s when 0 then worked_s else 0 end,
                    error_code = null, error_message = null, updated_at = now()
                where id = %(id)s
                returning *
                """,
                {"id": id, "run_id": run_id, "anew": anew},
            ).fetchone()
            assert claimed is not None
            forget_drafts(connection, id)
            started = {"attempt": claimed["attempt"], "series_start": claimed["series_start"]}
            add_event(connection, claimed, EventType.STARTED, started)
            notify(connection, PROGRESS_CHANNEL, id)
            return transcription_row(claimed)

    def heartbeat(self, id: str, run_id: str, limits: TimeLimits | None = None) -> None:
        """Say that the run lives; at its limits the transcription fails instead.

        Raises:
            ClaimLost: the transcription is no longer this run's.
        """
        with self.postgres.transaction() as connection:
            changed = connection.execute(
                "update ytcaption.transcription set heartbeat_at = now() "
                "where id = %s and run_id = %s and status = 'running'",
                (id, run_id),
            )
            if changed.rowcount == 0:
                raise claim_lost(id)
            is_over = limits is not None and bool(fail_overdue(connection, limits, run_id))
        if is_over:
            raise TookTooLong(TOOK_TOO_LONG)

    def wait_for_slot(self, id: str, run_id: str) -> None:
        """The run does nothing until it claims again: that time does not count. No-op where the
        transcription is no longer this run's."""
        with self.postgres.transaction() as connection:
            connection.execute(
                "update ytcaption.transcription set working_since = null "
                "where id = %s and run_id = %s and status = 'running'",
                (id, run_id),
            )

    def progress(
        self,
        id: str,
        run_id: str,
        stage: str,
        done: float | None,
        total: float | None,
        *,
        is_milestone: bool = False,
    ) -> None:
        """How far the run is, in bytes or seconds of audio; a heartbeat, too.

        Args:
            is_milestone: it is worth an event, as `ytcaption.domain.progress_milestones` says.

        Raises:
            ClaimLost: the transcription is no longer this run's.
        """
        with self.postgres.transaction() as connection:
            row = connection.execute(
                """
                update ytcaption.transcription
                set stage = %(stage)s, progress_done = %(done)s, progress_total = %(total)s,
                    stage_started_at =
                        case when stage = %(stage)s then stage_started_at else now() end,
                    heartbeat_at = now(), updated_at = now()
                where id = %(id)s and run_id = %(run_id)s and status = 'running'
                returning id, media_id, run_id, attempt, traceparent
                """,
                {"stage": stage, "done": done, "total": total, "id": id, "run_id": run_id},
            ).fetchone()
            if row is None:
                raise claim_lost(id)
            if is_milestone:
                told = {"attempt": row["attempt"], "stage": stage, "done": done, "total": total}
                add_event(connection, row, EventType.PROGRESS, told)
            notify(connection, PROGRESS_CHANNEL, id)

    @traced("postgres.transcript_stored")
    def transcript_stored(
        self,
        id: str,
        run_id: str,
        transcript: Transcript,
        document_key: str,
        document_sha256: str,
        processing_s: float | None = None,
    ) -> None:
        """The transcript's document is in the object store; its segments replace earlier ones.

        Args:
            processing_s: what decoding and hearing the audio took; with its duration it is the RTF.

        Raises:
            ClaimLost: the transcription is no longer this run's.
        """
        segments = transcript.segments
        with self.postgres.transaction() as connection:
            row = claimed_row(connection, id, run_id)
            facts = {
                "language": transcript.language,
                "language_probability": transcript.language_probability,
                "duration_s": transcript.duration_s,
                "speech_s": transcript.speech_s,
                "segment_count": len(segments),
                "word_count": len(transcript.words),
                "dropped_count": len(transcript.dropped),
            }
            document = {"document_key": document_key, "document_sha256": document_sha256}
            connection.execute(
                """
                update ytcaption.transcription
                set language = %(language)s, language_probability = %(language_probability)s,
                    duration_s = %(duration_s)s, speech_s = %(speech_s)s,
                    segment_count = %(segment_count)s, word_count = %(word_count)s,
                    dropped_count = %(dropped_count)s, provenance = %(provenance)s,
                    document_key = %(document_key)s, document_sha256 = %(document_sha256)s,
                    published_on = (
                        select ytcaption.search_day(info, transcription.created_at)
                        from ytcaption.media where media.id = media_id
                    ),
                    heartbeat_at = now(), updated_at = now()
                where id = %(id)s
                """,
                facts
                | document
                | {"id": id, "provenance": Jsonb(clean(transcript.provenance.__dict__))},
            )
            connection.execute("delete from ytcaption.segment where transcription_id = %s", (id,))
            forget_embeddings(connection, id)
            forget_drafts(connection, id)
            forget_checkpoint(connection, id)
            forget_captions(connection, id)
            write_segments(connection, id, transcript.text_language, segments)
            stored = facts | document
            if processing_s is not None:
                stored["processing_s"] = round(processing_s, 3)
            add_event(connection, row, EventType.TRANSCRIPT_STORED, stored)
            notify(connection, PROGRESS_CHANNEL, id)

    @traced("postgres.complete")
    def complete(self, id: str, run_id: str) -> None:
        """All is done.

        Raises:
            ClaimLost: the transcription is no longer this run's.
        """
        with self.postgres.transaction() as connection:
            row = claimed_row(connection, id, run_id)
            connection.execute(
                """
                update ytcaption.transcription
                set status = 'completed', completed_at = now(), heartbeat_at = null, stage = null,
                    progress_done = null, progress_total = null, updated_at = now()
                where id = %s
                """,
                (id,),
            )
            told = {"attempt": row["attempt"]}
            add_event(connection, row, EventType.TRANSCRIPTION_COMPLETED, told)
            notify(connection, PROGRESS_CHANNEL, id)
