"""Writes of the run that transcribes: its claim, heartbeats, downloads, transcript and outcome.

A run claims its row. Every later write says `where run_id = mine and status = 'running'`, so that a
revived, duplicated or canceled run changes nothing: it gets ClaimLost. Each change of state is one
transaction with its event. Rows are locked in the order media, transcription. All writes are in one
file, since they share the condition of the claim and the order of locks.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import dagster as dg
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.embeddings.store import forget_embeddings
from resources.events import add_event
from resources.network.proxy_health import all_cooling_until, available_proxies
from resources.postgres.connection import Postgres, Role
from resources.postgres.database_clock import DatabaseClock
from resources.postgres.jsonb import clean
from resources.postgres.notify import PROGRESS_CHANNEL, WORK_CHANNEL, notify
from resources.sites.circuit_breaker import (
    SITE_ERRORS,
    admit,
    lock_site,
    record_failure,
    record_success,
)
from resources.sites.pacing import (
    database_now,
    record_download_end,
    record_download_start,
    why_bulk_waits,
)
from resources.telemetry.spans import traced
from resources.transcriptions.accuracy import delete_reference, store_reference
from resources.transcriptions.captions import delete_captions, store_captions
from resources.transcriptions.checkpoints import delete_checkpoint
from resources.transcriptions.rows import TranscriptionRow, transcription_row
from resources.transcriptions.segments import write_segments
from resources.transcriptions.state import (
    claim_lost,
    claimed_row,
    delete_drafts,
    fail_attempt,
    finish_row,
    give_back,
    locked_media,
    locked_row,
    queue_again,
    try_later,
)
from resources.transcriptions.time_limits import (
    LEFT_S,
    TOOK_TOO_LONG,
    TimeLimits,
    fail_overdue,
    leave_out,
)
from ytcaption.domain.caption_choice import CaptionChoice
from ytcaption.domain.captions.track_segments import CaptionReference, CaptionTrack
from ytcaption.domain.errors import (
    ClaimLost,
    NetworkUnavailable,
    SourcePaused,
    TookTooLong,
    TranscriptionBusy,
)
from ytcaption.domain.events import EventType
from ytcaption.domain.media.media import MediaInfo, StoredAudio
from ytcaption.domain.media.pacing import UNPACED, Pacing, seconds_until
from ytcaption.domain.media.reupload import AudioFacts, changed
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings.settings import Settings

OTHERS_FIRST_S = 5.0
"""Delay after a site's next probe: a transcription whose own probe failed lets others go first."""

FREE_PROBES_S = 3600.0
"""Seconds after its request in which a transcription's failed probes of its site, and failures
while this machine has no network, do not count as attempts. Unlimited, a request that no site can
answer would wait for ever."""

OFFLINE_RETRY_S = 30.0
"""Delay after a failure while this machine has no network."""


_HEARTBEAT: LiteralString = f"""
update ytcaption.transcription set heartbeat_at = now()
where id = %(id)s and run_id = %(run_id)s and status = 'running'
returning extract(epoch from now())::float8 as at_s, coalesce({LEFT_S} <= 0, false) as is_over
"""  # noqa: S608

_PROGRESS: LiteralString = """
with changed as (
    update ytcaption.transcription
    set stage = %(stage)s, progress_done = %(done)s, progress_total = %(total)s,
        stage_started_at = case when stage = %(stage)s then stage_started_at else now() end,
        heartbeat_at = now(), updated_at = now()
    where id = %(id)s and run_id = %(run_id)s and status = 'running'
    returning id, media_id, run_id, attempt, traceparent
)
select changed.*, pg_notify(%(channel)s, id)::text as notified from changed
"""


class RunStore(dg.ConfigurableResource):
    """Writes of a run to the transcription it has claimed.

    Unless a method says otherwise, it raises ClaimLost where the transcription is no longer this
    run's, and DatabaseUnavailable where nothing was written.
    """

    postgres: Postgres

    @classmethod
    def from_settings(cls, settings: Settings, role: Role = "dagster") -> "RunStore":
        """Return a store that connects with the rights of one role."""
        return cls(postgres=Postgres.from_settings(settings, role))

    @traced("postgres.claim")
    def claim(self, id: str, run_id: str, attempt: int | None = None) -> TranscriptionRow:
        """Claim the transcription for this run, which works on it from now on. A second claim by
        the same run only restarts the clock of its time limits.

        Args:
            attempt: the attempt the run was started for. None for a run started by hand, which may
                also repeat a completed, failed or canceled transcription.

        Raises:
            TranscriptionNotFound: no such id.
            TranscriptionBusy: another run works on it.
            ClaimLost: it is not queued for this attempt, or no longer.
        """
        with _statements(self.postgres) as connection:
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
            new_series = 0 if row["status"] == "queued" else 1
            claimed = connection.execute(
                """
                update ytcaption.transcription
                set status = 'running', run_id = %(run_id)s, heartbeat_at = now(),
                    started_at = now(), stage = 'starting', stage_started_at = now(),
                    attempt = attempt + %(new_series)s,
                    series_start =
                        case %(new_series)s when 0 then series_start else attempt + 1 end,
                    progress_done = null, progress_total = null, is_downloading = false,
                    working_since = now(),
                    worked_s = case %(new_series)s when 0 then worked_s else 0 end,
                    error_code = null, error_message = null, updated_at = now()
                where id = %(id)s
                returning *
                """,
                {"id": id, "run_id": run_id, "new_series": new_series},
            ).fetchone()
            assert claimed is not None
            delete_drafts(connection, id)
            data = {"attempt": claimed["attempt"], "series_start": claimed["series_start"]}
            add_event(connection, claimed, EventType.STARTED, data)
            notify(connection, PROGRESS_CHANNEL, id)
            return transcription_row(claimed)

    def heartbeat(
        self,
        id: str,
        run_id: str,
        limits: TimeLimits | None = None,
        clock: DatabaseClock | None = None,
    ) -> None:
        """Record that the run is alive, and fail the transcription if it is past its time limits.

        Args:
            clock: of the run's process. By how much the database's clock was set, or the machine
                slept, does not count for the limits.

        Raises:
            TookTooLong: it was.
        """
        # Every second: one round trip, unless a limit seems to be reached or the clock was set.
        rows = self.postgres.rows(
            _HEARTBEAT,
            {"id": id, "run_id": run_id, **(limits or TimeLimits(math.inf, math.inf))._asdict()},
        )
        if not rows:
            raise claim_lost(id)
        step_s = 0.0 if clock is None else clock.step_s(rows[0]["at_s"])
        if limits is None or (not step_s and not rows[0]["is_over"]):
            return
        with self.postgres.transaction() as connection:
            if step_s:
                leave_out(connection, id, step_s)
            is_over = bool(fail_overdue(connection, limits, run_id))
        if is_over:
            raise TookTooLong(TOOK_TOO_LONG)

    def wait_for_slot(self, id: str, run_id: str) -> None:
        """Stop the clock of the time limits until the run claims the transcription again: it waits
        for a slot of its next asset. Does nothing where the transcription is not this run's."""
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
        """Record the run's progress, in bytes or seconds of audio. Counts as a heartbeat.

        Args:
            is_milestone: append an event, too (see `ytcaption.domain.progress_milestones`).
        """
        values = {"stage": stage, "done": done, "total": total, "id": id, "run_id": run_id}
        values["channel"] = PROGRESS_CHANNEL
        if not is_milestone:  # twice a second: one round trip
            if not self.postgres.rows(_PROGRESS, values):
                raise claim_lost(id)
            return
        with self.postgres.transaction() as connection:
            row = connection.execute(_PROGRESS, values).fetchone()
            if row is None:
                raise claim_lost(id)
            data = {"attempt": row["attempt"], "stage": stage, "done": done, "total": total}
            add_event(connection, row, EventType.PROGRESS, data)

    @traced("postgres.begin_download")
    def begin_download(
        self, id: str, run_id: str, per_site: int, pacing: Pacing = UNPACED
    ) -> tuple[str, ...]:
        """Begin a download from the media's site, if the site may be used now.

        Args:
            per_site: maximum number of simultaneous downloads from one site.
            pacing: limits of bulk downloads.

        Returns:
            Names of the proxies the run may use, the longest unused first; empty if none are set.

        Raises:
            SourcePaused: not now. The transcription is queued again and keeps its attempts.
            ClaimLost: the transcription is no longer this run's.
        """
        with _statements(self.postgres) as connection:
            row = claimed_row(connection, id, run_id)
            media = connection.execute(
                "select site from ytcaption.media where id = %s", (row["media_id"],)
            ).fetchone()
            site = media["site"] if media else None
            refusal = _refusal(connection, row, site, per_site, pacing) if site else None
            if refusal is None:
                if site:
                    record_download_start(connection, site, pacing)
                connection.execute(
                    "update ytcaption.transcription set is_downloading = %s, source_site = %s "
                    "where id = %s",
                    (site is not None, site, id),
                )
                return available_proxies(connection, pacing.proxies)
            give_back(connection, row, refusal.retry_after_s or 0.0)
        raise refusal

    @traced("postgres.audio_stored")
    def audio_stored(
        self,
        id: str,
        run_id: str,
        info: MediaInfo,
        audio: StoredAudio,
        reference: CaptionReference | None = None,
    ) -> None:
        """Record that the media's audio is in the object store, with its description. If it is not
        the audio stored before under this id, the media is marked as changed, so that its
        transcripts can be made again.

        Args:
            reference: captions downloaded with the audio, to measure the transcript by.
        """
        with _statements(self.postgres) as connection:
            media = locked_media(connection, id)
            row = claimed_row(connection, id, run_id)
            change = _change(media, audio) if media is not None else None
            connection.execute(
                """
                update ytcaption.media
                set info = %(info)s, audio_key = %(key)s, audio_sha256 = %(sha256)s,
                    audio_size_bytes = %(size_bytes)s, audio_duration_s = %(duration_s)s,
                    audio_codec = %(codec)s, audio_container = %(container)s,
                    audio_sample_rate_hz = %(sample_rate_hz)s, audio_channels = %(channels)s,
                    audio_stored_at = now(), updated_at = now(),
                    last_sha256 = %(sha256)s, last_duration_s = %(duration_s)s,
                    change = coalesce(%(change)s, change),
                    changed_at = case when %(change)s::text is null then changed_at else now() end
                where id = %(media_id)s
                """,
                {
                    **audio.__dict__,
                    "change": change,
                    "info": Jsonb(clean(info.to_dict())),
                    "media_id": row["media_id"],
                },
            )
            data = {
                "kind": media["kind"] if media else None,
                "sha256": audio.sha256,
                "size_bytes": audio.size_bytes,
                "duration_s": audio.duration_s,
            }
            add_event(connection, row, EventType.AUDIO_DOWNLOADED, data)
            if reference is not None:
                store_reference(connection, row["media_id"], reference)
            elif change is not None:
                delete_reference(connection, row["media_id"])
            _end_download(connection, row)

    @traced("postgres.captions_settled")
    def captions_settled(
        self,
        id: str,
        run_id: str,
        choice: CaptionChoice,
        track: CaptionTrack | None,
        info: MediaInfo | None,
    ) -> None:
        """Store which captions of the source are used, until the transcript is stored.

        Args:
            track: the captions; None: there are none to use, and the audio is transcribed.
            info: the source's description of the media, if nothing else is downloaded.
        """
        with _statements(self.postgres) as connection:
            locked_media(connection, id)
            row = claimed_row(connection, id, run_id)
            store_captions(connection, id, choice, track)
            if track is not None:
                data = {"kind": choice.kind, "size_bytes": len(track.data)}
                add_event(connection, row, EventType.CAPTIONS_DOWNLOADED, data)
            if info is not None:
                connection.execute(
                    "update ytcaption.media set info = %s, updated_at = now() where id = %s",
                    (Jsonb(clean(info.to_dict())), row["media_id"]),
                )
                _end_download(connection, row)

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
        """Record that the transcript's document is in the object store, and replace the stored
        segments by its own.

        Args:
            processing_s: seconds spent on decoding and transcribing; divided by the audio's
                duration it is the RTF.
        """
        segments = transcript.segments
        with _statements(self.postgres) as connection:
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
            delete_drafts(connection, id)
            delete_checkpoint(connection, id)
            delete_captions(connection, id)
            write_segments(connection, id, transcript.text_language, segments)
            stored = facts | document
            if processing_s is not None:
                stored["processing_s"] = round(processing_s, 3)
            add_event(connection, row, EventType.TRANSCRIPT_STORED, stored)
            notify(connection, PROGRESS_CHANNEL, id)

    @traced("postgres.complete")
    def complete(self, id: str, run_id: str) -> None:
        """Complete the transcription."""
        with _statements(self.postgres) as connection:
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
            data = {"attempt": row["attempt"]}
            add_event(connection, row, EventType.TRANSCRIPTION_COMPLETED, data)
            notify(connection, PROGRESS_CHANNEL, id)

    def release(self, id: str, run_id: str) -> TranscriptionStatus:
        """Release the transcription after a run that succeeded without completing it, such as a run
        of some of the assets: completed again if it was completed before, else queued for its next
        attempt. Return the new status."""
        with self.postgres.transaction() as connection:
            row = claimed_row(connection, id, run_id)
            if row["completed_at"] is not None:
                finish_row(connection, row, TranscriptionStatus.COMPLETED)
                status = TranscriptionStatus.COMPLETED
                data: dict[str, str | int] = {"status": status.value}
            else:
                data = queue_again(connection, row, delay_s=0.0, same_series=False)
                status = TranscriptionStatus.QUEUED
            add_event(connection, row, EventType.RELEASED, {"attempt": row["attempt"]} | data)
            return status

    @traced("postgres.fail")
    def fail(
        self,
        id: str,
        run_id: str,
        code: str,
        message: str,
        retryable: bool,
        max_attempts: int,
        retry_after_s: float | None = None,
    ) -> TranscriptionStatus:
        """Record the run's failure: the transcription is queued for its next attempt, 1, 3 and 7 s
        after the first three, or failed. Return the new status.

        A download that fails through the site's fault counts against the site. In the first hour
        after the request, neither a failed probe of a failing site nor a failure while this machine
        has no network counts as an attempt.

        Args:
            code, message, retry_after_s: of a YtcaptionError.
            max_attempts: all attempts, the first one included.
        """
        with self.postgres.transaction() as connection:
            row = claimed_row(connection, id, run_id)
            if row["is_downloading"]:
                record_download_end(connection, row["source_site"])
            if code == NetworkUnavailable.code and _is_recent(connection, row):
                return try_later(connection, row, code, message, OFFLINE_RETRY_S)
            if row["is_downloading"] and code in SITE_ERRORS:
                probe_in_s = record_failure(
                    connection, row["source_site"], row["run_id"], code, retry_after_s, row["id"]
                )
                if probe_in_s is not None and _is_recent(connection, row):
                    # A little later than the next probe, which others make if there are any.
                    return try_later(connection, row, code, message, probe_in_s + OTHERS_FIRST_S)
            return fail_attempt(
                connection, row, code, message, retryable, max_attempts, retry_after_s
            )


@contextmanager
def _statements(postgres: Postgres) -> Iterator[Connection[DictRow]]:
    """Yield a connection in a transaction of many statements.

    They are sent without waiting for each answer; the next row that is fetched, or the end, waits
    for all. An error is raised then.
    """
    with postgres.transaction() as connection, connection.pipeline():
        yield connection


def _refusal(
    connection: Connection[DictRow], row: DictRow, site: str, per_site: int, pacing: Pacing
) -> SourcePaused | None:
    """Return why the site must not be used now, or None if it may be."""
    lock_site(connection, site)
    proxies_until = all_cooling_until(connection, pacing.proxies)
    if proxies_until is not None:
        refusal = SourcePaused("No proxy of this installation works. It waits until one is tried.")
        refusal.retry_after_s = seconds_until(proxies_until, database_now(connection))
        return refusal
    if row["priority"] == "bulk":
        refusal = why_bulk_waits(connection, row, site, pacing)
        if refusal is not None:
            return refusal
    return admit(connection, row, site, per_site)


def _change(media: DictRow, audio: StoredAudio) -> str | None:
    """Return how the audio differs from the last one, or None. Checksums are compared for direct
    files only: a site may encode the same recording differently each time."""
    is_file = media["kind"] == "direct"
    before = AudioFacts(media["last_duration_s"], sha256=media["last_sha256"] if is_file else None)
    return changed(before, AudioFacts(audio.duration_s, sha256=audio.sha256 if is_file else None))


def _end_download(connection: Connection[DictRow], row: DictRow) -> None:
    """Record that the site's part is done, and free its download slot."""
    connection.execute(
        "update ytcaption.transcription set heartbeat_at = now(), updated_at = now(), "
        "source_site = null, is_downloading = false where id = %s",
        (row["id"],),
    )
    notify(connection, PROGRESS_CHANNEL, row["id"])
    if row["is_downloading"]:
        record_success(connection, row["source_site"], row["run_id"])
        record_download_end(connection, row["source_site"])
        notify(connection, WORK_CHANNEL, "")  # the site has a free slot


def _is_recent(connection: Connection[DictRow], row: DictRow) -> bool:
    """Whether the transcription was queued within the last `FREE_PROBES_S`."""
    answer = connection.execute(
        "select now() - %s < make_interval(secs => %s) as is_recent",
        (row["queued_at"], FREE_PROBES_S),
    ).fetchone()
    return answer is not None and answer["is_recent"]
