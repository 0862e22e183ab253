"""Places of items in a channel's list, by the order of the source's: the smaller, the newer."""

from collections.abc import Iterable, Mapping, Sequence

from psycopg import Connection
from psycopg.rows import DictRow

_STEP = 1e-6
"""Between two that are known there is room for so many: a double has 15 digits."""


def places(
    connection: Connection[DictRow],
    channel_id: str,
    listed: Sequence[str],
    known: Mapping[str, float],
    history_at: int | None,
) -> dict[str, float]:
    """Places of the items of a page that are not known: behind the known one that stands before
    them there; at the top where none does, and at the end behind the last of all.

    Args:
        listed: ids of media in the page's order.
        known: places of those that have one.
        history_at: start of the page in the listing of the whole history, whose page before goes
            before it; None: the page is of the newest.
    """
    first = None if history_at is None else _last_before(connection, channel_id, history_at)
    row = connection.execute(
        "select min(place) as first, max(place) as last from ytcaption.channel_item "
        "where channel_id = %s",
        (channel_id,),
    ).fetchone()
    assert row is not None
    found: dict[str, float] = {}
    for before, group in _groups(listed, known, first):
        if before is None:
            start, step = (0.0 if row["first"] is None else row["first"] - len(group)), 1.0
        elif before == row["last"]:
            start, step = before + 1.0, 1.0
        else:
            start, step = before + _STEP, _STEP
        found |= {media_id: start + step * index for index, media_id in enumerate(group)}
    return found


def _last_before(connection: Connection[DictRow], channel_id: str, start: int) -> float | None:
    row = connection.execute(
        """
        select place from ytcaption.channel_item as item join (
            select channel_id, media_ids[cardinality(media_ids)] as media_id
            from ytcaption.channel_page where channel_id = %s and start < %s
            order by start desc limit 1
        ) as page using (channel_id, media_id)
        """,
        (channel_id, start),
    ).fetchone()
    return None if row is None else row["place"]


def _groups(
    listed: Iterable[str], known: Mapping[str, float], before: float | None
) -> Iterable[tuple[float | None, list[str]]]:
    """Unknown ones that stand together, each group with the place of the known one before it."""
    group: list[str] = []
    for media_id in listed:
        if media_id not in known:
            group.append(media_id)
            continue
        if group:
            yield before, group
        before, group = known[media_id], []
    if group:
        yield before, group
