"""Numbers of the queue for a monitoring system, read in one statement."""

from dataclasses import dataclass, field

from resources.postgres.connection import Postgres

_QUERY = """
select 'number' as kind, status as name, coalesce(error_code, '') as code,
    count(*)::float8 as value
from ytcaption.transcription where status = 'failed' group by status, error_code
union all
select 'number', status, '', count(*)::float8
from ytcaption.transcription where status in ('queued', 'running') group by status
union all
select 'oldest_s', status, '', extract(epoch from now() - min(
    case status when 'queued' then queued_at else coalesce(started_at, updated_at) end))::float8
from ytcaption.transcription where status in ('queued', 'running') group by status
union all
select 'delivery', status, '', count(*)::float8
from ytcaption.delivery where status in ('waiting', 'dead') group by status
union all
select 'delivery_oldest_s', '', '', extract(epoch from now() - min(created_at))::float8
from ytcaption.delivery where status = 'waiting' having count(*) > 0
union all
select 'total', name, code, value from ytcaption.total
union all
select 'pause', part, '', 1.0 from ytcaption.pause
union all
select 'site', site, case when is_probed then 'probing' else 'open' end, 1.0
from ytcaption.busy_site where is_open
"""


@dataclass(frozen=True)
class QueueMetrics:
    """One reading.

    Attributes:
        waiting: number of transcriptions that are `queued`, and that are `running`.
        oldest_s: age of the oldest of each, if there is one.
        failed: number of failed transcriptions, by error code.
        totals: sums over all events, by name and code (see migration 0002).
        paused: parts paused by an operator.
        sites: sites with an open circuit breaker, each with `open` or `probing`.
        deliveries: number of webhook deliveries that are `waiting`, and that are `dead`.
        oldest_delivery_s: age of the oldest waiting delivery; 0 if there is none.
    """

    waiting: dict[str, int] = field(default_factory=dict)
    oldest_s: dict[str, float] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    totals: dict[tuple[str, str], float] = field(default_factory=dict)
    paused: frozenset[str] = frozenset()
    sites: tuple[tuple[str, str], ...] = ()
    deliveries: dict[str, int] = field(default_factory=dict)
    oldest_delivery_s: float = 0.0

    def total(self, name: str) -> float:
        """Return the sum of a name without codes."""
        return self.totals.get((name, ""), 0.0)


def queue_metrics(postgres: Postgres) -> QueueMetrics:
    """Read the numbers. Reads queued, running and failed rows, never all completed ones.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with postgres.transaction() as connection:
        rows = connection.execute(_QUERY).fetchall()
    kinds: dict[str, dict[tuple[str, str], float]] = {}
    for row in rows:
        kinds.setdefault(row["kind"], {})[row["name"], row["code"]] = row["value"]
    numbers = kinds.get("number", {})
    return QueueMetrics(
        waiting={status: int(numbers.get((status, ""), 0)) for status in ("queued", "running")},
        oldest_s={name: max(0.0, age) for (name, _), age in kinds.get("oldest_s", {}).items()},
        failed={code: int(number) for (name, code), number in numbers.items() if name == "failed"},
        totals=kinds.get("total", {}),
        paused=frozenset(name for name, _ in kinds.get("pause", {})),
        sites=tuple(kinds.get("site", {})),
        deliveries={
            status: int(kinds.get("delivery", {}).get((status, ""), 0))
            for status in ("waiting", "dead")
        },
        oldest_delivery_s=max(0.0, *kinds.get("delivery_oldest_s", {("", ""): 0.0}).values()),
    )
