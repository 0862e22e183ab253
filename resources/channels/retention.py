"""What channels' lists keep of items that are erased: the id, so that none is taken again."""

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


def forget_items(connection: Connection[DictRow], transcription_id: str) -> None:
    """Of each item that has become this transcription, in whichever channel."""
    connection.execute(_FORGET + "where transcription_id = %s", (transcription_id,))


def forget_unwanted(connection: Connection[DictRow], media_id: str) -> None:
    """Of each item that is this media, of which no transcription is left, and that nobody waits
    for: what its list showed goes, too. Those still to be taken are somebody's wish."""
    connection.execute(
        _FORGET + "where media_id = %s and transcription_id is null "
        "and state in ('filtered', 'refused', 'gone')",
        (media_id,),
    )


_FOR_EVER_DAYS: LiteralString = "36500"

# Of all who have asked for it, who wants it longest decides. 0 is for ever.
_DAYS: LiteralString = f"""(
    select max(coalesce(nullif(
        coalesce(channel.keep_days, %(days)s::float8), 0), {_FOR_EVER_DAYS}))
    from ytcaption.request left join ytcaption.channel
        on channel.id = request.metadata ->> 'channel' and channel.owner = request.owner
    where request.transcription_id = t.id
)"""  # noqa: S608 - of literals only

_OF_CHANNELS: LiteralString = """exists (
    select from ytcaption.request join ytcaption.channel
        on channel.id = request.metadata ->> 'channel' and channel.owner = request.owner
    where request.transcription_id = t.id and channel.keep_days is not null
)"""


def old_items(postgres: Postgres, days: float, id: str | None = None) -> list[str]:
    """Transcriptions that a channel with an age of its own has asked for, and that are older than
    all who have asked for them want them kept; of one, where `id` is given.

    Args:
        days: the installation's age, for those who have asked by hand; 0: for ever.
    """
    rows = postgres.rows(
        f"""
        select t.id from ytcaption.transcription t
        where {FINISHED} and {_OF_CHANNELS} and (%(id)s::text is null or t.id = %(id)s)
            and {TOUCHED} < now() - make_interval(secs => least({_DAYS}, {_FOR_EVER_DAYS}) * 86400)
            and not {is_erased("t.id")} and not {is_pinned("t.id")}
        order by t.id
        """,  # noqa: S608
        {"days": days, "id": id},
    )
    return [row["id"] for row in rows]


def with_age_of_channel(postgres: Postgres, ids: list[str]) -> set[str]:
    """Of these those that a channel with an age of its own has asked for."""
    rows = postgres.rows(
        f"select t.id from ytcaption.transcription t "  # noqa: S608
        f"where t.id = any(%(ids)s) and {_OF_CHANNELS}",
        {"ids": ids},
    )
    return {row["id"] for row in rows}
