"""What becomes of items that are not taken: by the filters, and by how many are wanted."""

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
    """Verdicts on items that come newest first: by the filters, and by how many are wanted.

    Args:
        taken: items that are wanted already, all newer than those that come.
    """

    def __init__(self, filters: ChannelFilters, now: datetime, taken: int = 0) -> None:
        self._filters = filters
        self._now = now
        self.taken = taken

    @property
    def has_enough(self) -> bool:
        """Nothing older is wanted."""
        newest = self._filters.newest
        return newest is not None and self.taken >= newest

    def verdict(self, item: ListedItem, *, is_counted: bool = False) -> Verdict:
        """On the next one.

        Args:
            is_counted: it is among those taken, and stays so unless a filter leaves it out now.
        """
        found = verdict(item, self._filters, self._now)
        if found.state not in ("new", "waiting") or is_counted:
            return found
        if self.has_enough:
            return Verdict("filtered", NOT_NEWEST)
        self.taken += 1
        return found


def judge_anew(connection: Connection[DictRow], id: str, filters: ChannelFilters) -> None:
    """Apply other filters to all that a channel has not taken, in one statement."""
    rows = connection.execute(
        "select * from ytcaption.channel_item where channel_id = %s order by place, media_id",
        (id,),
    ).fetchall()
    judge = Judge(filters, datetime.now(UTC))
    judged = []
    for row in rows:
        if row["transcription_id"] is not None or row["state"] == "erased":
            judge.taken += row["transcription_id"] is not None
        else:
            found = judge.verdict(listed_item(row))
            judged.append(
                {"media_id": row["media_id"], "state": found.state, "reason": found.reason}
            )
    connection.execute(_WRITE, {"id": id, "judged": Jsonb(judged)})
