"""Channels: subscribing, changing, pausing, leaving. What is read is in `resources.channels.reads`,
what their listings write in `resources.channels.runs` and `resources.channels.intake`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, LiteralString, Self

from psycopg import Connection
from psycopg.rows import DictRow

from resources.channels.reads import VISIBLE, ChannelReads, not_found
from resources.channels.rows import (
    PLAN_COLUMNS,
    ChannelPlan,
    ChannelRow,
    channel_row,
    source_columns,
)
from resources.channels.verdicts import judge_anew
from resources.postgres.connection import Postgres, Role
from resources.postgres.notify import notify
from resources.telemetry.spans import traced
from ytcaption.domain.caller import LOCAL_OWNER
from ytcaption.domain.channels.channel import ChannelSource, channel_id
from ytcaption.domain.errors import ChannelBusy, ChannelNotFound
from ytcaption.settings import Settings

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


class ChannelStore(ChannelReads):
    """Channels and their items, for those who subscribe.

    `owner` is who wants to see or change, as `Caller.sees_only` says: None sees everything.
    """

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


def _locked(connection: Connection[DictRow], id: str, owner: str | None) -> DictRow:
    """The row, held until the transaction ends.

    Raises:
        ChannelNotFound: as `ChannelStore.get`.
    """
    row = connection.execute(VISIBLE + " for update", {"id": id, "owner": owner}).fetchone()
    if row is None:
        raise not_found(id)
    return row


def _look_at(connection: Connection[DictRow], id: str) -> None:
    connection.execute("update ytcaption.channel set next_listing_at = now() where id = %s", (id,))
    notify(connection, CHANNELS_CHANNEL, id)
