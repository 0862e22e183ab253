"""Transitions of one transcription's row, inside the caller's transaction, each with its event."""

import random
from typing import LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from resources.events import add_event
from resources.postgres.jsonb import clean
from resources.postgres.notify import ENDS_CHANNEL, PROGRESS_CHANNEL, WORK_CHANNEL, notify
from resources.postgres.predicates import is_erased, is_visible_to_owner
from ytcaption.domain.errors import (
    ClaimLost,
    TranscriptionErased,
    TranscriptionNotFound,
    YtcaptionError,
)
from ytcaption.domain.events import EventType
from ytcaption.domain.request import TranscriptionStatus

REQUEUE: LiteralString = """
    status = 'queued', attempt = attempt + 1, series_start = attempt + 1, queued_at = now(),
    next_attempt_at = now(), run_id = null, heartbeat_at = null, stage = null,
    progress_done = null, progress_total = null, error_code = null, error_message = null,
    worked_s = 0, updated_at = now()
"""
"""SQL: what an update sets that puts a transcription at rest into the queue, for a new series."""

NO_AUDIO: LiteralString = """
    audio_key = null, audio_sha256 = null, audio_size_bytes = null, audio_duration_s = null,
    audio_codec = null, audio_container = null, audio_sample_rate_hz = null, audio_channels = null,
    audio_stored_at = null
"""
"""SQL: what an update sets that forgets a media's audio."""

_JITTER = 0.25
_LONGEST_DELAY_S = 300.0
_LONGEST_MESSAGE = 1_000


def retry_delay_s(try_number: int, retry_after_s: float | None = None) -> float:
    """Seconds from the failure of a try, counted from 1, to the next: 1, 3, 7, ... and up to a
    quarter more, so that what failed together does not come back together; and no sooner than the
    source wants."""
    delay_s = min(2.0**try_number - 1.0, _LONGEST_DELAY_S)
    jitter_s = delay_s * random.uniform(0.0, _JITTER)  # noqa: S311 - no secret
    return max(delay_s, retry_after_s or 0.0) + jitter_s


VISIBLE: LiteralString = (
    "select * from ytcaption.transcription where id = %(id)s "  # noqa: S608
    f"and {is_visible_to_owner('%(id)s')} and not {is_erased('%(id)s')}"
)
"""SQL: the row of an id that an owner may see; takes `id` and `owner`."""

VERSIONS: LiteralString = f"""
select *, count(*) over () as versions,
    count(*) filter (where status = 'completed') over () as completed
from ytcaption.transcription t
where media_id = %(media_id)s and {is_visible_to_owner("t.id")} and not {is_erased("t.id")}
order by status = 'completed' desc, completed_at desc nulls last, id limit 1
"""  # noqa: S608
"""SQL: of a media's transcriptions that an owner may see, the newest completed one, or any where
none is, and how many there are; takes `media_id` and `owner`."""


def locked_row(connection: Connection[DictRow], id: str) -> DictRow:
    """The row, held until the transaction ends.

    Raises:
        TranscriptionNotFound: no such id.
    """
    row = connection.execute(
        "select * from ytcaption.transcription where id = %s for update", (id,)
    ).fetchone()
    if row is None:
        raise not_found(id)
    return row


def claimed_row(connection: Connection[DictRow], id: str, run_id: str) -> DictRow:
    """The row, held until the transaction ends, if it is this run's.

    Raises:
        ClaimLost: it is not.
    """
    row = connection.execute(
        "select * from ytcaption.transcription "
        "where id = %s and run_id = %s and status = 'running' for update",
        (id, run_id),
    ).fetchone()
    if row is None:
        raise claim_lost(id)
    return row


def locked_media(connection: Connection[DictRow], id: str) -> DictRow | None:
    """The row of a transcription's media, held until the transaction ends: before the
    transcription's own, as everywhere."""
    return connection.execute(
        "select * from ytcaption.media where id = "
        "(select media_id from ytcaption.transcription where id = %s) for update",
        (id,),
    ).fetchone()


def not_found(id: str) -> TranscriptionNotFound:
    """The error for an id that is not there."""
    return TranscriptionNotFound(f"There is no transcription {id[:120]}.")


def absent(connection: Connection[DictRow], id: str) -> YtcaptionError:
    """Why there is no row: TranscriptionErased where it was there once, else not found."""
    row = connection.execute(f"select {is_erased('%s')} as erased", (id,)).fetchone()
    return erased_error() if row and row["erased"] else not_found(id)


def erased_error() -> TranscriptionErased:
    """The error for what was there once."""
    return TranscriptionErased("This transcription was erased. Ask for it again to make it anew.")


def claim_lost(id: str) -> ClaimLost:
    """The error for a run that writes what is no longer its own."""
    return ClaimLost(
        f"This run no longer holds {id}: it was canceled, or another run has taken over. "
        "Nothing was written."
    )


def fail_attempt(
    connection: Connection[DictRow],
    row: DictRow,
    code: str,
    message: str,
    retryable: bool,
    max_attempts: int,
    retry_after_s: float | None = None,
) -> TranscriptionStatus:
    """Queue the next try, or let it rest: failed, or completed where an earlier result stands.

    Args:
        retry_after_s: the source wants to be asked no sooner.
    """
    error = (code, clean(message)[:_LONGEST_MESSAGE])
    failed = {"attempt": row["attempt"], "code": code}
    try_number = row["attempt"] - row["series_start"] + 1
    if retryable and try_number < max_attempts:
        delay_s = retry_delay_s(try_number, retry_after_s)
        queued = queue_again(connection, row, delay_s=delay_s, same_series=True, error=error)
        told = failed | queued | {"delay_s": round(delay_s, 3)}
        add_event(connection, row, EventType.RETRIED, told)
        return TranscriptionStatus.QUEUED
    status = TranscriptionStatus.FAILED
    if row["completed_at"] is not None:
        status = TranscriptionStatus.COMPLETED
    rest(connection, row, status, error=error)
    told = failed | {"status": status.value}
    add_event(connection, row, EventType.TRANSCRIPTION_FAILED, told)
    return status


def queue_again(
    connection: Connection[DictRow],
    row: DictRow,
    *,
    delay_s: float,
    same_series: bool,
    error: tuple[str, str] | None = None,
) -> dict[str, str | int]:
    """Queue the next attempt, under a number that Dagster has not seen, `delay_s` from now.

    Returns:
        What the event of it says of the row.
    """
    start = row["series_start"] if same_series else row["attempt"] + 1
    return _queue(connection, row, start, delay_s, error)


def try_later(
    connection: Connection[DictRow], row: DictRow, code: str, message: str, delay_s: float
) -> TranscriptionStatus:
    """Queue the next try, `delay_s` from now; the one that failed counts for nothing."""
    error = (code, clean(message)[:_LONGEST_MESSAGE])
    queued = _queue(connection, row, row["series_start"] + 1, delay_s, error)
    told = {"attempt": row["attempt"], "code": code, "delay_s": round(delay_s, 3)} | queued
    add_event(connection, row, EventType.RETRIED, told)
    return TranscriptionStatus.QUEUED


def give_back(connection: Connection[DictRow], row: DictRow, delay_s: float = 0.0) -> None:
    """Queue what a run has claimed and not begun, for `delay_s` from now: the attempt counts for
    nothing. Completed where an earlier result stands."""
    told: dict[str, str | int] = {"attempt": row["attempt"]}
    if row["completed_at"] is not None:
        rest(connection, row, TranscriptionStatus.COMPLETED)
        told["status"] = TranscriptionStatus.COMPLETED.value
    else:
        told |= _queue(connection, row, row["series_start"] + 1, delay_s, None)
    add_event(connection, row, EventType.GIVEN_BACK, told)


def _queue(
    connection: Connection[DictRow],
    row: DictRow,
    series_start: int,
    delay_s: float,
    error: tuple[str, str] | None,
) -> dict[str, str | int]:
    connection.execute(
        """
        update ytcaption.transcription
        set status = 'queued', attempt = attempt + 1, series_start = %(series_start)s,
            next_attempt_at = now() + make_interval(secs => %(delay_s)s),
            run_id = null, heartbeat_at = null, stage = null,
            progress_done = null, progress_total = null, is_downloading = false,
            error_code = %(code)s, error_message = %(message)s, updated_at = now()
        where id = %(id)s
        """,
        {
            "id": row["id"],
            "series_start": series_start,
            "delay_s": delay_s,
            "code": error[0] if error else None,
            "message": error[1] if error else None,
        },
    )
    forget_drafts(connection, row["id"])
    notify(connection, WORK_CHANNEL, row["id"])
    notify(connection, PROGRESS_CHANNEL, row["id"])
    return {
        "status": TranscriptionStatus.QUEUED.value,
        "next_attempt": row["attempt"] + 1,
        "series_start": series_start,
    }


def rest(
    connection: Connection[DictRow],
    row: DictRow,
    status: TranscriptionStatus,
    error: tuple[str, str] | None = None,
) -> None:
    """Leave it in a final status. The run's id stays, to be looked up."""
    connection.execute(
        """
        update ytcaption.transcription
        set status = %s, heartbeat_at = null, stage = null, progress_done = null,
            progress_total = null, is_downloading = false, error_code = %s, error_message = %s,
            updated_at = now()
        where id = %s
        """,
        (status.value, *(error or (None, None)), row["id"]),
    )
    forget_drafts(connection, row["id"])
    notify(connection, PROGRESS_CHANNEL, row["id"])
    if row["is_downloading"]:
        notify(connection, WORK_CHANNEL, "")  # its site has a place


def cancel_row(connection: Connection[DictRow], row: DictRow) -> None:
    """Stop it: canceled, or completed where an earlier result still stands."""
    done = row["completed_at"] is not None
    status = TranscriptionStatus.COMPLETED if done else TranscriptionStatus.CANCELED
    rest(connection, row, status)
    notify(connection, ENDS_CHANNEL, "")
    data = {"attempt": row["attempt"], "status": status.value}
    add_event(connection, row, EventType.CANCELED, data)


def forget_drafts(connection: Connection[DictRow], id: str) -> None:
    """What was heard while decoding is void, or has become the text."""
    connection.execute("delete from ytcaption.draft_segment where transcription_id = %s", (id,))
