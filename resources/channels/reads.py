"""What there is to know of channels and their items, for those who subscribe."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple

import dagster as dg
from psycopg import Connection
from psycopg.rows import DictRow

from resources.channels.rows import (
    ChannelCounts,
    ChannelItem,
    ChannelRow,
    channel_item,
    channel_row,
)
from resources.postgres.connection import Postgres
from ytcaption.domain.channels.filters import ItemState
from ytcaption.domain.errors import ChannelNotFound
from ytcaption.domain.request import TranscriptionStatus

VISIBLE: LiteralString = """
select * from ytcaption.channel
where id = %(id)s and deleted_at is null and (%(owner)s::text is null or owner = %(owner)s)
"""
"""One channel, as far as its owner sees it."""


class ChannelPosition(NamedTuple):
    """A place in the list of channels."""

    created_at: datetime
    id: str


class ItemPosition(NamedTuple):
    """A place in the list of a channel's items."""

    place: float
    media_id: str


class ChannelReads(dg.ConfigurableResource):
    """`owner` is who wants to see, as `Caller.sees_only` says: None sees everything."""

    postgres: Postgres

    def get(self, id: str, owner: str | None = None) -> ChannelRow:
        """One channel.

        Raises:
            ChannelNotFound: there is none of this id, or not for this owner.
        """
        rows = self.postgres.rows(VISIBLE, {"id": id, "owner": owner})
        if not rows:
            raise not_found(id)
        return channel_row(rows[0])

    def channels(
        self, owner: str | None = None, after: ChannelPosition | None = None, limit: int = 50
    ) -> list[ChannelRow]:
        """The newest first, by when they were subscribed to."""
        rows = self.postgres.rows(
            """
            select * from ytcaption.channel
            where deleted_at is null and (%(owner)s::text is null or owner = %(owner)s)
                and (%(at)s::timestamptz is null or (created_at, id) < (%(at)s, %(after_id)s))
            order by created_at desc, id desc limit %(limit)s
            """,
            {
                "owner": owner,
                "at": after.created_at if after else None,
                "after_id": after.id if after else None,
                "limit": limit,
            },
        )
        return [channel_row(row) for row in rows]

    def items(
        self,
        id: str,
        owner: str | None = None,
        *,
        states: Collection[ItemState] = (),
        changed: bool = False,
        after: ItemPosition | None = None,
        limit: int = 50,
    ) -> list[ChannelItem]:
        """Its items, the newest first.

        Args:
            states: any of them; empty: all.
            changed: only those whose audio seems to be another than the one transcribed.

        Raises:
            ChannelNotFound: as `get`.
        """
        self.get(id, owner)
        rows = self.postgres.rows(
            """
            select item.*, t.status from ytcaption.channel_item as item
            left join ytcaption.transcription as t on t.id = item.transcription_id
            where item.channel_id = %(id)s
                and (%(states)s::text[] = '{}' or item.state = any(%(states)s))
                and (not %(changed)s or item.changed_at is not null)
                and (%(place)s::float8 is null
                    or (item.place, item.media_id) > (%(place)s, %(media_id)s))
            order by item.place, item.media_id limit %(limit)s
            """,
            {
                "id": id,
                "states": list(states),
                "changed": changed,
                "place": after.place if after else None,
                "media_id": after.media_id if after else None,
                "limit": limit,
            },
        )
        return [channel_item(row) for row in rows]

    def counts(self, ids: Sequence[str]) -> dict[str, ChannelCounts]:
        """Of each of these channels."""
        with self.postgres.transaction() as connection:
            return counts(connection, ids)


def counts(connection: Connection[DictRow], ids: Sequence[str]) -> dict[str, ChannelCounts]:
    """Each channel's items, those without any included."""
    rows = connection.execute(
        """
        select channel_id, item.state, t.status, count(*) as number,
            count(item.changed_at) as changed
        from ytcaption.channel_item as item
        left join ytcaption.transcription as t on t.id = item.transcription_id
        where channel_id = any(%s) group by channel_id, item.state, t.status
        """,
        (list(ids),),
    ).fetchall()
    found: dict[str, ChannelCounts] = {}
    for id in ids:
        states: dict[ItemState, int] = {}
        statuses: dict[TranscriptionStatus, int] = {}
        own = [row for row in rows if row["channel_id"] == id]
        for row in own:
            states[row["state"]] = states.get(row["state"], 0) + row["number"]
            if row["status"] is not None:
                status = TranscriptionStatus(row["status"])
                statuses[status] = statuses.get(status, 0) + row["number"]
        found[id] = ChannelCounts(states, statuses, sum(row["changed"] for row in own))
    return found


def not_found(id: str) -> ChannelNotFound:
    """The error for an id of no channel, or of another's."""
    return ChannelNotFound(f"There is no channel {id[:120]}.")
