"""Pacing: when bulk work may download from a site or list it again, shared through Postgres.

Every admitted download is recorded, interactive ones too, but only bulk ones wait. Listings of
channels call `listing_wait_s` and `record_listing` in one transaction.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.sites.domains import site_of
from resources.sites.wait_reasons import throttle_message
from ytcaption.domain.errors import InvalidUrl, SetupError, SourceThrottled
from ytcaption.domain.media.pacing import CoolDown, Pacing, SiteUse, seconds_until
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

KEPT_DAYS = 60
"""Days for which the daily counts of a site are stored."""

_USE = """
select wanted.site, pace.next_at, pace.rest_code, pace.rests_until,
    coalesce(site_day.bytes, 0) as bytes_today,
    exists (
        select from ytcaption.transcription
        where status = 'running' and priority = 'bulk' and source_site = wanted.site
            and id <> %(except_id)s and (is_downloading or not %(only_downloads)s)
    ) as is_busy
from unnest(%(sites)s::text[]) as wanted (site)
left join ytcaption.pace on pace.site = wanted.site
left join ytcaption.site_day on site_day.site = wanted.site and site_day.day = %(day)s
order by wanted.site -- in this order rows are locked, by every process
"""


@dataclass(frozen=True)
class ThrottledSite:
    """A site from which bulk downloads wait.

    Attributes:
        code: `quiet_hours`, `bytes_a_day` or `pause`.
        message: the reason, for a person.
        until: None: until the download in progress ends.
        waiting: number of queued bulk transcriptions whose audio comes from the site.
    """

    site: str
    code: str
    message: str
    until: datetime | None
    waiting: int


def check_pacing(settings: Settings) -> None:
    """Check the names of sites in the settings.

    Raises:
        SetupError: a site is not named by its first domain.
    """
    pacing = settings.pacing
    for name, value in (
        ("BULK_PAUSE_S", pacing.pause_s),
        ("BULK_BYTES_PER_DAY", pacing.bytes_per_day),
        ("LISTS_PER_MINUTE", pacing.lists_per_minute),
        ("QUIET_HOURS", pacing.quiet_hours),
    ):
        for site in value.others:
            try:
                meant = site_of(f"https://{site}")
            except InvalidUrl:
                meant = "example.org"
            if meant != site:
                raise SetupError(f"YTCAPTION_{name} names {site}: write {meant}.")


def database_now(connection: Connection[DictRow]) -> datetime:
    """Return the current time of the database's clock."""
    row = connection.execute("select now() as now").fetchone()
    assert row is not None
    return row["now"]


def cool_downs(
    connection: Connection[DictRow], pacing: Pacing, sites: Iterable[str], now: datetime
) -> dict[str, CoolDown]:
    """Return why bulk downloads from these sites wait, for those that do; store it for readers."""
    by_site: dict[str, CoolDown] = {}
    for row in _uses(connection, pacing, list(sites), now):
        cool_down = pacing.cool_down(row["site"], _use(row), now)
        if cool_down is not None:
            by_site[row["site"]] = cool_down
        state = (cool_down.code, cool_down.until) if cool_down else (None, None)
        if state != (row["rest_code"], row["rests_until"]):
            connection.execute(
                """
                insert into ytcaption.pace (site, rest_code, rests_until) values (%s, %s, %s)
                on conflict (site) do update set rest_code = excluded.rest_code,
                    rests_until = excluded.rests_until, updated_at = now()
                """,
                (row["site"], *state),
            )
    return by_site


def why_bulk_waits(
    connection: Connection[DictRow], row: DictRow, site: str, pacing: Pacing
) -> SourceThrottled | None:
    """Return None if the bulk run of this row may download from the site now, else the reason.

    Args:
        row: a running transcription, whose row the caller has locked, and the site by
            `circuit_breaker.lock_site`.
    """
    now = database_now(connection)
    (use,) = _uses(connection, pacing, [site], now, except_id=row["id"], only_downloads=True)
    cool_down = pacing.cool_down(site, _use(use), now)
    if cool_down is None:
        return None
    return SourceThrottled(throttle_message(site, cool_down.code, cool_down.until))


def record_download_start(connection: Connection[DictRow], site: str, pacing: Pacing) -> None:
    """Record that a download from the site begins: bulk ones wait from now on."""
    connection.execute(
        """
        insert into ytcaption.pace as known (site, pause_s, next_at)
        values (%(site)s, %(pause_s)s, now() + make_interval(secs => %(pause_s)s))
        on conflict (site) do update set pause_s = excluded.pause_s, updated_at = now(),
            next_at = greatest(known.next_at, excluded.next_at)
        """,
        {"site": site, "pause_s": pacing.drawn_pause_s(site)},
    )
    _add(connection, site, pacing, downloads=1)


def record_download_end(connection: Connection[DictRow], site: str) -> None:
    """Record that a download from the site has ended or failed: the pause begins."""
    connection.execute(
        "update ytcaption.pace set next_at = now() + make_interval(secs => pause_s), "
        "updated_at = now() where site = %s and pause_s > 0",
        (site,),
    )


def record_bytes(postgres: Postgres, site: str, pacing: Pacing, number: int) -> None:
    """Add bytes that came from the site to today's count.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with postgres.transaction() as connection:
        _add(connection, site, pacing, bytes_=number)


def listing_wait_s(
    connection: Connection[DictRow],
    site: str,
    now: datetime | None = None,
    pacing: Pacing | None = None,
) -> float:
    """Return the seconds to wait before the site may be listed; 0: it may be listed now.

    The site stays locked until the transaction ends, so that only one listing is admitted.

    Args:
        now: None: the time of the database's clock.
        pacing: None: the settings'.
    """
    pacing = pacing or load_settings().pacing
    if not pacing.lists_per_minute.of(site):
        return 0.0
    connection.execute(
        "insert into ytcaption.pace (site) values (%s) on conflict (site) do nothing", (site,)
    )
    row = connection.execute(
        "select lists_next_at from ytcaption.pace where site = %s for update", (site,)
    ).fetchone()
    return seconds_until(row["lists_next_at"] if row else None, now or database_now(connection))


def record_listing(
    connection: Connection[DictRow],
    site: str,
    now: datetime | None = None,
    pacing: Pacing | None = None,
    requests: int = 1,
) -> None:
    """Record requests for lists of the site, which start now."""
    pacing = pacing or load_settings().pacing
    _add(connection, site, pacing, lists=requests)
    rate = pacing.lists_per_minute.of(site)
    if not rate:
        return
    connection.execute(
        """
        insert into ytcaption.pace as known (site, lists_next_at)
        values (%(site)s, %(now)s + make_interval(secs => %(step_s)s))
        on conflict (site) do update set updated_at = now(), lists_next_at
            = greatest(known.lists_next_at, %(now)s) + make_interval(secs => %(step_s)s)
        """,
        {"site": site, "now": now or database_now(connection), "step_s": 60.0 * requests / rate},
    )


def quiet_sites(postgres: Postgres, pacing: Pacing) -> list[str]:
    """Return the sites of channels whose quiet hours are now, by the database's clock.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.rows`.
    """
    rows = postgres.rows("select distinct site, now() as now from ytcaption.channel", {})
    return [row["site"] for row in rows if pacing.is_quiet(row["site"], row["now"])]


def throttled_sites(postgres: Postgres) -> list[ThrottledSite]:
    """Return the sites for which bulk downloads wait, those with the most waiting ones first.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    rows = postgres.rows(
        """
        select site, rest_code, rests_until, count(*) as waiting
        from ytcaption.pace join ytcaption.transcription on source_site = site
        where status = 'queued' and priority = 'bulk'
            and rest_code is not null and (rests_until is null or rests_until > now())
        group by site order by waiting desc, site
        """,
        {},
    )
    return [
        ThrottledSite(
            row["site"],
            row["rest_code"],
            throttle_message(row["site"], row["rest_code"], row["rests_until"]),
            row["rests_until"],
            row["waiting"],
        )
        for row in rows
    ]


def _uses(
    connection: Connection[DictRow],
    pacing: Pacing,
    sites: list[str],
    now: datetime,
    *,
    except_id: str = "",
    only_downloads: bool = False,
) -> list[DictRow]:
    return connection.execute(
        _USE,
        {
            "sites": sites,
            "day": pacing.day(now).date(),
            "except_id": except_id,
            "only_downloads": only_downloads,
        },
    ).fetchall()


def _use(row: DictRow) -> SiteUse:
    return SiteUse(row["next_at"], row["bytes_today"], row["is_busy"])


def _add(
    connection: Connection[DictRow],
    site: str,
    pacing: Pacing,
    *,
    downloads: int = 0,
    lists: int = 0,
    bytes_: int = 0,
) -> None:
    day = pacing.day(database_now(connection)).date()
    known = connection.execute(
        """
        insert into ytcaption.site_day as known (site, day, downloads, lists, bytes)
        values (%s, %s, %s, %s, %s)
        on conflict (site, day) do update set downloads = known.downloads + excluded.downloads,
            lists = known.lists + excluded.lists, bytes = known.bytes + excluded.bytes
        returning xmax = 0 as is_new
        """,
        (site, day, downloads, lists, bytes_),
    ).fetchone()
    if known is not None and known["is_new"]:  # the first of a day deletes old counts
        connection.execute(
            "delete from ytcaption.site_day where site = %s and day < %s::date - %s::int",
            (site, day, KEPT_DAYS),
        )
