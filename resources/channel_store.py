"""Channels: subscribing, reading, changing, pausing, leaving. What their listings write is in
`resources.channel_runs` and `resources.channel_intake`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, LiteralString, NamedTuple, Self

import dagster as dg
from psycopg import Connection
from psycopg.rows import DictRow

from resources.channel_rows import (
    PLAN_COLUMNS,
    ChannelCounts,
    ChannelItem,
    ChannelPlan,
    ChannelRow,
    channel_item,
    channel_row,
    source_columns,
)
from resources.channel_verdicts import judge_anew
from resources.postgres import Postgres, Role
from resources.telemetry import traced
from resources.transcription_state import notify
from ytcaption_assets.domain.caller import LOCAL_OWNER
from ytcaption_assets.domain.channel import ChannelSource, channel_id
from ytcaption_assets.domain.channel_filters import ItemState
from ytcaption_assets.domain.errors import ChannelBusy, ChannelNotFound
from ytcaption_assets.domain.request import TranscriptionStatus
from ytcaption_assets.settings import Settings

CHANNELS_CHANNEL = "ytcaption_channels"
"""NOTIFY: a channel may be due, or has come or gone."""

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
_VISIBLE: LiteralString = """
select * from ytcaption.channel
where id = %(id)s and deleted_at is null and (%(owner)s::text is null or owner = %(owner)s)
"""


class ChannelPosition(NamedTuple):
    """A place in the list of channels."""

    created_at: datetime
    id: str


class ItemPosition(NamedTuple):
    """A place in the list of a channel's items."""

    place: float
    media_id: str


class ChannelStore(dg.ConfigurableResource):
    """Channels and their items, for those who subscribe.

    `owner` is who wants to see or change, as `Caller.sees_only` says: None sees everything.
    """

    postgres: Postgres

    @classmethod
    def from_settings(cls, settings: Settings, role: Role = "dagster") -> Self:
        """With the rights of one part; otherwise the environment's settings are taken."""
        return cls(postgres=Postgres.from_settings(settings, role))

    @traced("postgres.channel_create")
    def create(
        self,
        source: ChannelSource,
        plan: ChannelPlan,
        owner: str = LOCAL_OWNER,
        *,
        paused: bool = False,
    ) -> tuple[ChannelRow, bool]:
        """Subscribe, and whether that was new: an owner has one channel of a source, and asking for
        it again leaves it as it is.

        Args:
            paused: not looked at until `resume`; else due at once.

        Raises:
            ChannelBusy: it is being deleted with its transcriptions.
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

    def get(self, id: str, owner: str | None = None) -> ChannelRow:
        """One channel.

        Raises:
            ChannelNotFound: there is none of this id, or not for this owner.
        """
        rows = self.postgres.rows(_VISIBLE, {"id": id, "owner": owner})
        if not rows:
            raise _not_found(id)
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

    @traced("postgres.channel_change")
    def change(self, id: str, changes: Mapping[str, Any], owner: str | None = None) -> ChannelRow:
        """Want something else of it. What is taken already stays as it is; what was left out or is
        not yet taken is judged anew by the filters.

        Args:
            changes: fields of ChannelPlan with their new values.

        Raises:
            ChannelNotFound: as `get`.
        """
        with self.postgres.transaction() as connection:
            before = channel_row(_locked(connection, id, owner))
            plan = replace(before.plan, **changes)
            connection.execute(_CHANGE, plan.columns() | {"id": id})
            if plan.filters != before.plan.filters:
                judge_anew(connection, id, plan.filters)
                if plan.filters.newest != before.plan.filters.newest:
                    # It may have ended where enough was taken.
                    connection.execute(
                        "update ytcaption.channel set history_next = 0 where id = %s",
                        (id,),
                    )
                    _look_at(connection, id)
            if plan.schedule != before.plan.schedule:
                _look_at(connection, id)
            if plan.digest != before.plan.digest:
                connection.execute(
                    "update ytcaption.channel set digest_until = now(), digest_at = now() "
                    "where id = %s",
                    (id,),
                )
            notify(connection, CHANNELS_CHANNEL, id)
            return channel_row(_locked(connection, id, owner))

    def pause(self, id: str, owner: str | None = None) -> ChannelRow:
        """Look at it no more until `resume`; a look that is under way goes on. What it has in the
        queue stays there.

        Raises:
            ChannelNotFound: as `get`.
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
        """Look at it again, at once where it was paused.

        Raises:
            ChannelNotFound: as `get`.
        """
        with self.postgres.transaction() as connection:
            if _locked(connection, id, owner)["paused_at"] is not None:
                connection.execute(
                    "update ytcaption.channel set paused_at = null, updated_at = now() "
                    "where id = %s",
                    (id,),
                )
                _look_at(connection, id)
            return channel_row(_locked(connection, id, owner))

    def run_now(self, id: str, owner: str | None = None) -> ChannelRow:
        """Look at it at once, once also where it is paused; where it is being looked at, again.

        Raises:
            ChannelNotFound: as `get`.
        """
        with self.postgres.transaction() as connection:
            _locked(connection, id, owner)
            connection.execute(
                "update ytcaption.channel set run_asked_at = now() where id = %s", (id,)
            )
            _look_at(connection, id)
            return channel_row(_locked(connection, id, owner))

    def delete(
        self, id: str, owner: str | None = None, *, with_transcriptions: bool = False
    ) -> None:
        """Leave it: its list goes, and what is in the queue stays there. Its listing run, if one is
        at work, writes no more.

        Args:
            with_transcriptions: those of its items are erased for its owner, in the background;
                what others have asked for stays for them.

        Raises:
            ChannelNotFound: as `get`.
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


def _locked(connection: Connection[DictRow], id: str, owner: str | None) -> DictRow:
    """The row, held until the transaction ends.

    Raises:
        ChannelNotFound: as `ChannelStore.get`.
    """
    row = connection.execute(_VISIBLE + " for update", {"id": id, "owner": owner}).fetchone()
    if row is None:
        raise _not_found(id)
    return row


def _look_at(connection: Connection[DictRow], id: str) -> None:
    connection.execute("update ytcaption.channel set next_listing_at = now() where id = %s", (id,))
    notify(connection, CHANNELS_CHANNEL, id)


def _not_found(id: str) -> ChannelNotFound:
    return ChannelNotFound(f"There is no channel {id[:120]}.")
