"""Whose turn it is: which queued transcriptions runs may be started for, in which order.

Interactive before bulk; then each owner in turn, one transcription a round, so that nobody's flood
holds up another's few; then by age. Of a site that fails, or from which enough is downloaded now,
nothing is taken but what has its audio here; of one that rests, nothing that is bulk.
"""

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from resources.network.proxy_health import all_cooling_until
from resources.sites.pacing import moment, rests
from resources.transcriptions.rows import DueTranscription
from ytcaption.domain.media.pacing import UNPACED, Pacing
from ytcaption.domain.request import run_key

ANY_NUMBER = 1_000_000
"""Of downloads from one site: no limit."""

# The index `transcription_turns` is read from group to group, each of one owner, priority and site,
# and the first few of each: the cost follows the number of groups, not the length of the queue.
_LINES: LiteralString = """
with recursive line as (
    (
        select owner, priority = 'bulk' as is_bulk, coalesce(source_site, '') as site
        from ytcaption.transcription where status = 'queued'
        order by owner, (priority = 'bulk'), coalesce(source_site, '') limit 1
    )
    union all
    select following.* from line, lateral (
        select owner, priority = 'bulk', coalesce(source_site, '')
        from ytcaption.transcription
        where status = 'queued' and (owner, (priority = 'bulk'), coalesce(source_site, ''))
            > (line.owner, line.is_bulk, line.site)
        order by owner, (priority = 'bulk'), coalesce(source_site, '') limit 1
    ) as following
)
"""

_BULK_SITES: LiteralString = (
    f"{_LINES} select distinct site from line where is_bulk and site <> '' "  # noqa: S608
    "order by site"
)

_DUE: LiteralString = f"""
{_LINES}, open_line as (
    select line.*, case
        when not is_bulk or line.site = '' then %(limit)s
        when line.site = any(%(resting)s::text[]) then 0
        when line.site = any(%(one_by_one)s::text[]) then 1
        else %(limit)s
    end as bulk_places, case
        when line.site = '' then %(limit)s
        when not %(has_way)s then 0
        when is_open then (probe_at <= now() and not is_probed)::int
        else greatest(%(per_site)s::int - coalesce(runs, 0), 0)
    end as places
    from line left join ytcaption.busy_site using (site)
), placed as (
    select first.*, open_line.*, row_number() over (
            partition by site order by is_bulk, nth, queued_at, id
        ) as place, row_number() over (
            partition by site, is_bulk order by nth, queued_at, id
        ) as kind_place
    from open_line, lateral (
        select id, attempt, priority, media_id, traceparent, queued_at,
            row_number() over (order by queued_at, id) as nth
        from ytcaption.transcription
        where status = 'queued' and next_attempt_at <= now() and owner = open_line.owner
            and (priority = 'bulk') = is_bulk and coalesce(source_site, '') = site
        order by queued_at, id limit least(places, bulk_places, %(limit)s)
    ) as first
)
select id, attempt, priority, media_id, traceparent, row_number() over (
        partition by owner, is_bulk order by queued_at, id
    ) as turn
from placed where site = '' or (place <= places and kind_place <= bulk_places)
order by is_bulk, turn, queued_at, id
limit %(limit)s
"""  # noqa: S608

_NEXT = """
select extract(epoch from min(due_at) - now())::float8 as due_in_s
from (
    select case
        when source_site is null then next_at
        when is_open and is_probed then null
        when not is_open and coalesce(runs, 0) >= %(per_site)s::int then null
        when is_bulk and source_site = any(%(resting)s::text[]) and until is null then null
        when is_open or until is not null or %(way_at)s::timestamptz is not null
            then greatest(first_at, probe_at, until, %(way_at)s)
        else next_at
    end as due_at
    from (
        select source_site, priority = 'bulk' as is_bulk, min(next_attempt_at) as first_at,
            min(next_attempt_at) filter (where next_attempt_at > now()) as next_at
        from ytcaption.transcription where status = 'queued'
        group by source_site, priority = 'bulk'
    ) as queued left join (
        select site, coalesce(is_open, false) as is_open, probe_at, is_probed, runs
        from ytcaption.busy_site
    ) as busy on busy.site = source_site
    left join unnest(%(resting)s::text[], %(untils)s::timestamptz[]) as rest (site, until)
        on is_bulk and rest.site = source_site
    where is_open is not true or probe_at is not null
) as moment
where due_at > now()
"""


def due(
    connection: Connection[DictRow], limit: int, per_site: int, pacing: Pacing = UNPACED
) -> list[DueTranscription]:
    """What a run can be started for now, in order. Read by state, never from an id on, since a
    transaction that commits late would be lost.

    Args:
        per_site: most downloads from one site, those that run included.
        pacing: what bulk ones keep to.
    """
    return _due(connection, limit, per_site, _held(connection, pacing))


def next_due_in_s(
    connection: Connection[DictRow],
    per_site: int,
    known: Sequence[str] = (),
    pacing: Pacing = UNPACED,
) -> float | None:
    """Seconds until something is due, 0 if it is; None where nothing will be by itself.

    Args:
        known: run keys of what does not count.
    """
    held = _held(connection, pacing)
    found = _due(connection, len(known) + 1, per_site, held)  # at once, however long the queue
    if any(run_key(each.id, each.attempt) not in known for each in found):
        return 0.0
    row = connection.execute(_NEXT, {"per_site": per_site, **held}).fetchone()
    return row["due_in_s"] if row is not None else None


def _due(
    connection: Connection[DictRow], limit: int, per_site: int, held: dict[str, Any]
) -> list[DueTranscription]:
    rows = connection.execute(_DUE, {"limit": limit, "per_site": per_site, **held}).fetchall()
    return [DueTranscription(**row) for row in rows]


def _held(connection: Connection[DictRow], pacing: Pacing) -> dict[str, Any]:
    """What holds downloads up but their sites' own failures, as parameters of the statements."""
    sites = [row["site"] for row in connection.execute(_BULK_SITES).fetchall()]
    resting = rests(connection, pacing, sites, moment(connection)) if sites else {}
    way_at = all_cooling_until(connection, pacing.proxies)
    return {
        "resting": list(resting),
        "untils": [rest.until for rest in resting.values()],
        "one_by_one": [site for site in sites if pacing.is_one_by_one(site)],
        "has_way": way_at is None,
        "way_at": way_at,
    }
