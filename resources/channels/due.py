"""Which channels are due for a listing now, and which are late."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString

from resources.postgres.connection import Postgres
from resources.sites.pacing import quiet_sites
from ytcaption.settings.settings import load_settings

DUE_TAG = "ytcaption/due"
"""Run tag with the due time, as `due_time` writes it. Runs started by hand do not have it."""

GRACE_S = 3600.0
"""How much later than due a channel may be listed before it counts as late."""

# Channels of an expired key are not listed; maintenance pauses them.
# Channels of priority `bulk` observe their site's quiet hours, unless a listing was requested.
_MAY_BE_LISTED: LiteralString = """
    (priority <> 'bulk' or run_asked_at is not null or site <> all(%(quiet)s))
    and deleted_at is null and run_id is null and (paused_at is null or run_asked_at is not null)
    and not exists (
        select from ytcaption.breaker where breaker.site = channel.site
        and opened_at is not null and (probe_at is null or probe_at > now()))
    and not exists (select from ytcaption.expired_key where expired_key.owner = channel.owner)
"""

_LATE = """
select id, title, next_listing_at as due_at, listed_at, failures, error_code, error_message
from ytcaption.channel
where deleted_at is null and paused_at is null
    and (priority <> 'bulk' or site <> all(%(quiet)s))
    -- Each failure postpones the listing, so the time of the first failure counts.
    and least(next_listing_at, failing_since) < now() - make_interval(secs => %(grace_s)s)
order by least(next_listing_at, failing_since), id
"""


@dataclass(frozen=True)
class DueChannel:
    """A channel to be listed now.

    Attributes:
        due_at: identifies the run: a later listing has another time.
    """

    id: str
    due_at: datetime

    @property
    def run_key(self) -> str:
        """Return the key for which Dagster starts one run only."""
        return f"{self.id}:{due_time(self.due_at)}"


@dataclass(frozen=True)
class LateChannel:
    """A channel that should have been listed by now.

    Attributes:
        due_at: time of its next listing, which may have passed.
        listed_at: end of the last successful listing; None: never.
        failures: in a row, with code and message of the last.
    """

    id: str
    title: str | None
    due_at: datetime
    listed_at: datetime | None
    failures: int
    error_code: str | None
    error_message: str | None


def due_time(at: datetime) -> str:
    """Return the time as run keys and tags have it, to the microsecond."""
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def due_channels(postgres: Postgres, limit: int) -> list[DueChannel]:
    """Return the channels to be listed now, the longest due first.

    Channels of a site with an open circuit breaker wait for its probe.
    """
    rows = postgres.rows(
        "select id, next_listing_at as due_at from ytcaption.channel "  # noqa: S608
        f"where {_MAY_BE_LISTED} and next_listing_at <= now() "
        "order by run_asked_at, next_listing_at, id limit %(limit)s",
        {"limit": limit, "quiet": _quiet_sites(postgres)},
    )
    return [DueChannel(**row) for row in rows]


def next_due_in_s(postgres: Postgres, excluded: Collection[str] = ()) -> float | None:
    """Return the seconds until a channel is due, 0 or less if one is; None if none will be.

    Args:
        excluded: ids of channels that do not count.
    """
    [row] = postgres.rows(
        "select extract(epoch from min(next_listing_at) - now())::float8 as "  # noqa: S608
        f"due_in_s from ytcaption.channel where {_MAY_BE_LISTED} and id <> all(%(excluded)s)",
        {"excluded": list(excluded), "quiet": _quiet_sites(postgres)},
    )
    return row["due_in_s"]


def late_channels(postgres: Postgres, grace_s: float = GRACE_S) -> list[LateChannel]:
    """Return all late channels, the latest first.

    Paused channels are not late, nor are bulk channels during their site's quiet hours.

    Raises:
        DatabaseUnavailable, SetupError: see `Postgres.rows`.
    """
    values = {"grace_s": grace_s, "quiet": _quiet_sites(postgres)}
    return [LateChannel(**row) for row in postgres.rows(_LATE, values)]


def channel_ids(postgres: Postgres) -> list[str]:
    """Return the ids of all channels."""
    rows = postgres.rows(
        "select id from ytcaption.channel where deleted_at is null order by id", {}
    )
    return [row["id"] for row in rows]


def _quiet_sites(postgres: Postgres) -> list[str]:
    return quiet_sites(postgres, load_settings().pacing)
