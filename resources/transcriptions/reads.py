"""Reads of transcriptions and media by id. `listing` reads pages, `segments` the text.

A transcription is visible to those who requested it, and to callers that may see everything.
"""

from collections.abc import Iterable
from typing import LiteralString

from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.telemetry.spans import traced
from resources.transcriptions.rows import (
    MediaRow,
    MediaVersions,
    TranscriptionRow,
    media_row,
    transcription_row,
)
from resources.transcriptions.seen_media import media_columns
from resources.transcriptions.state import VERSIONS, VISIBLE, absent
from ytcaption.domain.errors import MediaNotFound, TranscriptionNotFound
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.domain.transcripts.timings import UNKNOWN, Timings

_MEDIA: LiteralString = (
    f"select {media_columns('media', '%(owner)s')} from ytcaption.media where id = %(id)s"  # noqa: S608
)
_TIMINGS = """
    with stored as (
        select number, (data ->> 'processing_s')::float8 as processing_s
        from ytcaption.event
        where transcription_id = %(id)s and event_type = 'TranscriptStored'
        order by number desc limit 1
    ), queued as (
        select event.number, event."timestamp"
        from ytcaption.event, stored
        where transcription_id = %(id)s and event_type in ('TranscriptionCreated', 'Queued')
            and event.number < stored.number
        order by event.number desc limit 1
    )
    select stored.processing_s, queued."timestamp" as queued_at, (
        select min("timestamp") from ytcaption.event
        where transcription_id = %(id)s and event_type = 'Started'
            and event.number > queued.number and event.number < stored.number
    ) as started_at
    from stored left join queued on true
"""


@traced("postgres.get")
def get_transcription(postgres: Postgres, id: str, owner: str | None = None) -> TranscriptionRow:
    """Return one transcription.

    Args:
        owner: must have requested it (`Caller.sees_only`); None: no restriction.

    Raises:
        TranscriptionNotFound: no such id, or this owner has not requested it.
        TranscriptionErased: it existed and was erased.
    """
    rows = postgres.rows(VISIBLE, {"id": id, "owner": owner})
    if not rows:
        with postgres.transaction() as connection:
            raise absent(connection, id, owner)
    return transcription_row(rows[0])


def get_transcriptions(postgres: Postgres, ids: Iterable[str]) -> dict[str, TranscriptionRow]:
    """Return the transcriptions of these ids that exist, by id."""
    rows = postgres.rows(
        "select * from ytcaption.transcription where id = any(%(ids)s)", {"ids": list(ids)}
    )
    return {row["id"]: transcription_row(row) for row in rows}


def get_media(postgres: Postgres, media_id: str) -> MediaRow:
    """Return one media item as runs and operators need it: with the link of the next download, and
    the latest title that any owner gave.

    Raises:
        MediaNotFound: no such id.
    """
    row = _media(postgres, media_id, None)
    return media_row(row | {"given_url": row["url"]})


def seen_media(postgres: Postgres, media_id: str, owner: str | None) -> MediaRow:
    """Return one media item as a caller sees it.

    Args:
        owner: `Caller.sees_only`, whose own titles and links are in it; None: those of all owners.

    Raises:
        MediaNotFound: no such id.
    """
    return media_row(_media(postgres, media_id, owner))


def _media(postgres: Postgres, media_id: str, owner: str | None) -> DictRow:
    rows = postgres.rows(_MEDIA, {"id": media_id, "owner": owner})
    if not rows:
        raise MediaNotFound(f"There is no media {media_id[:120]}.")
    return rows[0]


def media_versions(postgres: Postgres, media_id: str, owner: str | None = None) -> MediaVersions:
    """Return a media item and the latest of its transcriptions.

    Args:
        owner: must have requested them (`Caller.sees_only`); None: no restriction.

    Raises:
        TranscriptionNotFound: no such media, or this owner has requested none of it.
    """
    rows = postgres.rows(VERSIONS, {"media_id": media_id, "owner": owner})
    if not rows:
        raise TranscriptionNotFound(
            f"There is no transcription of {media_id[:120]}. Ask for one with its link."
        )
    [row] = rows
    latest = transcription_row(row) if row["status"] == "completed" else None
    media = seen_media(postgres, media_id, owner)
    return MediaVersions(media, row["versions"], row["completed"], latest)


def transcript_timings(postgres: Postgres, id: str) -> Timings:
    """Return when the stored transcript was queued and started and how long it took, by its
    events."""
    rows = postgres.rows(_TIMINGS, {"id": id})
    return Timings(**rows[0]) if rows else UNKNOWN


def status_counts(postgres: Postgres) -> dict[TranscriptionStatus, int]:
    """Return the number of transcriptions in each status."""
    rows = postgres.rows(
        "select status, count(*) as number from ytcaption.transcription group by status", {}
    )
    numbers = {row["status"]: row["number"] for row in rows}
    return {status: numbers.get(status.value, 0) for status in TranscriptionStatus}


def completed_ids(postgres: Postgres) -> list[str]:
    """Return the ids of all completed transcriptions."""
    rows = postgres.rows(
        "select id from ytcaption.transcription where status = 'completed' order by id", {}
    )
    return [row["id"] for row in rows]
