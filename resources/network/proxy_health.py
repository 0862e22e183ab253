"""Health of the proxies that downloads go out through, in Postgres and so for all processes.

One that fails rests for a minute, twice as long with each failure in a row, an hour at most; then
it is taken again. Those that were not used for longest come first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean

REST_S = 60.0
MAX_COOL_DOWN_S = 3600.0
REFUSED_S = 600.0
"""Rest of a proxy that a site has refused, where there is another one."""


@dataclass(frozen=True)
class ProxyHealth:
    """One proxy.

    Attributes:
        name: its address, without user and password.
        failures: in a row.
        rests_until: None: it is taken.
        error: of its last failure, while it fails.
        used_at: when a download took it last.
        worked_at: when it last did what it should.
    """

    name: str
    failures: int
    cooling_until: datetime | None
    error: str | None
    used_at: datetime | None
    worked_at: datetime | None


def proxies_in_turn(connection: Connection[DictRow], names: Sequence[str]) -> tuple[str, ...]:
    """Those that do not rest, the one unused for longest first, which is used from now on."""
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
    found = tuple(row["name"] for row in rows)
    if found:
        connection.execute(
            "insert into ytcaption.upstream_proxy (name, used_at) values (%s, clock_timestamp()) "
            "on conflict (name) do update set used_at = excluded.used_at",
            (found[0],),
        )
    return found


def all_cooling_until(connection: Connection[DictRow], names: Sequence[str]) -> datetime | None:
    """When the first of them is taken again, where all rest; None where one does not, or none are
    set."""
    if not names:
        return None
    row = connection.execute(
        "select count(*) as number, min(rests_until) as until from ytcaption.upstream_proxy "
        "where name = any(%s) and rests_until > now()",
        (list(names),),
    ).fetchone()
    return row["until"] if row is not None and row["number"] == len(names) else None


def record_worked(postgres: Postgres, name: str) -> None:
    """A download came through it."""
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
    """It does not work: it rests."""
    with postgres.transaction() as connection:
        connection.execute(
            """
            insert into ytcaption.upstream_proxy as known (name, failures, error, rests_until)
            values (%(name)s, 1, %(error)s, now() + make_interval(secs => %(rest_s)s))
            on conflict (name) do update set failures = known.failures + 1, error = excluded.error,
                rests_until = now() + make_interval(
                    secs => least(%(rest_s)s * 2 ^ least(known.failures, 20), %(longest_s)s))
            """,
            {
                "name": name,
                "error": clean(error)[:200],
                "rest_s": REST_S,
                "longest_s": MAX_COOL_DOWN_S,
            },
        )


def record_refused(postgres: Postgres, name: str, names: Sequence[str], site: str) -> None:
    """A site refuses whoever comes through it: it rests, unless there is no other one."""
    with postgres.transaction() as connection:
        connection.execute(
            """
            update ytcaption.upstream_proxy
            set rests_until = greatest(rests_until, now() + make_interval(secs => %(rest_s)s)),
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
                "rest_s": REFUSED_S,
                "error": f"{site} refuses it",
            },
        )


def proxy_health(postgres: Postgres, names: Sequence[str]) -> list[ProxyHealth]:
    """Of these, in their order.

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
