"""What somebody has taken of what they may: unfinished transcriptions, audio of the last day."""

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
from ytcaption.settings import Settings

BUSY_RETRY_S = 30.0
"""After which one of the unfinished transcriptions may have ended."""

_DAY_S = 24 * 3600

_USE = """
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

# Those that are made already, or that the owner waits for anyhow, take nothing more.
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
class Use:
    """What one owner has taken.

    Attributes:
        unfinished: transcriptions, queued and running.
        audio_s: transcribed in the last 24 hours.
        oldest_s: since the first of these was done; 0 with none.
    """

    unfinished: int
    audio_s: float
    oldest_s: float


def limits_of(caller: Caller, settings: Settings) -> Limits | None:
    """A caller's own limits, where they have none the settings'; None: none at all."""
    if caller.owner == LOCAL_OWNER:
        return None
    own = caller.limits
    return Limits(
        own.requests_per_minute or settings.requests_per_minute,
        own.concurrent_transcriptions or settings.concurrent_transcriptions or None,
        own.audio_minutes_per_day or settings.audio_minutes_per_day or None,
    )


def use_of(postgres: Postgres, owner: str) -> Use:
    """What an owner has taken."""
    with postgres.transaction() as connection:
        return _use_of(connection, owner)


def within_limits(
    connection: Connection[DictRow],
    requests: Sequence[TranscriptionRequest | Other],
    owner: str,
    limits: Limits,
) -> list[TranscriptionRequest | QuotaExceeded | Other]:
    """The requests in their order; a refusal stands for each that goes beyond the limits.

    Holds a lock on the owner until the transaction ends, so that two at once are counted as two.
    """
    if limits.concurrent_transcriptions is None and limits.audio_minutes_per_day is None:
        return list(requests)
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (owner,))
    asked = [it for it in requests if isinstance(it, TranscriptionRequest)]
    taking = _taking(connection, asked, owner)
    use = _use_of(connection, owner)
    checked: list[TranscriptionRequest | QuotaExceeded | Other] = []
    counted: set[str] = set()
    for request in requests:
        if isinstance(request, TranscriptionRequest) and request.id in taking - counted:
            refusal = _refusal(use, limits, len(counted))
            if refusal is not None:
                checked.append(refusal)
                continue
            counted.add(request.id)
        checked.append(request)
    return checked


def _refusal(use: Use, limits: Limits, more: int) -> QuotaExceeded | None:
    most, minutes = limits.concurrent_transcriptions, limits.audio_minutes_per_day
    if most is not None and use.unfinished + more >= most:
        return QuotaExceeded(
            f"{most} unfinished transcriptions are all that this key may have. Wait for one to "
            "end, or cancel one.",
            retry_after_s=BUSY_RETRY_S,
        )
    if minutes is not None and use.audio_s >= minutes * 60:
        left_s = max(1, math.ceil(_DAY_S - use.oldest_s))
        return QuotaExceeded(
            f"{minutes} minutes of audio in 24 hours are all that this key may have, and they "
            "are used up. Wait as long as Retry-After says.",
            retry_after_s=left_s,
        )
    return None


def _taking(
    connection: Connection[DictRow], asked: Sequence[TranscriptionRequest], owner: str
) -> set[str]:
    """Ids of those that add to what the owner has unfinished."""
    ids = {request.id for request in asked}
    forced = [request.id for request in asked if request.force]
    rows = connection.execute(
        _FREE, {"ids": sorted(ids), "forced": forced, "owner": owner}
    ).fetchall()
    return ids - {row["id"] for row in rows}


def _use_of(connection: Connection[DictRow], owner: str) -> Use:
    row = connection.execute(_USE, {"owner": owner}).fetchone()
    return Use(**cast(Mapping[str, Any], row))
