"""Whose turn it is: which queued transcriptions runs may be started for, in which order.

Interactive before bulk; then each owner in turn, one transcription a round, so that nobody's flood
holds up another's few; then by age. Of a site that fails, or from which enough is downloaded now,
nothing is taken but what has its audio here.
"""

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import DictRow

from resources.request_rows import DueTranscription
from ytcaption_assets.domain.request import run_key

ANY_NUMBER = 1_000_000
"""Of downloads from one site: no limit."""

# The index `transcription_turns` is read from group to group, each of one owner, priority and site,
# and the first few of each: the cost follows the number of groups, not the length of the queue.
_DUE = """
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
), open_line as (
    select line.*, case
        when line.site = '' then %(limit)s
        when is_open then (probe_at <= now() and not is_probed)::int
        else greatest(%(per_site)s::int - coalesce(runs, 0), 0)
    end as places
    from line left join ytcaption.busy_site using (site)
), placed as (
    select first.*, open_line.*, row_number() over (
            partition by site order by is_bulk, nth, queued_at, id
        ) as place
    from open_line, lateral (
        select id, attempt, priority, media_id, traceparent, queued_at,
            row_number() over (order by queued_at, id) as nth
        from ytcaption.transcription
        where status = 'queued' and next_attempt_at <= now() and owner = open_line.owner
            and (priority = 'bulk') = is_bulk and coalesce(source_site, '') = site
        order by queued_at, id limit least(places, %(limit)s)
    ) as first
)
select id, attempt, priority, media_id, traceparent, row_number() over (
        partition by owner, is_bulk order by queued_at, id
    ) as turn
from placed where site = '' or place <= places
order by is_bulk, turn, queued_at, id
limit %(limit)s
"""

_NEXT = """
select extract(epoch from min(due_at) - now())::float8 as due_in_s
from (
    select case
        when is_open then case when not is_probed then greatest(first_at, probe_at) end
        when source_site is null or coalesce(runs, 0) < %(per_site)s::int then next_at
    end as due_at
    from (
        select source_site, min(next_attempt_at) as first_at,
            min(next_attempt_at) filter (where next_attempt_at > now()) as next_at
        from ytcaption.transcription where status = 'queued' group by source_site
    ) as queued left join ytcaption.busy_site on site = source_site
    where is_open is not true or probe_at is not null
) as moment
where due_at > now()
"""


def due(connection: Connection[DictRow], limit: int, per_site: int) -> list[DueTranscription]:
    """What a run can be started for now, in order. Read by state, never from an id on, since a
    transaction that commits late would be lost.

    Args:
        per_site: most downloads from one site, those that run included.
    """
    rows = connection.execute(_DUE, {"limit": limit, "per_site": per_site}).fetchall()
    return [DueTranscription(**row) for row in rows]


def next_due_in_s(
    connection: Connection[DictRow], per_site: int, known: Sequence[str] = ()
) -> float | None:
    """Seconds until something is due, 0 if it is; None where nothing will be by itself.

    Args:
        known: run keys of what does not count.
    """
    found = due(connection, len(known) + 1, per_site)  # at once, however long the queue
    if any(run_key(each.id, each.attempt) not in known for each in found):
        return 0.0
    row = connection.execute(_NEXT, {"per_site": per_site}).fetchone()
    return row["due_in_s"] if row is not None else None
