"""The fair queue: which queued transcriptions runs may be started for, and in which order.

1. Interactive before bulk.
2. Round robin by owner, one transcription per round: many requests of one owner do not delay the
   few of another.
3. By age.

If a site fails, or has reached its maximum of downloads, only transcriptions whose audio is stored
are due. If a site is throttled, its bulk transcriptions are not due.
"""

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from resources.network.proxy_health import all_cooling_until
from resources.sites.pacing import cool_downs, database_now
from resources.transcriptions.rows import DueTranscription
from ytcaption.domain.media.pacing import UNPACED, Pacing

ANY_NUMBER = 1_000_000
"""Of simultaneous downloads from one site: no limit."""

# A group has one owner, priority and site. The index `transcription_turns` is read from group to
# group, the first few rows of each: the cost depends on the number of groups, not on the length of
# the queue. The first row is before all groups, and nothing is queued in it.
_GROUPS: LiteralString = """
with recursive queue_group as (
    select ''::text as owner, false as is_bulk, ''::text as site
    union all
    select following.* from queue_group, lateral (
        select owner, priority = 'bulk', coalesce(source_site, '')
        from ytcaption.transcription
        where status = 'queued' and (owner, (priority = 'bulk'), coalesce(source_site, ''))
            > (queue_group.owner, queue_group.is_bulk, queue_group.site)
        order by owner, (priority = 'bulk'), coalesce(source_site, '') limit 1
    ) as following
)
"""

_BULK_SITES: LiteralString = (
    f"{_GROUPS} select distinct site from queue_group where is_bulk and site <> ''"  # noqa: S608
)

_DUE: LiteralString = f"""
{_GROUPS}, open_group as (
    select queue_group.*, case
        when not is_bulk then %(limit)s
        when site = any(%(throttled)s::text[]) then 0
        when site = any(%(one_by_one)s::text[]) then 1
        else %(limit)s
    end as bulk_slots, case
        when site = '' then %(limit)s
        when %(egress_at)s::timestamptz is not null then 0
        when is_open then (probe_at <= now() and not is_probed)::int
        else greatest(%(per_site)s::int - coalesce(runs, 0), 0)
    end as slots
    from queue_group left join ytcaption.busy_site using (site)
), candidate as (
    select first.*, open_group.*, row_number() over (
            partition by site order by is_bulk, nth, queued_at, id
        ) as site_rank, row_number() over (
            partition by site, is_bulk order by nth, queued_at, id
        ) as bulk_rank
    from open_group, lateral (
        select id, attempt, priority, media_id, traceparent, queued_at,
            row_number() over (order by queued_at, id) as nth
        from ytcaption.transcription
        where status = 'queued' and next_attempt_at <= now() and owner = open_group.owner
            and (priority = 'bulk') = is_bulk and coalesce(source_site, '') = site
        order by queued_at, id limit least(slots, bulk_slots, %(limit)s)
    ) as first
)
select id, attempt, priority, media_id, traceparent, row_number() over (
        partition by owner, is_bulk order by queued_at, id
    ) as rank
from candidate where site_rank <= slots and bulk_rank <= bulk_slots
order by is_bulk, rank, queued_at, id
limit %(limit)s
"""  # noqa: S608

# Uploads, which have no site, wait for none of this. `greatest` passes over null.
_NEXT = """
select extract(epoch from min(due_at) - now())::float8 as due_in_s
from (
    select greatest(
        next_attempt_at, probe_at, until,
        case when source_site <> '' then %(egress_at)s::timestamptz end
    ) as due_at
    from ytcaption.transcription left join ytcaption.busy_site on busy_site.site = source_site
    left join unnest(%(throttled)s::text[], %(untils)s::timestamptz[]) as throttle (site, until)
        on priority = 'bulk' and throttle.site = source_site
    where status = 'queued' and (throttle.site is null or until is not null) and case
        when is_open then probe_at is not null and not is_probed
        else coalesce(runs, 0) < %(per_site)s::int
    end
) as next_due
where due_at > now()
"""


def due(
    connection: Connection[DictRow], limit: int, per_site: int, pacing: Pacing = UNPACED
) -> list[DueTranscription]:
    """Return the transcriptions a run can be started for now, in order. They are found by state,
    never from an id on, so that a row which is committed late is not missed.

    Args:
        per_site: maximum number of downloads from one site, running ones included.
        pacing: limits of bulk downloads.
    """
    return _due(connection, limit, per_site, _limits(connection, pacing))


def next_due_in_s(
    connection: Connection[DictRow],
    per_site: int,
    known: Sequence[str] = (),
    pacing: Pacing = UNPACED,
) -> float | None:
    """Return the seconds until a transcription is due, 0 if one is; None where none will be without
    a further event.

    Args:
        known: run keys of transcriptions not to consider.
    """
    limits = _limits(connection, pacing)
    first = _due(connection, len(known) + 1, per_site, limits)  # fast, however long the queue is
    if any(each.run_key not in known for each in first):
        return 0.0
    row = connection.execute(_NEXT, {"per_site": per_site, **limits}).fetchone()
    return row["due_in_s"] if row is not None else None


def _due(
    connection: Connection[DictRow], limit: int, per_site: int, limits: dict[str, Any]
) -> list[DueTranscription]:
    rows = connection.execute(_DUE, {"limit": limit, "per_site": per_site, **limits}).fetchall()
    return [DueTranscription(**row) for row in rows]


def _limits(connection: Connection[DictRow], pacing: Pacing) -> dict[str, Any]:
    """Return what delays downloads besides failing sites, as parameters of the statements."""
    sites = [row["site"] for row in connection.execute(_BULK_SITES).fetchall()]
    throttled = cool_downs(connection, pacing, sites, database_now(connection)) if sites else {}
    egress_at = all_cooling_until(connection, pacing.proxies)
    return {
        "throttled": list(throttled),
        "untils": [throttle.until for throttle in throttled.values()],
        "one_by_one": [site for site in sites if pacing.is_one_by_one(site)],
        "egress_at": egress_at,
    }
