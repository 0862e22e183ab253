"""Health of the operator's proxies, shared by all processes through Postgres.

A proxy that fails cools down for a minute, twice as long with each failure in a row, at most for an
hour; then it is used again. The least recently used proxy comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean

COOL_DOWN_S = 60.0
MAX_COOL_DOWN_S = 3600.0
REFUSED_S = 600.0
"""Cool-down of a proxy that a site has refused, if there is another one."""


@dataclass(frozen=True)
class ProxyHealth:
    """How one proxy does.

    Attributes:
        name: its address, without user and password.
        failures: in a row.
        cooling_until: None: it may be used.
        error: of its last failure, while it cools down.
        used_at: when a download last used it.
        worked_at: when it last worked.
    """

    name: str
    failures: int
    cooling_until: datetime | None
    error: str | None
    used_at: datetime | None
    worked_at: datetime | None


def available_proxies(connection: Connection[DictRow], names: Sequence[str]) -> tuple[str, ...]:
    """Return the proxies that may be used, the least recently used first; record its use."""
    if not names:
        return ()
    rows = connection.execute(
        """
        select name from unnest(%s::text[]) with ordinality as known (name, place)
        left join ytcaption.upstream_proxy using (name)
        where rests_until is null or rests_until <= now()
        order by used_at nulls first, place
        """,
        (list(names),),
    ).fetchall()
    available = tuple(row["name"] for row in rows)
    if available:
        connection.execute(
            "insert into ytcaption.upstream_proxy (name, used_at) values (%s, clock_timestamp()) "
            "on conflict (name) do update set used_at = excluded.used_at",
            (available[0],),
        )
    return available


def all_cooling_until(connection: Connection[DictRow], names: Sequence[str]) -> datetime | None:
    """Return when the first proxy may be used again if all cool down; None if one is available.

    Also None without any proxy.
    """
    if not names:
        return None
    row = connection.execute(
        "select count(*) as number, min(rests_until) as until from ytcaption.upstream_proxy "
        "where name = any(%s) and rests_until > now()",
        (list(names),),
    ).fetchone()
    return row["until"] if row is not None and row["number"] == len(names) else None


def record_worked(postgres: Postgres, name: str) -> None:
    """Record that a download came through the proxy."""
    with postgres.transaction() as connection:
        connection.execute(
            """
            insert into ytcaption.upstream_proxy (name, worked_at) values (%s, now())
            on conflict (name) do update
            set failures = 0, rests_until = null, error = null, worked_at = excluded.worked_at
            """,
            (name,),
        )


def record_failed(postgres: Postgres, name: str, error: str) -> None:
    """Record that the proxy does not work, and let it cool down."""
    with postgres.transaction() as connection:
        connection.execute(
            """
            insert into ytcaption.upstream_proxy as known (name, failures, error, rests_until)
            values (%(name)s, 1, %(error)s, now() + make_interval(secs => %(cool_down_s)s))
            on conflict (name) do update set failures = known.failures + 1, error = excluded.error,
                rests_until = now() + make_interval(
                    secs => least(%(cool_down_s)s * 2 ^ least(known.failures, 20), %(max_s)s))
            """,
            {
                "name": name,
                "error": clean(error)[:200],
                "cool_down_s": COOL_DOWN_S,
                "max_s": MAX_COOL_DOWN_S,
            },
        )


def record_refused(postgres: Postgres, name: str, names: Sequence[str], site: str) -> None:
    """Record that a site refuses the proxy; it cools down unless no other proxy is available."""
    with postgres.transaction() as connection:
        connection.execute(
            """
            update ytcaption.upstream_proxy
            set rests_until = greatest(rests_until, now() + make_interval(secs => %(cool_down_s)s)),
                error = %(error)s
            where name = %(name)s and exists (
                select from unnest(%(names)s::text[]) as other (name)
                left join ytcaption.upstream_proxy as known on known.name = other.name
                where other.name <> %(name)s
                    and (known.rests_until is null or known.rests_until <= now())
            )
            """,
            {
                "name": name,
                "names": list(names),
                "cool_down_s": REFUSED_S,
                "error": f"{site} refuses it",
            },
        )


def proxy_health(postgres: Postgres, names: Sequence[str]) -> list[ProxyHealth]:
    """Return the health of these proxies, in their order.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    rows = postgres.rows(
        """
        select name, coalesce(failures, 0) as failures,
            case when rests_until > now() then rests_until end as cooling_until,
            case when rests_until > now() then error end as error, used_at, worked_at
        from unnest(%(names)s::text[]) with ordinality as known (name, place)
        left join ytcaption.upstream_proxy using (name) order by place
        """,
        {"names": list(names)},
    )
    return [ProxyHealth(**row) for row in rows]
