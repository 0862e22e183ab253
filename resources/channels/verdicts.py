"""Verdicts on items that are not enqueued yet: by the filters, and by how many are wanted."""

from datetime import UTC, datetime

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.channels.rows import listed_item
from ytcaption.domain.channels.channel import ChannelFilters, ListedItem
from ytcaption.domain.channels.filters import NOT_NEWEST, Verdict, verdict

_WRITE = """
update ytcaption.channel_item as item
set state = judged.state, reason = judged.reason, updated_at = now()
from jsonb_to_recordset(%(judged)s) as judged(media_id text, state text, reason text)
where item.channel_id = %(id)s and item.media_id = judged.media_id
    and (item.state, item.reason) is distinct from (judged.state, judged.reason)
"""


class Judge:
    """Returns verdicts on items, newest first, by the filters and the number of wanted items.

    Args:
        wanted: number of newer items that are wanted already.
    """

    def __init__(self, filters: ChannelFilters, now: datetime, wanted: int = 0) -> None:
        self._filters = filters
        self._now = now
        self.wanted = wanted

    @property
    def has_enough(self) -> bool:
        """Return whether no older item is wanted."""
        newest = self._filters.newest
        return newest is not None and self.wanted >= newest

    def verdict(self, item: ListedItem, *, is_counted: bool = False) -> Verdict:
        """Return the verdict on the next item.

        Args:
            is_counted: the item is among the wanted already, unless a filter excludes it now.
        """
        by_filters = verdict(item, self._filters, self._now)
        if by_filters.state not in ("new", "waiting") or is_counted:
            return by_filters
        if self.has_enough:
            return Verdict("filtered", NOT_NEWEST)
        self.wanted += 1
        return by_filters


def reapply_filters(connection: Connection[DictRow], id: str, filters: ChannelFilters) -> None:
    """Apply new filters to all items of the channel that are not enqueued, in one statement."""
    rows = connection.execute(
        "select * from ytcaption.channel_item where channel_id = %s order by place, media_id",
        (id,),
    ).fetchall()
    judge = Judge(filters, datetime.now(UTC))
    judged = []
    for row in rows:
        if row["transcription_id"] is not None or row["state"] == "erased":
            judge.wanted += row["transcription_id"] is not None
        else:
            decision = judge.verdict(listed_item(row))
            judged.append(
                {"media_id": row["media_id"], "state": decision.state, "reason": decision.reason}
            )
    connection.execute(_WRITE, {"id": id, "judged": Jsonb(judged)})
