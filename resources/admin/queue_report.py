"""Report on the queue for operators: longest wait, recent failures, throttled sites, proxies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from resources.network.proxy_health import ProxyHealth, proxy_health
from resources.postgres.connection import Postgres
from resources.sites.pacing import ThrottledSite, throttled_sites


@dataclass(frozen=True)
class FailureCount:
    """Failed transcriptions of one error code.

    Attributes:
        code: of `ytcaption.domain.errors`.
        number: transcriptions that are failed with it now.
        last_at: when the last of them failed.
        last_message: error message of the last one.
    """

    code: str
    number: int
    last_at: datetime
    last_message: str


@dataclass(frozen=True)
class QueueReport:
    """One reading.

    Attributes:
        oldest_waiting_s: seconds the oldest queued transcription has waited; None if none is.
        failures: the latest first.
        throttled: sites that bulk work waits for, those that delay most first.
        proxies: that downloads may use.
    """

    oldest_waiting_s: float | None
    failures: tuple[FailureCount, ...]
    throttled: tuple[ThrottledSite, ...]
    proxies: tuple[ProxyHealth, ...]


def queue_report(postgres: Postgres, limit: int = 10, proxies: Sequence[str] = ()) -> QueueReport:
    """Read the queue, with at most `limit` error codes.

    Args:
        proxies: names of the proxies in the settings.

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
        throttled=tuple(throttled_sites(postgres)),
        proxies=tuple(proxy_health(postgres, proxies)),
    )
