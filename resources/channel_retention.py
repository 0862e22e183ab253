"""How long transcripts of channels are kept, where their channel says so."""

from typing import LiteralString

from resources.postgres import Postgres
from resources.retained import FINISHED, TOUCHED, is_kept
from resources.transcription_state import is_erased

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
            and not {is_erased("t.id")} and not {is_kept("t.id")}
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
