"""ChannelStore: subscriptions as their owners read and change them.

Listing runs write through `resources.channels.runs` and `resources.channels.intake`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, LiteralString, NamedTuple, Self

import dagster as dg
from psycopg import Connection
from psycopg.rows import DictRow

from resources.channels.rows import (
    PLAN_COLUMNS,
    ChannelCounts,
    ChannelItem,
    ChannelPlan,
    ChannelRow,
    channel_item,
    channel_row,
    source_columns,
)
from resources.channels.verdicts import reapply_filters
from resources.postgres.connection import Postgres, Role
from resources.postgres.notify import notify
from resources.telemetry.spans import traced
from ytcaption.domain.caller import LOCAL_OWNER
from ytcaption.domain.channels.channel import ChannelSource, channel_id
from ytcaption.domain.channels.filters import ItemState
from ytcaption.domain.errors import ChannelBusy, ChannelNotFound
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings.settings import Settings

CHANNELS_CHANNEL = "ytcaption_channels"
"""NOTIFY channel: a subscription may be due, or was added or removed."""

_VISIBLE: LiteralString = """
select * from ytcaption.channel
where id = %(id)s and deleted_at is null and (%(owner)s::text is null or owner = %(owner)s)
"""
_INSERTED: tuple[LiteralString, ...] = (
    "id", "owner", "source_id", "kind", "url", "extractor", "feed_url", "title", "site",
    "paused_at", *PLAN_COLUMNS,
)  # fmt: skip
_INSERT: LiteralString = f"""
insert into ytcaption.channel ({", ".join(_INSERTED)})
values ({", ".join([f"%({name})s" for name in _INSERTED])})
on conflict (owner, source_id) do nothing returning *
"""  # noqa: S608 - of literals only
_CHANGE: LiteralString = f"""
update ytcaption.channel
set {", ".join([f"{name} = %({name})s" for name in PLAN_COLUMNS])}, updated_at = now()
where id = %(id)s
"""  # noqa: S608


class ChannelPosition(NamedTuple):
    """A position in the list of channels, after which a page begins."""

    created_at: datetime
    id: str


class ItemPosition(NamedTuple):
    """A position in the list of a channel's items, after which a page begins."""

    position: float
    media_id: str


class ChannelStore(dg.ConfigurableResource):
    """Channels and their items.

    `owner` limits what is read and changed to one owner's channels, as `Caller.sees_only` does;
    None: all channels.
    """

    postgres: Postgres

    @classmethod
    def from_settings(cls, settings: Settings, role: Role = "dagster") -> Self:
        """Return a store with the rights of `role`; otherwise the environment's settings apply."""
        return cls(postgres=Postgres.from_settings(settings, role))

    # Reading.

    def get(self, id: str, owner: str | None = None) -> ChannelRow:
        """Return one channel.

        Raises:
            ChannelNotFound: it does not exist, or belongs to another owner.
        """
        rows = self.postgres.rows(_VISIBLE, {"id": id, "owner": owner})
        if not rows:
            raise _not_found(id)
        return channel_row(rows[0])

    def channels(
        self, owner: str | None = None, after: ChannelPosition | None = None, limit: int = 50
    ) -> list[ChannelRow]:
        """Return channels, the latest subscription first."""
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
        """Return the channel's items, the newest first.

        Args:
            states: any of these; empty: all.
            changed: only items whose audio seems to differ from the transcribed audio.

        Raises:
            ChannelNotFound: see `get`.
        """
        self.get(id, owner)
        rows = self.postgres.rows(
            """
            select item.*, t.status from ytcaption.channel_item as item
            -- One that the owner has withdrawn goes on for others only.
            left join ytcaption.transcription as t on t.id = item.transcription_id and exists (
                select from ytcaption.request join ytcaption.channel using (owner)
                where request.transcription_id = t.id and channel.id = item.channel_id)
            where item.channel_id = %(id)s
                and (%(states)s::text[] = '{}' or item.state = any(%(states)s))
                and (not %(changed)s or item.changed_at is not null)
                and (%(position)s::float8 is null
                    or (item.place, item.media_id) > (%(position)s, %(media_id)s))
            order by item.place, item.media_id limit %(limit)s
            """,
            {
                "id": id,
                "states": list(states),
                "changed": changed,
                "position": after.position if after else None,
                "media_id": after.media_id if after else None,
                "limit": limit,
            },
        )
        return [channel_item(row) for row in rows]

    def counts(self, ids: Sequence[str]) -> dict[str, ChannelCounts]:
        """Return the item counts of each of these channels."""
        with self.postgres.transaction() as connection:
            return counts(connection, ids)

    # Changing.

    @traced("postgres.channel_create")
    def create(
        self,
        source: ChannelSource,
        plan: ChannelPlan,
        owner: str = LOCAL_OWNER,
        *,
        paused: bool = False,
    ) -> tuple[ChannelRow, bool]:
        """Subscribe to a source; return the channel and whether it is new.

        An owner has one channel per source; subscribing again leaves it unchanged.

        Args:
            paused: not listed until `resume`; otherwise due at once.

        Raises:
            ChannelBusy: the channel is being deleted with its transcriptions.
        """
        id = channel_id(source.source_id, owner)
        values = source_columns(source) | plan.columns() | {"id": id, "owner": owner}
        values["paused_at"] = datetime.now(UTC) if paused else None
        with self.postgres.transaction() as connection:
            created = connection.execute(_INSERT, values).fetchone()
            if created is not None:
                notify(connection, CHANNELS_CHANNEL, id)
                return channel_row(created), True
            try:
                return channel_row(_locked(connection, id, owner)), False
            except ChannelNotFound:
                raise ChannelBusy(
                    "This channel is being removed with its transcriptions. Add it again in a "
                    "minute."
                ) from None

    @traced("postgres.channel_change")
    def change(self, id: str, changes: Mapping[str, Any], owner: str | None = None) -> ChannelRow:
        """Change the channel's plan.

        Items already enqueued stay as they are. New filters apply to items that were excluded or
        are not enqueued yet.

        Args:
            changes: fields of ChannelPlan with their new values.

        Raises:
            ChannelNotFound: see `get`.
        """
        with self.postgres.transaction() as connection:
            before = channel_row(_locked(connection, id, owner))
            plan = replace(before.plan, **changes)
            connection.execute(_CHANGE, plan.columns() | {"id": id})
            if plan.filters != before.plan.filters:
                reapply_filters(connection, id, plan.filters)
                if plan.filters.newest != before.plan.filters.newest:
                    # The listing of the history may have stopped at the old maximum.
                    connection.execute(
                        "update ytcaption.channel set history_next = 0 where id = %s",
                        (id,),
                    )
                    _make_due(connection, id)
            if plan.schedule != before.plan.schedule:
                _make_due(connection, id)
            if plan.digest != before.plan.digest:
                connection.execute(
                    "update ytcaption.channel set digest_until = now(), digest_at = now() "
                    "where id = %s",
                    (id,),
                )
            notify(connection, CHANNELS_CHANNEL, id)
            return channel_row(_locked(connection, id, owner))

    def pause(self, id: str, owner: str | None = None) -> ChannelRow:
        """Stop listing the channel until `resume`.

        A listing that runs now goes on, and queued transcriptions stay queued.

        Raises:
            ChannelNotFound: see `get`.
        """
        with self.postgres.transaction() as connection:
            _locked(connection, id, owner)
            connection.execute(
                "update ytcaption.channel set paused_at = coalesce(paused_at, now()), "
                "updated_at = now() where id = %s",
                (id,),
            )
            return channel_row(_locked(connection, id, owner))

    def resume(self, id: str, owner: str | None = None) -> ChannelRow:
        """End a pause and make the channel due now; without effect if it is not paused.

        Raises:
            ChannelNotFound: see `get`.
        """
        with self.postgres.transaction() as connection:
            if _locked(connection, id, owner)["paused_at"] is not None:
                connection.execute(
                    "update ytcaption.channel set paused_at = null, updated_at = now() "
                    "where id = %s",
                    (id,),
                )
                _make_due(connection, id)
            return channel_row(_locked(connection, id, owner))

    def run_now(self, id: str, owner: str | None = None) -> ChannelRow:
        """Request one listing now, also of a paused channel, or after the one that runs.

        Raises:
            ChannelNotFound: see `get`.
        """
        with self.postgres.transaction() as connection:
            _locked(connection, id, owner)
            connection.execute(
                "update ytcaption.channel set run_asked_at = now() where id = %s", (id,)
            )
            _make_due(connection, id)
            return channel_row(_locked(connection, id, owner))

    def delete(
        self, id: str, owner: str | None = None, *, with_transcriptions: bool = False
    ) -> None:
        """Delete the channel and its items; queued transcriptions stay queued.

        A listing run of it writes nothing more.

        Args:
            with_transcriptions: its items' transcriptions are erased for its owner in the
                background; others' requests for them stay.

        Raises:
            ChannelNotFound: see `get`.
        """
        with self.postgres.transaction() as connection:
            _locked(connection, id, owner)
            if with_transcriptions:
                connection.execute(
                    "update ytcaption.channel set deleted_at = now(), run_id = null, "
                    "heartbeat_at = null where id = %s",
                    (id,),
                )
            else:
                connection.execute("delete from ytcaption.channel where id = %s", (id,))
            notify(connection, CHANNELS_CHANNEL, id)


def counts(connection: Connection[DictRow], ids: Sequence[str]) -> dict[str, ChannelCounts]:
    """Return the item counts of each channel, also of those without items."""
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
    by_channel: dict[str, ChannelCounts] = {}
    for id in ids:
        states: dict[ItemState, int] = {}
        statuses: dict[TranscriptionStatus, int] = {}
        own = [row for row in rows if row["channel_id"] == id]
        for row in own:
            states[row["state"]] = states.get(row["state"], 0) + row["number"]
            if row["status"] is not None:
                status = TranscriptionStatus(row["status"])
                statuses[status] = statuses.get(status, 0) + row["number"]
        by_channel[id] = ChannelCounts(states, statuses, sum(row["changed"] for row in own))
    return by_channel


def channels_of(postgres: Postgres, transcription_ids: Sequence[str]) -> dict[str, str]:
    """Return the channel of which each transcription is an item; of several, the first."""
    rows = postgres.rows(
        "select distinct on (transcription_id) transcription_id, channel_id "
        "from ytcaption.channel_item where transcription_id = any(%(ids)s) "
        "order by transcription_id, queued_at, channel_id",
        {"ids": list(transcription_ids)},
    )
    return {row["transcription_id"]: row["channel_id"] for row in rows}


def _locked(connection: Connection[DictRow], id: str, owner: str | None) -> DictRow:
    """Return the row, locked until the transaction ends.

    Raises:
        ChannelNotFound: see `ChannelStore.get`.
    """
    row = connection.execute(_VISIBLE + " for update", {"id": id, "owner": owner}).fetchone()
    if row is None:
        raise _not_found(id)
    return row


def _make_due(connection: Connection[DictRow], id: str) -> None:
    connection.execute("update ytcaption.channel set next_listing_at = now() where id = %s", (id,))
    notify(connection, CHANNELS_CHANNEL, id)


def _not_found(id: str) -> ChannelNotFound:
    return ChannelNotFound(f"There is no channel {id[:120]}.")
