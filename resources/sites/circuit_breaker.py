"""Circuit breaker: after five failures in a row no download starts from a site for a while.

Its state is a row for each site in Postgres, shared by all processes. A site without a row works. A
row counts failures; the breaker is *closed* until `opened_at` is set, then *open*. From `probe_at`
on one run may try (*probing*): its success closes the breaker, its failure opens it again, and if
it ends with neither, the next run tries. Rows are locked after the row of the transcription or
channel. Polls of channels count as downloads do.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import Connection
from psycopg.rows import DictRow

from resources.alerts import raise_alert
from resources.events import add_site_event
from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean
from resources.postgres.notify import WORK_CHANNEL, notify
from resources.sites.domains import site_code, site_of
from resources.sites.wait_reasons import waiting_message
from ytcaption.domain.caller import owner_code
from ytcaption.domain.errors import SourceBlocked, SourcePaused, SourceUnavailable
from ytcaption.domain.events import EventType

logger = logging.getLogger(__name__)

FAILURES = 5
"""Failures in a row that open the breaker."""

COOL_DOWN_S = 60.0
"""Time from the last failure to the probe; longer if the site sends `Retry-After`."""

SITE_ERRORS = frozenset({SourceBlocked.code, SourceUnavailable.code})
"""Errors that count against a site; a private or removed media does not, nor does a full disk."""


@dataclass(frozen=True)
class Breaker:
    """The breaker of a site that has failed since its last success, or that an operator opened.

    Attributes:
        failures: in a row.
        code: of the last failure.
        probe_at: when a run may try; None while only an operator can close it.
        is_probed: a run is trying.
        opened_by: the operator: `local`, `key:<id>` or `jwt:<issuer>:<subject>`.
        waiting: number of queued transcriptions whose audio comes from the site.
    """

    site: str
    failures: int
    code: str | None
    opened_at: datetime | None
    probe_at: datetime | None
    is_probed: bool
    reason: str
    opened_by: str | None
    waiting: int

    @property
    def state(self) -> Literal["closed", "open", "probing"]:
        """Return the state in one word."""
        if self.opened_at is None:
            return "closed"
        return "probing" if self.is_probed else "open"

    @property
    def message(self) -> str:
        """Return, for a person, why no download starts while the breaker is open."""
        return waiting_message(self.site, self.failures, self.probe_at)


def lock_site(connection: Connection[DictRow], site: str) -> None:
    """Lock a site until the transaction ends, so that its downloads are counted one at a time."""
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"site {site}",))


def admit(
    connection: Connection[DictRow], row: DictRow, site: str, per_site: int
) -> SourcePaused | None:
    """Return None if the run of this row may download from the site now, else the reason.

    Args:
        row: a running transcription, whose row the caller has locked, and the site by `lock_site`.
        per_site: most downloads from one site at a time.
    """
    breaker = connection.execute(
        "select *, probe_at <= now() as is_due from ytcaption.breaker where site = %s for update",
        (site,),
    ).fetchone()
    if breaker is None or breaker["opened_at"] is None:
        return _over_limit(connection, row, site, per_site)
    # A statement of its own after the lock, so that it sees a run that has begun to probe.
    busy = connection.execute(
        "select is_probed from ytcaption.busy_site where site = %s", (site,)
    ).fetchone()
    if not breaker["is_due"] or (busy and busy["is_probed"]):
        return SourcePaused(waiting_message(site, breaker["failures"], breaker["probe_at"]))
    _probe(connection, breaker, row["run_id"])
    return None


def probe_if_due(connection: Connection[DictRow], site: str, run_id: str) -> None:
    """Make a poll of one of the site's channels the probe if one is due."""
    breaker = connection.execute(
        "select * from ytcaption.breaker where site = %s and probe_at <= now() for update", (site,)
    ).fetchone()
    busy = connection.execute(
        "select is_probed from ytcaption.busy_site where site = %s", (site,)
    ).fetchone()
    if breaker is not None and not (busy and busy["is_probed"]):
        _probe(connection, breaker, run_id)


def _probe(connection: Connection[DictRow], breaker: DictRow, run_id: str) -> None:
    site = breaker["site"]
    connection.execute(
        "update ytcaption.breaker set probe_run_id = %s where site = %s", (run_id, site)
    )
    data = {"site": site_code(site), "failures": breaker["failures"]}
    add_site_event(connection, EventType.BREAKER_PROBED, data, run_id)


def _over_limit(
    connection: Connection[DictRow], row: DictRow, site: str, per_site: int
) -> SourcePaused | None:
    others = connection.execute(
        """
        select count(*) as number from ytcaption.transcription
        where status = 'running' and is_downloading and source_site = %s and id <> %s
        """,
        (site, row["id"]),
    ).fetchone()
    if others is None or others["number"] < per_site:
        return None
    return SourcePaused(f"{per_site} downloads from {site} are in progress. This one waits.")


def record_failure(
    connection: Connection[DictRow],
    site: str,
    run_id: str,
    code: str,
    retry_after_s: float | None,
    example: str,
) -> float | None:
    """Count a failure that is the site's fault, of a download or listing that was admitted.

    Args:
        example: id of the transcription or channel, for the alert.

    Returns:
        seconds until the next probe if this run was the probe, else None.
    """
    breaker = connection.execute(
        """
        insert into ytcaption.breaker as known (site, failures, code) values (%s, 1, %s)
        on conflict (site) do update set failures = known.failures + 1, code = excluded.code
        returning *
        """,
        (site, code),
    ).fetchone()
    assert breaker is not None
    is_probe = breaker["opened_at"] is not None and breaker["probe_run_id"] == run_id
    # Runs other than the probe began before the breaker opened.
    if not is_probe and (breaker["opened_at"] is not None or breaker["failures"] < FAILURES):
        return None
    cool_s = max(COOL_DOWN_S, retry_after_s or 0.0)
    connection.execute(
        """
        update ytcaption.breaker
        set opened_at = now(), probe_at = now() + make_interval(secs => %s), probe_run_id = null
        where site = %s
        """,
        (cool_s, site),
    )
    data = {"site": site_code(site), "code": code, "failures": breaker["failures"]}
    add_site_event(connection, EventType.BREAKER_OPENED, data, run_id)
    if breaker["opened_at"] is None:
        raise_alert(connection, "breaker_opened", site, example)
    logger.warning("no downloads from %s for now: %d failures", site, breaker["failures"])
    return cool_s if is_probe else None


def record_success(connection: Connection[DictRow], site: str, run_id: str) -> None:
    """Count a success of a download or listing: close the breaker.

    A run that began before the breaker opened does not close it.
    """
    closed = connection.execute(
        "delete from ytcaption.breaker "
        "where site = %s and (opened_at is null or probe_run_id = %s) returning opened_at",
        (site, run_id),
    ).fetchone()
    if closed is not None and closed["opened_at"] is not None:
        data = {"site": site_code(site)}
        add_site_event(connection, EventType.BREAKER_CLOSED, data, run_id)
        logger.warning("downloads from %s continue", site)


def record_listed(connection: Connection[DictRow], site: str, run_id: str) -> None:
    """Count a success of a poll, unless downloads from the site wait.

    A site that refuses its media often still serves its lists and feeds.
    """
    waits = connection.execute(
        "select from ytcaption.transcription "
        "where status in ('queued', 'running') and source_site = %s limit 1",
        (site,),
    ).fetchone()
    if waits is None:
        record_success(connection, site, run_id)


def breakers(postgres: Postgres) -> list[Breaker]:
    """Return the breakers of all sites that have failed or are open, the open ones first.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with postgres.transaction() as connection:
        rows = connection.execute(
            """
            select site, breaker.failures, breaker.code, breaker.opened_at, breaker.probe_at,
                busy_site.is_probed, breaker.reason, breaker.opened_by,
                (select count(*) from ytcaption.transcription
                 where status = 'queued' and source_site = breaker.site) as waiting
            from ytcaption.breaker join ytcaption.busy_site using (site)
            order by breaker.opened_at, site
            """
        ).fetchall()
    return [Breaker(**row) for row in rows]


def site_named(text: str) -> str:
    """Return the site that an operator has named, by its name, a host or a URL.

    Raises:
        InvalidUrl: the text is none of them.
    """
    return site_of(text if "://" in text else f"https://{text}")


def open_breaker(postgres: Postgres, site: str, reason: str, by: str) -> None:
    """Let no download start from a site until `close_breaker`; running ones continue.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with postgres.transaction() as connection:
        connection.execute(
            """
            insert into ytcaption.breaker (site, opened_at, reason, opened_by)
            values (%s, now(), %s, %s)
            on conflict (site) do update
            set opened_at = now(), probe_at = null, probe_run_id = null,
                reason = excluded.reason, opened_by = excluded.opened_by
            """,
            (site, clean(reason), by),
        )
        data = {"site": site_code(site), "by": owner_code(by)}
        add_site_event(connection, EventType.BREAKER_OPENED, data)
    logger.warning("downloads from %s stopped by %s", site, by)


def close_breaker(postgres: Postgres, site: str, by: str) -> bool:
    """Let downloads from a site start again and reset its failures; return whether it was open.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with postgres.transaction() as connection:
        known = connection.execute(
            "delete from ytcaption.breaker where site = %s returning opened_at", (site,)
        ).fetchone()
        was_open = known is not None and known["opened_at"] is not None
        if was_open:
            data = {"site": site_code(site), "by": owner_code(by)}
            add_site_event(connection, EventType.BREAKER_CLOSED, data)
            notify(connection, WORK_CHANNEL, "")  # waiting transcriptions are due: wake the sensor
    logger.warning("downloads from %s resumed by %s", site, by)
    return was_open
