"""What is written of a run's download: its leave to begin, and the audio or captions it brought."""

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.events import add_event
from resources.network.proxy_health import all_cooling_until, proxies_in_turn
from resources.postgres.jsonb import clean
from resources.postgres.notify import PROGRESS_CHANNEL, WORK_CHANNEL, notify
from resources.sites.circuit_breaker import admit, lock_site, record_success
from resources.sites.pacing import (
    moment,
    record_download_end,
    record_download_start,
    why_bulk_waits,
)
from resources.telemetry.spans import traced
from resources.transcriptions.accuracy import forget_reference, keep_reference
from resources.transcriptions.captions import keep_captions
from resources.transcriptions.run_outcomes import RunOutcomes
from resources.transcriptions.state import claimed_row, give_back, locked_media
from ytcaption.domain.caption_choice import CaptionChoice
from ytcaption.domain.captions.track_segments import CaptionReference, CaptionTrack
from ytcaption.domain.errors import SourcePaused
from ytcaption.domain.events import EventType
from ytcaption.domain.media.media import MediaInfo, StoredAudio
from ytcaption.domain.media.pacing import UNPACED, Pacing, seconds_until
from ytcaption.domain.media.reupload import AudioFacts, changed


class RunDownloads(RunOutcomes):
    """From the moment on at which a run wants something of a site."""

    @traced("postgres.begin_download")
    def begin_download(
        self, id: str, run_id: str, per_site: int, pacing: Pacing = UNPACED
    ) -> tuple[str, ...]:
        """Where the run may download from its media's site now: the proxies that it may go out
        through, by name, those first that have rested longest; none where none are set.

        Args:
            per_site: most downloads from one site at a time.
            pacing: what bulk ones keep to.

        Raises:
            SourcePaused: it may not; the transcription waits in the queue again, with as many
                attempts left as it had.
            ClaimLost: the transcription is no longer this run's.
        """
        with self.postgres.transaction() as connection:
            row = claimed_row(connection, id, run_id)
            media = connection.execute(
                "select site from ytcaption.media where id = %s", (row["media_id"],)
            ).fetchone()
            site = media["site"] if media else None
            refusal = self._refusal(connection, row, site, per_site, pacing) if site else None
            if refusal is None:
                if site:
                    record_download_start(connection, site, pacing)
                connection.execute(
                    "update ytcaption.transcription set is_downloading = %s, source_site = %s "
                    "where id = %s",
                    (site is not None, site, id),
                )
                return proxies_in_turn(connection, pacing.proxies)
            give_back(connection, row, refusal.retry_after_s or 0.0)
        raise refusal

    def _refusal(
        self,
        connection: Connection[DictRow],
        row: DictRow,
        site: str,
        per_site: int,
        pacing: Pacing,
    ) -> SourcePaused | None:
        lock_site(connection, site)
        way_at = all_cooling_until(connection, pacing.proxies)
        if way_at is not None:
            held = SourcePaused("No proxy of this installation works. It waits until one is tried.")
            held.retry_after_s = seconds_until(way_at, moment(connection))
            return held
        if row["priority"] == "bulk":
            refusal = why_bulk_waits(connection, row, site, pacing)
            if refusal is not None:
                return refusal
        return admit(connection, row, site, per_site)

    @traced("postgres.audio_stored")
    def audio_stored(
        self,
        id: str,
        run_id: str,
        info: MediaInfo,
        audio: StoredAudio,
        reference: CaptionReference | None = None,
    ) -> None:
        """The media's audio is in the object store, and this is what its source says of it. Other
        audio than there was before under this id is noted: what was made of that can be made anew.

        Args:
            reference: captions that were fetched beside it.

        Raises:
            ClaimLost: the transcription is no longer this run's.
        """
        with self.postgres.transaction() as connection:
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
                keep_reference(connection, row["media_id"], reference)
            elif change is not None:
                forget_reference(connection, row["media_id"])
            _fetched(connection, row)

    @traced("postgres.captions_settled")
    def captions_settled(
        self,
        id: str,
        run_id: str,
        choice: CaptionChoice,
        track: CaptionTrack | None,
        info: MediaInfo | None,
    ) -> None:
        """What came of looking for captions: kept until there is a text.

        Args:
            track: None: there are none to use; the audio is heard.
            info: what the source says of the media, where nothing more is wanted of it.

        Raises:
            ClaimLost: the transcription is no longer this run's.
        """
        with self.postgres.transaction() as connection:
            locked_media(connection, id)
            row = claimed_row(connection, id, run_id)
            keep_captions(connection, id, choice, track)
            if track is not None:
                data = {"kind": choice.kind, "size_bytes": len(track.data)}
                add_event(connection, row, EventType.CAPTIONS_DOWNLOADED, data)
            if info is not None:
                connection.execute(
                    "update ytcaption.media set info = %s, updated_at = now() where id = %s",
                    (Jsonb(clean(info.to_dict())), row["media_id"]),
                )
                _fetched(connection, row)


def _change(media: DictRow, audio: StoredAudio) -> str | None:
    """What is other about the audio than the last time; a site's file may be converted anew."""
    is_file = media["kind"] == "direct"
    before = AudioFacts(media["last_duration_s"], sha256=media["last_sha256"] if is_file else None)
    return changed(before, AudioFacts(audio.duration_s, sha256=audio.sha256 if is_file else None))


def _fetched(connection: Connection[DictRow], row: DictRow) -> None:
    """The site gave what was wanted of it."""
    connection.execute(
        "update ytcaption.transcription set heartbeat_at = now(), updated_at = now(), "
        "source_site = null, is_downloading = false where id = %s",
        (row["id"],),
    )
    notify(connection, PROGRESS_CHANNEL, row["id"])
    if row["is_downloading"]:
        record_success(connection, row["source_site"], row["run_id"])
        record_download_end(connection, row["source_site"])
        notify(connection, WORK_CHANNEL, "")  # the site has a place
