"""Quotas of owners: unfinished transcriptions, and audio transcribed in the last 24 hours."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.transcriptions.rows import TranscriptionRequest
from ytcaption.domain.caller import LOCAL_OWNER, Caller, Limits
from ytcaption.domain.errors import QuotaExceeded
from ytcaption.settings.settings import Settings

BUSY_RETRY_S = 30.0
"""Retry-After while the maximum of unfinished transcriptions is reached: one may have ended."""

_DAY_S = 24 * 3600

_USAGE = """
select
    (
        select count(*) from ytcaption.transcription as t
        where t.status in ('queued', 'running') and exists (
            select from ytcaption.request as r
            where r.owner = %(owner)s and r.transcription_id = t.id)
    ) as unfinished,
    coalesce(sum(audio_s), 0)::float8 as audio_s,
    coalesce(extract(epoch from now() - min(used_at)), 0)::float8 as oldest_s
from ytcaption.audio_use
where owner = %(owner)s and used_at > now() - interval '24 hours'
"""

# Transcriptions that use no quota: they are completed, or the owner has them queued already.
_FREE = """
select t.id from ytcaption.transcription as t
where t.id = any(%(ids)s) and (
    (t.status = 'completed' and t.id <> all(%(forced)s))
    or (t.status in ('queued', 'running') and exists (
        select from ytcaption.request as r
        where r.owner = %(owner)s and r.transcription_id = t.id))
)
"""

Other = TypeVar("Other")


@dataclass(frozen=True)
class Usage:
    """The usage of one owner.

    Attributes:
        unfinished: number of queued and running transcriptions.
        audio_s: seconds of audio transcribed in the last 24 hours.
        oldest_s: seconds since the first of these ended; 0 if there are none.
    """

    unfinished: int
    audio_s: float
    oldest_s: float


def limits_of(caller: Caller, settings: Settings) -> Limits | None:
    """Return the caller's limits: their own, or else those of the settings. None: no limits."""
    if caller.owner == LOCAL_OWNER:
        return None
    own = caller.limits
    return Limits(
        own.requests_per_minute or settings.api.requests_per_minute,
        own.concurrent_transcriptions or settings.api.concurrent_transcriptions or None,
        own.audio_minutes_per_day or settings.api.audio_minutes_per_day or None,
    )


def usage_of(postgres: Postgres, owner: str) -> Usage:
    """Return the usage of an owner."""
    with postgres.transaction() as connection:
        return _usage_of(connection, owner)


def within_limits(
    connection: Connection[DictRow],
    requests: Sequence[TranscriptionRequest | Other],
    owner: str,
    limits: Limits,
) -> list[TranscriptionRequest | QuotaExceeded | Other]:
    """Return the requests in their order, with a QuotaExceeded in place of each that is beyond the
    limits.

    Locks the owner until the transaction ends, so that simultaneous requests are all counted.
    """
    if limits.concurrent_transcriptions is None and limits.audio_minutes_per_day is None:
        return list(requests)
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (owner,))
    new = _new_ids(
        connection, [it for it in requests if isinstance(it, TranscriptionRequest)], owner
    )
    usage = _usage_of(connection, owner)
    checked: list[TranscriptionRequest | QuotaExceeded | Other] = []
    counted: set[str] = set()
    for request in requests:
        if isinstance(request, TranscriptionRequest) and request.id in new - counted:
            refusal = _refusal(usage, limits, len(counted))
            if refusal is not None:
                checked.append(refusal)
                continue
            counted.add(request.id)
        checked.append(request)
    return checked


def _refusal(usage: Usage, limits: Limits, more: int) -> QuotaExceeded | None:
    maximum, minutes = limits.concurrent_transcriptions, limits.audio_minutes_per_day
    if maximum is not None and usage.unfinished + more >= maximum:
        return QuotaExceeded(
            f"This key may have {maximum} unfinished transcriptions at most. Wait for one to end, "
            "or cancel one.",
            retry_after_s=BUSY_RETRY_S,
        )
    if minutes is not None and usage.audio_s >= minutes * 60:
        left_s = max(1, math.ceil(_DAY_S - usage.oldest_s))
        return QuotaExceeded(
            f"This key may transcribe {minutes} minutes of audio in 24 hours, and they are used "
            "up. Wait as long as Retry-After says.",
            retry_after_s=left_s,
        )
    return None


def _new_ids(
    connection: Connection[DictRow], requests: Sequence[TranscriptionRequest], owner: str
) -> set[str]:
    """Return the ids of the requests that add to the owner's unfinished transcriptions."""
    ids = {request.id for request in requests}
    forced = [request.id for request in requests if request.force]
    rows = connection.execute(
        _FREE, {"ids": sorted(ids), "forced": forced, "owner": owner}
    ).fetchall()
    return ids - {row["id"] for row in rows}


def _usage_of(connection: Connection[DictRow], owner: str) -> Usage:
    row = connection.execute(_USAGE, {"owner": owner}).fetchone()
    return Usage(**cast(Mapping[str, Any], row))
