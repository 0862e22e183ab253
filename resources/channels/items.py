"""The rows of a channel's items: written from a page, with position, verdict and changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.channels.rows import ChannelRow, listed_item
from resources.channels.verdicts import Judge
from resources.postgres.jsonb import clean
from ytcaption.domain.channels.channel import ListedItem, ListingPage
from ytcaption.domain.channels.filters import (
    NOT_NEWEST,
    UNAVAILABLE_FOR_GOOD,
    Verdict,
    asks_for_facts,
)
from ytcaption.domain.errors import LiveNotOver
from ytcaption.domain.media.reupload import AudioFacts, changed

MAX_SHOWN = 50
"""Number of new items that an IntakeResult names."""

_POSITION_STEP = 1e-6
"""Distance of new positions between known ones: a double has 15 digits, so there is enough room."""

_KNOWN = """
select item.*, t.status, t.error_code from ytcaption.channel_item as item
left join ytcaption.transcription as t on t.id = item.transcription_id
where item.channel_id = %(id)s and item.media_id = any(%(media_ids)s)
"""

_WANTED = """
select count(*) as number from ytcaption.channel_item
where channel_id = %s and (state in ('new', 'waiting') or transcription_id is not null)
"""

_WRITE = """
insert into ytcaption.channel_item as known (
    channel_id, media_id, place, kind, url, extractor, title, published_at, duration_s,
    audio_bytes, is_short, live, state, reason, changed_at, change)
select %(id)s, media_id, place, kind, url, extractor, title, published_at, duration_s,
    audio_bytes, is_short, live, state, reason, case when change is not null then now() end, change
from jsonb_to_recordset(%(items)s) as listed(
    media_id text, place float8, kind text, url text, extractor text, title text,
    published_at timestamptz, duration_s float8, audio_bytes bigint, is_short boolean, live text,
    state text, reason text, change text)
order by media_id
on conflict (channel_id, media_id) do update
set url = excluded.url, extractor = excluded.extractor, title = excluded.title,
    published_at = excluded.published_at, duration_s = excluded.duration_s,
    audio_bytes = excluded.audio_bytes, is_short = excluded.is_short, live = excluded.live,
    state = excluded.state, reason = excluded.reason,
    changed_at = coalesce(excluded.changed_at, known.changed_at),
    change = coalesce(excluded.change, known.change), updated_at = now()
-- An item erased meanwhile stays erased.
where known.state <> 'erased'
"""


@dataclass
class IntakeResult:
    """Numbers of items that one page or several brought.

    Attributes:
        listed: items on the pages.
        new: never seen before, whatever their verdict.
        changed: seen before, and listed differently now.
        excluded: new ones excluded by the filters.
        waiting: new ones that are announced or live.
        refused: new ones that cannot be downloaded.
        missing: private, deleted or no longer listed.
        queued: requests made, also for items seen earlier.
        shared: requests among `queued` that share an existing transcription.
        shown: ids of the first `MAX_SHOWN` new items, each with its verdict.
    """

    listed: int = 0
    new: int = 0
    changed: int = 0
    excluded: int = 0
    waiting: int = 0
    refused: int = 0
    missing: int = 0
    queued: int = 0
    shared: int = 0
    shown: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: "IntakeResult") -> None:
        """Add the numbers of another page."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        del self.shown[MAX_SHOWN:]

    def count_new(self, item: ListedItem, decision: Verdict) -> None:
        """Count an item that was never seen before."""
        self.new += 1
        self.excluded += decision.state == "filtered"
        self.waiting += decision.state == "waiting"
        self.refused += decision.state in ("refused", "gone")
        if len(self.shown) < MAX_SHOWN:
            self.shown.append((item.source.media_id, decision.reason or decision.state))


def write_items(
    connection: Connection[DictRow], channel: ChannelRow, page: ListingPage, is_history: bool
) -> IntakeResult:
    """Write the page's new and changed items in one statement.

    Args:
        channel: locked by the caller's transaction.
        is_history: the page belongs to the whole history; otherwise to the newest items only.
    """
    listed = {item.source.media_id: item for item in page.items}  # each once
    rows = connection.execute(_KNOWN, {"id": channel.id, "media_ids": list(listed)}).fetchall()
    known = {row["media_id"]: row for row in rows}
    judge = judge_of(connection, channel, page.start if is_history else 0)
    new_positions = _new_positions(
        connection,
        channel.id,
        list(listed),
        {id: row["place"] for id, row in known.items()},
        page.start if is_history else None,
    )
    result, written = IntakeResult(listed=len(listed)), []
    for media_id, item in listed.items():
        before = known.get(media_id)
        if before is None:
            decision = judge.verdict(item)
            result.count_new(item, decision)
            values = _values(item) | {"place": new_positions[media_id], "change": None}
        elif before["state"] == "erased":
            continue
        else:
            judge.wanted += page.start == 0 and _is_wanted(before)
            merged, change = _merged(before, item, is_exact=bool(page.state))
            decision = _verdict_on_known(before, merged, judge)
            values = _values(merged) | {"place": before["place"], "change": change}
            if not _differs(before, values, decision):
                continue
            result.changed += 1
            result.missing += decision.state == "gone" and before["state"] != "gone"
        written.append(values | {"state": decision.state, "reason": decision.reason})
    if written:
        connection.execute(_WRITE, {"id": channel.id, "items": Jsonb(written)})
    return result


def judge_of(connection: Connection[DictRow], channel: ChannelRow, start: int) -> Judge:
    """Return the judge of the channel's items from list position `start` on.

    Later items are wanted only as far as the newer ones leave room.
    """
    filters = channel.plan.filters
    wanted = 0
    if start > 0 and filters.newest is not None:
        row = connection.execute(_WANTED, (channel.id,)).fetchone()
        wanted = row["number"] if row is not None else 0
    return Judge(filters, datetime.now(UTC), wanted)


def _is_wanted(row: DictRow) -> bool:
    """Return whether `_WANTED` counts the item."""
    return row["state"] in ("new", "waiting") or row["transcription_id"] is not None


def _verdict_on_known(before: DictRow, item: ListedItem, judge: Judge) -> Verdict:
    """Return the verdict on a known item, by its present listing."""
    if before["transcription_id"] is not None:
        if item.unavailable in UNAVAILABLE_FOR_GOOD:
            return Verdict("gone", item.unavailable)
        if before["status"] == "failed" and before["error_code"] == LiveNotOver.code:
            # Its feed did not say that it was only announced.
            is_over = item.live in (None, "over") and item.duration_s is not None
            return Verdict("new") if is_over else Verdict("waiting", item.live or "upcoming")
        return Verdict("queued")
    if before["reason"] == NOT_NEWEST:
        return Verdict("filtered", NOT_NEWEST)
    return judge.verdict(item, is_counted=before["state"] in ("new", "waiting"))


def _merged(
    before: Mapping[str, Any], item: ListedItem, *, is_exact: bool
) -> tuple[ListedItem, str | None]:
    """Complete a listed item with what is known of it, since feeds say less than pages.

    Args:
        before: its row, with `status` of its transcription.
        is_exact: the list is a feed, which states the exact time of publication.

    Returns:
        The item, and why its audio seems to differ from the transcribed audio; None: it does not.
    """
    known = listed_item(before)
    item = replace(
        item,
        source=replace(
            item.source,
            url=known.source.url if item.source.kind == "site" else item.source.url,
            extractor=item.source.extractor or known.source.extractor,
            title=item.source.title or known.source.title,
        ),
        published_at=_published_at(before, item, is_exact=is_exact),
        duration_s=item.duration_s if item.duration_s is not None else known.duration_s,
        audio_bytes=item.audio_bytes if item.audio_bytes is not None else known.audio_bytes,
        is_short=item.is_short or known.is_short,
        live=known.live if asks_for_facts(item) or known.live == "over" else item.live,
    )
    if before["status"] != "completed":
        return item, None
    transcribed = AudioFacts(known.duration_s, known.audio_bytes)
    return item, changed(transcribed, AudioFacts(item.duration_s, item.audio_bytes))


def _published_at(
    before: Mapping[str, Any], item: ListedItem, *, is_exact: bool
) -> datetime | None:
    """Return the first known time of publication, or the new one if that is exact.

    Pages say `2 years ago`, which is another time at each listing; feeds say it to the second.
    Announced items may be postponed.
    """
    known_at: datetime | None = before["published_at"]
    if known_at is None or item.published_at is None:
        return known_at or item.published_at
    return item.published_at if is_exact or before["state"] == "waiting" else known_at


def _values(item: ListedItem) -> dict[str, Any]:
    source, at = item.source, item.published_at
    return {
        "media_id": source.media_id,
        "kind": source.kind,
        "url": clean(source.url),
        "extractor": source.extractor,
        "title": clean(source.title),
        "published_at": at.astimezone(UTC).isoformat() if at else None,
        "duration_s": item.duration_s,
        "audio_bytes": item.audio_bytes,
        "is_short": item.is_short,
        "live": item.live,
    }


def _differs(before: DictRow, values: Mapping[str, Any], decision: Verdict) -> bool:
    if (decision.state, decision.reason) != (before["state"], before["reason"]):
        return True
    if values["change"]:
        return True
    at = before["published_at"]
    known = before | {"published_at": at.astimezone(UTC).isoformat() if at else None}
    return any(known[name] != value for name, value in values.items() if name != "change")


# Positions of items in a channel's list follow the source's order: the smaller, the newer.


def _new_positions(
    connection: Connection[DictRow],
    channel_id: str,
    listed: Sequence[str],
    known: Mapping[str, float],
    history_start: int | None,
) -> dict[str, float]:
    """Return positions of the page's new items, after the known item that precedes them there.

    Without such an item they come first; after the last item of the channel, last.

    Args:
        listed: ids of media in the page's order.
        known: positions of known items.
        history_start: the page's start in the listing of the whole history, where it follows the
            page before; None: the page shows the newest items.
    """
    preceding = None
    if history_start is not None:
        preceding = _end_of_page_before(connection, channel_id, history_start)
    row = connection.execute(
        "select min(place) as first, max(place) as last from ytcaption.channel_item "
        "where channel_id = %s",
        (channel_id,),
    ).fetchone()
    assert row is not None
    positions: dict[str, float] = {}
    for before, group in _groups_of_new(listed, known, preceding):
        if before is None:
            start, step = (0.0 if row["first"] is None else row["first"] - len(group)), 1.0
        elif before == row["last"]:
            start, step = before + 1.0, 1.0
        else:
            start, step = before + _POSITION_STEP, _POSITION_STEP
        positions |= {media_id: start + step * index for index, media_id in enumerate(group)}
    return positions


def _end_of_page_before(
    connection: Connection[DictRow], channel_id: str, start: int
) -> float | None:
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


def _groups_of_new(
    listed: Iterable[str], known: Mapping[str, float], before: float | None
) -> Iterable[tuple[float | None, list[str]]]:
    """Yield adjacent new items, with the position of the known item before them."""
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
