"""What a request changes: its media's row, and its transcription's where it is known already."""

from psycopg import Connection
from psycopg.rows import DictRow

from resources.request_rows import clean
from ytcaption_assets.domain.errors import TranscriptionBusy
from ytcaption_assets.domain.media import MediaSource
from ytcaption_assets.domain.request import Priority, TranscriptionStatus


def upsert_media(connection: Connection[DictRow], source: MediaSource) -> None:
    """Know the media; what was known of it stays."""
    connection.execute(
        """
        insert into ytcaption.media as known (id, kind, url, extractor, title)
        values (%s, %s, %s, %s, %s)
        on conflict (id) do update
        set url = coalesce(excluded.url, known.url),
            extractor = coalesce(excluded.extractor, known.extractor),
            title = coalesce(known.title, excluded.title),
            updated_at = now()
        """,
        (source.media_id, source.kind, source.url, source.extractor, clean(source.title)),
    )


def ask_again(
    connection: Connection[DictRow], row: DictRow, priority: Priority, force: bool
) -> bool:
    """Put into the queue once more what is known already, if that is what asking means; whether so.

    Raises:
        TranscriptionBusy: forced while a run works on it.
    """
    status = TranscriptionStatus(row["status"])
    if force and status is TranscriptionStatus.RUNNING:
        raise TranscriptionBusy(
            f"A run is working on {row['id']}. Wait for it to end, or cancel it, then force."
        )
    if force:
        _forget_result(connection, row)
    if status is TranscriptionStatus.QUEUED and priority == "interactive":
        connection.execute(
            "update ytcaption.transcription set priority = 'interactive' where id = %s",
            (row["id"],),
        )
    if not status.is_final or (status is TranscriptionStatus.COMPLETED and not force):
        return False
    connection.execute(
        """
        update ytcaption.transcription
        set status = 'queued', priority = %s, attempt = attempt + 1, series_start = attempt + 1,
            queued_at = now(), next_attempt_at = now(), run_id = null, heartbeat_at = null,
            stage = null, progress_done = null, progress_total = null, error_code = null,
            error_message = null, updated_at = now()
        where id = %s
        """,
        (priority, row["id"]),
    )
    return True


def _forget_result(connection: Connection[DictRow], row: DictRow) -> None:
    connection.execute(
        """
        update ytcaption.transcription
        set document_key = null, document_sha256 = null, completed_at = null,
            status = case status when 'completed' then 'canceled' else status end
        where id = %s
        """,
        (row["id"],),
    )
    connection.execute(
        """
        update ytcaption.media
        set audio_key = null, audio_sha256 = null, audio_size_bytes = null,
            audio_duration_s = null, audio_codec = null, audio_container = null,
            audio_sample_rate_hz = null, audio_channels = null, audio_stored_at = null
        where id = %s and kind <> 'upload'
        """,
        (row["media_id"],),
    )
