"""What an operator asks of the queue: how long somebody has waited, what failed of late.

Its statements are here, beside the view they fill: neither requests nor runs read them, and they
change nothing. What requests and runs do is in RequestStore.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from resources.network.proxy_health import ProxyHealth, proxy_health
from resources.postgres.connection import Postgres
from resources.sites.pacing import RestingSite, throttled_sites


@dataclass(frozen=True)
class FailureCount:
    """Failed transcriptions of one error code.

    Attributes:
        code: of `ytcaption.domain.errors`.
        number: how many have failed with it and were not asked for again.
        last_at: when the last of them failed.
        last_message: what its requester was told.
    """

    code: str
    number: int
    last_at: datetime
    last_message: str


@dataclass(frozen=True)
class QueueReport:
    """One reading.

    Attributes:
        oldest_waiting_s: since the longest waiting one was queued; None with an empty queue.
        failures: the latest first.
        resting: sites that bulk work waits for, those that hold up most first.
        proxies: that downloads go out through.
    """

    oldest_waiting_s: float | None
    failures: tuple[FailureCount, ...]
    resting: tuple[RestingSite, ...]
    proxies: tuple[ProxyHealth, ...]


def queue_report(postgres: Postgres, limit: int = 10, proxies: Sequence[str] = ()) -> QueueReport:
    """The queue as it is now, with at most `limit` error codes.

    Args:
        proxies: names of those of the settings.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with postgres.transaction() as connection:
        waiting = connection.execute(
            """
            select extract(epoch from now() - min(queued_at))::float8 as oldest_s
            from ytcaption.transcription where status = 'queued'
            """
        ).fetchone()
        failures = connection.execute(
            """
            select
                error_code as code,
                count(*) as number,
                max(updated_at) as last_at,
                (array_agg(error_message order by updated_at desc))[1] as last_message
            from ytcaption.transcription where status = 'failed'
            group by error_code
            order by last_at desc
            limit %s
            """,
            (limit,),
        ).fetchall()
    return QueueReport(
        oldest_waiting_s=waiting["oldest_s"] if waiting else None,
        failures=tuple(FailureCount(**row) for row in failures),
        resting=tuple(throttled_sites(postgres)),
        proxies=tuple(proxy_health(postgres, proxies)),
    )
