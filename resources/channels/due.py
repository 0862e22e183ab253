"""Which channels are to be looked at now, and which are being looked at."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString

import dagster as dg

from resources.postgres.connection import Postgres
from resources.sites.pacing import quiet_sites
from resources.transcriptions.rows import LostRun
from ytcaption.settings import load_settings

DUE_TAG = "ytcaption/due"
"""Run tag: the moment that a run was made for, as `moment` has it. Runs made by hand have none."""

# Those that are looked at in bulk heed their site's quiet hours, unless somebody has asked.
_MAY_BE_LISTED: LiteralString = """
    (priority <> 'bulk' or run_asked_at is not null or site <> all(%(quiet)s))
    and deleted_at is null and run_id is null and (paused_at is null or run_asked_at is not null)
    and not exists (
        select from ytcaption.breaker where breaker.site = channel.site
        and opened_at is not null and (probe_at is null or probe_at > now()))
"""


@dataclass(frozen=True)
class DueChannel:
    """One that is to be looked at now.

    Attributes:
        due_at: when it was, which names its run: another look has another moment.
    """

    id: str
    due_at: datetime

    @property
    def run_key(self) -> str:
        """Dagster starts no second run of it."""
        return f"{self.id}:{moment(self.due_at)}"


def moment(at: datetime) -> str:
    """As run keys and tags have it, to the microsecond."""
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


class ChannelsDue(dg.ConfigurableResource):
    """Who waits for a look, in which order."""

    postgres: Postgres

    def due(self, limit: int) -> list[DueChannel]:
        """Those to be looked at now, the longest due first. Those of a site that is held up wait
        for its probe."""
        rows = self.postgres.rows(
            "select id, next_listing_at as due_at from ytcaption.channel "  # noqa: S608
            f"where {_MAY_BE_LISTED} and next_listing_at <= now() "
            "order by run_asked_at, next_listing_at, id limit %(limit)s",
            {"limit": limit, "quiet": self._quiet()},
        )
        return [DueChannel(**row) for row in rows]

    def next_due_in_s(self, known: Collection[str] = ()) -> float | None:
        """Seconds until one is due, 0 or less if one is; None where none will be by itself.

        Args:
            known: ids of what does not count.
        """
        [row] = self.postgres.rows(
            "select extract(epoch from min(next_listing_at) - now())::float8 as "  # noqa: S608
            f"due_in_s from ytcaption.channel where {_MAY_BE_LISTED} and id <> all(%(known)s)",
            {"known": list(known), "quiet": self._quiet()},
        )
        return row["due_in_s"]

    def ids(self) -> list[str]:
        """Of all channels."""
        rows = self.postgres.rows(
            "select id from ytcaption.channel where deleted_at is null order by id", {}
        )
        return [row["id"] for row in rows]

    def listing(self) -> list[LostRun]:
        """The runs that are at work, each with its channel."""
        rows = self.postgres.rows(
            "select id, run_id from ytcaption.channel where run_id is not null", {}
        )
        return [LostRun(row["id"], row["run_id"]) for row in rows]

    def _quiet(self) -> list[str]:
        """Sites of channels whose quiet hours these are."""
        return quiet_sites(self.postgres, load_settings().pacing)


def channels_of(postgres: Postgres, transcription_ids: Sequence[str]) -> dict[str, str]:
    """The channel that each of these transcriptions is an item of; of several the first."""
    rows = postgres.rows(
        "select distinct on (transcription_id) transcription_id, channel_id "
        "from ytcaption.channel_item where transcription_id = any(%(ids)s) "
        "order by transcription_id, queued_at, channel_id",
        {"ids": list(transcription_ids)},
    )
    return {row["transcription_id"]: row["channel_id"] for row in rows}


GRACE_S = 3600.0
"""How much later than it was due a channel may be listed."""

_LATE = """
select id, title, next_listing_at as due_at, listed_at, failures, error_code, error_message
from ytcaption.channel
where deleted_at is null and paused_at is null
    and (priority <> 'bulk' or site <> all(%(quiet)s))
    -- Each failure puts it off: what counts is the first.
    and least(next_listing_at, failing_since) < now() - make_interval(secs => %(grace_s)s)
order by least(next_listing_at, failing_since), id
"""


@dataclass(frozen=True)
class LateChannel:
    """A channel that should have been listed by now.

    Attributes:
        due_at: when it is, or was, to be looked at next.
        listed_at: when a look last succeeded; None: never.
        failures: in a row, with code and message of the last.
    """

    id: str
    title: str | None
    due_at: datetime
    listed_at: datetime | None
    failures: int
    error_code: str | None
    error_message: str | None


def late_channels(postgres: Postgres, grace_s: float = GRACE_S) -> list[LateChannel]:
    """All that are late, the latest first; not those that are paused, nor those looked at in bulk
    whose site's quiet hours these are.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.rows`.
    """
    values = {"grace_s": grace_s, "quiet": quiet_sites(postgres, load_settings().pacing)}
    return [LateChannel(**row) for row in postgres.rows(_LATE, values)]
