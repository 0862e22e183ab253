"""Which channels have not been listed in time."""

from dataclasses import dataclass
from datetime import datetime

from resources.pacing import quiet_sites
from resources.postgres import Postgres
from ytcaption_assets.settings import load_settings

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
