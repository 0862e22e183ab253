"""State changes of one transcription's row, each with its event, in the caller's transaction."""

import random
from typing import LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from resources.events import add_event
from resources.postgres.jsonb import clean
from resources.postgres.notify import ENDS_CHANNEL, PROGRESS_CHANNEL, WORK_CHANNEL, notify
from resources.postgres.predicates import is_erased, is_erased_for, is_visible_to_owner
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
"""SQL: assignments that queue a finished transcription, with a new series of attempts."""

NO_AUDIO: LiteralString = """
    audio_key = null, audio_sha256 = null, audio_size_bytes = null, audio_duration_s = null,
    audio_codec = null, audio_container = null, audio_sample_rate_hz = null, audio_channels = null,
    audio_stored_at = null
"""
"""SQL: assignments that remove a media item's audio from its row."""

_JITTER = 0.25
"""Maximum random addition to a retry delay, as a share of it."""

_MAX_DELAY_S = 300.0
_MAX_MESSAGE_CHARS = 1_000


def retry_delay_s(try_number: int, retry_after_s: float | None = None) -> float:
    """Return the seconds from a failure to the next attempt: 1, 3, 7, ... and up to a quarter more,
    so that what failed together is not retried together.

    Args:
        try_number: the failed attempt of this series, from 1.
        retry_after_s: minimum delay the source demands.
    """
    delay_s = min(2.0**try_number - 1.0, _MAX_DELAY_S)
    jitter_s = delay_s * random.uniform(0.0, _JITTER)  # noqa: S311 - no secret
    return max(delay_s, retry_after_s or 0.0) + jitter_s


VISIBLE: LiteralString = (
    "select * from ytcaption.transcription where id = %(id)s "  # noqa: S608
    f"and {is_visible_to_owner('%(id)s')} and not {is_erased('%(id)s')}"
)
"""SQL: the row of an id if an owner may see it. Parameters: `id`, `owner`."""

VERSIONS: LiteralString = f"""
select *, count(*) over () as versions,
    count(*) filter (where status = 'completed') over () as completed
from ytcaption.transcription t
where media_id = %(media_id)s and {is_visible_to_owner("t.id")} and not {is_erased("t.id")}
order by status = 'completed' desc, completed_at desc nulls last, id limit 1
"""  # noqa: S608
"""SQL: the latest completed transcription of a media item that an owner may see, or any of them if
none is completed, and how many there are. Parameters: `media_id`, `owner`."""


def locked_row(connection: Connection[DictRow], id: str) -> DictRow:
    """Return the row, locked until the transaction ends.

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
    """Return the row, locked until the transaction ends, if this run holds it.

    Raises:
        ClaimLost: it does not.
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
    """Return the row of a transcription's media, locked until the transaction ends. Lock it before
    the transcription's own row: this order is used everywhere."""
    return connection.execute(
        "select * from ytcaption.media where id = "
        "(select media_id from ytcaption.transcription where id = %s) for update",
        (id,),
    ).fetchone()


def not_found(id: str) -> TranscriptionNotFound:
    """Return the error for an id that does not exist."""
    return TranscriptionNotFound(f"There is no transcription {id[:120]}.")


def absent(connection: Connection[DictRow], id: str, owner: str | None) -> YtcaptionError:
    """Return why an owner sees no row: TranscriptionErased if they had it, else
    TranscriptionNotFound.

    Args:
        owner: `Caller.sees_only`; None: sees everything.
    """
    row = connection.execute(
        f"select {is_erased_for('%(id)s')} as erased",
        {"id": id, "owner": owner},
    ).fetchone()
    return erased_error() if row and row["erased"] else not_found(id)


def erased_error() -> TranscriptionErased:
    """Return the error for an erased transcription."""
    return TranscriptionErased(
        "This transcription was erased. Request it again to transcribe it again."
    )


def claim_lost(id: str) -> ClaimLost:
    """Return the error for a write of a run that does not hold the transcription."""
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
    """Queue the next attempt, or finish it: failed, or completed if an earlier result stands.
    Return the new status.

    Args:
        retry_after_s: minimum delay the source demands.
    """
    error = (code, clean(message)[:_MAX_MESSAGE_CHARS])
    failed = {"attempt": row["attempt"], "code": code}
    try_number = row["attempt"] - row["series_start"] + 1
    if retryable and try_number < max_attempts:
        delay_s = retry_delay_s(try_number, retry_after_s)
        queued = queue_again(connection, row, delay_s=delay_s, same_series=True, error=error)
        data = failed | queued | {"delay_s": round(delay_s, 3)}
        add_event(connection, row, EventType.RETRIED, data)
        return TranscriptionStatus.QUEUED
    status = TranscriptionStatus.FAILED
    if row["completed_at"] is not None:
        status = TranscriptionStatus.COMPLETED
    finish_row(connection, row, status, error=error)
    data = failed | {"status": status.value}
    add_event(connection, row, EventType.TRANSCRIPTION_FAILED, data)
    return status


def queue_again(
    connection: Connection[DictRow],
    row: DictRow,
    *,
    delay_s: float,
    same_series: bool,
    error: tuple[str, str] | None = None,
) -> dict[str, str | int]:
    """Queue the next attempt, under a number Dagster has not seen, for `delay_s` from now.

    Returns:
        The row's new state, for the data of an event.
    """
    start = row["series_start"] if same_series else row["attempt"] + 1
    return _queue(connection, row, start, delay_s, error)


def try_later(
    connection: Connection[DictRow], row: DictRow, code: str, message: str, delay_s: float
) -> TranscriptionStatus:
    """Queue the next attempt for `delay_s` from now; the failed one does not count."""
    error = (code, clean(message)[:_MAX_MESSAGE_CHARS])
    queued = _queue(connection, row, row["series_start"] + 1, delay_s, error)
    data = {"attempt": row["attempt"], "code": code, "delay_s": round(delay_s, 3)} | queued
    add_event(connection, row, EventType.RETRIED, data)
    return TranscriptionStatus.QUEUED


def give_back(connection: Connection[DictRow], row: DictRow, delay_s: float = 0.0) -> None:
    """Queue a transcription that a run has claimed and not begun, for `delay_s` from now; the
    attempt does not count. Completed if an earlier result stands."""
    data: dict[str, str | int] = {"attempt": row["attempt"]}
    if row["completed_at"] is not None:
        finish_row(connection, row, TranscriptionStatus.COMPLETED)
        data["status"] = TranscriptionStatus.COMPLETED.value
    else:
        data |= _queue(connection, row, row["series_start"] + 1, delay_s, None)
    add_event(connection, row, EventType.GIVEN_BACK, data)


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
    delete_drafts(connection, row["id"])
    notify(connection, WORK_CHANNEL, row["id"])
    notify(connection, PROGRESS_CHANNEL, row["id"])
    return {
        "status": TranscriptionStatus.QUEUED.value,
        "next_attempt": row["attempt"] + 1,
        "series_start": series_start,
    }


def finish_row(
    connection: Connection[DictRow],
    row: DictRow,
    status: TranscriptionStatus,
    error: tuple[str, str] | None = None,
) -> None:
    """Set a final status. The id of the last run stays in the row."""
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
    delete_drafts(connection, row["id"])
    notify(connection, PROGRESS_CHANNEL, row["id"])
    if row["is_downloading"]:
        notify(connection, WORK_CHANNEL, "")  # its site has a free slot


def cancel_row(connection: Connection[DictRow], row: DictRow) -> None:
    """Cancel it; it is completed again if an earlier result stands."""
    has_result = row["completed_at"] is not None
    status = TranscriptionStatus.COMPLETED if has_result else TranscriptionStatus.CANCELED
    finish_row(connection, row, status)
    notify(connection, ENDS_CHANNEL, "")
    data = {"attempt": row["attempt"], "status": status.value}
    add_event(connection, row, EventType.CANCELED, data)


def delete_drafts(connection: Connection[DictRow], id: str) -> None:
    """Delete the draft segments: they are invalid, or replaced by the transcript."""
    connection.execute("delete from ytcaption.draft_segment where transcription_id = %s", (id,))
