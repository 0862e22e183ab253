"""What channel lists keep of erased items (the id, so that none is enqueued again), and ages."""

from typing import LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.postgres.predicates import FINISHED, TOUCHED, is_erased, is_pinned

_FORGET: LiteralString = """
update ytcaption.channel_item
set state = 'erased', reason = null, url = null, title = null, extractor = null,
    published_at = null, duration_s = null, audio_bytes = null, live = null, change = null,
    changed_at = null, updated_at = now()
"""


def forget_items(
    connection: Connection[DictRow], transcription_id: str, owner: str | None = None
) -> None:
    """Erase the facts of each item that has this transcription.

    Args:
        owner: in this owner's channels only; None: in those of all who have requested it and not
            withdrawn. To those who have, it would show that others have erased it.
    """
    connection.execute(
        _FORGET
        + """
        from ytcaption.channel
        where channel.id = channel_item.channel_id
            and channel_item.transcription_id = %(id)s
            and (channel.owner = %(owner)s::text or (%(owner)s::text is null and exists (
                select from ytcaption.request
                where request.transcription_id = %(id)s and request.owner = channel.owner)))
        """,
        {"id": transcription_id, "owner": owner},
    )


def forget_unwanted(connection: Connection[DictRow], media_id: str) -> None:
    """Erase the facts of items of this media item that have no transcription and are not waited
    for.

    Items still to be enqueued stay: an owner wants them.
    """
    connection.execute(
        _FORGET + "where media_id = %s and transcription_id is null "
        "and state in ('filtered', 'refused', 'gone')",
        (media_id,),
    )


_FOREVER_DAYS: LiteralString = "36500"

# Of all owners' retention times the longest decides. 0 means forever.
_DAYS: LiteralString = f"""(
    select max(coalesce(nullif(
        coalesce(channel.keep_days, %(days)s::float8), 0), {_FOREVER_DAYS}))
    from ytcaption.request left join ytcaption.channel
        on channel.id = request.metadata ->> 'channel' and channel.owner = request.owner
    where request.transcription_id = t.id
)"""  # noqa: S608 - of literals only

_HAS_CHANNEL_AGE: LiteralString = """exists (
    select from ytcaption.request join ytcaption.channel
        on channel.id = request.metadata ->> 'channel' and channel.owner = request.owner
    where request.transcription_id = t.id and channel.keep_days is not null
)"""


def expired_items(postgres: Postgres, days: float, id: str | None = None) -> list[str]:
    """Return transcriptions that channels with their own retention requested and that have expired.

    Args:
        days: the installation's retention, for requests made directly; 0: forever.
        id: only this transcription.
    """
    rows = postgres.rows(
        f"""
        select t.id from ytcaption.transcription t
        where {FINISHED} and {_HAS_CHANNEL_AGE} and (%(id)s::text is null or t.id = %(id)s)
            and {TOUCHED} < now() - make_interval(secs => least({_DAYS}, {_FOREVER_DAYS}) * 86400)
            and not {is_erased("t.id")} and not {is_pinned("t.id")}
        order by t.id
        """,  # noqa: S608
        {"days": days, "id": id},
    )
    return [row["id"] for row in rows]


def with_channel_retention(postgres: Postgres, ids: list[str]) -> set[str]:
    """Return those of the ids that a channel with its own retention has requested."""
    rows = postgres.rows(
        f"select t.id from ytcaption.transcription t "  # noqa: S608
        f"where t.id = any(%(ids)s) and {_HAS_CHANNEL_AGE}",
        {"ids": ids},
    )
    return {row["id"] for row in rows}
