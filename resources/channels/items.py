"""What a list shows of an item that it has shown before, and whether its audio is another now."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.channels.positions import places
from resources.channels.rows import ChannelRow, listed_item
from resources.channels.verdicts import Judge
from resources.postgres.jsonb import clean
from ytcaption.domain.channels.channel import ListedItem, ListingPage
from ytcaption.domain.channels.filters import GONE, NOT_NEWEST, Verdict, asks_for_facts
from ytcaption.domain.errors import LiveNotOver
from ytcaption.domain.media.reupload import AudioFacts, changed


def change_between(
    before: Mapping[str, Any], item: ListedItem, *, is_exact: bool
) -> tuple[ListedItem, str | None]:
    """The item with what the list no longer says of it, as a feed says less than a page does; and
    why its audio seems to be another than what was transcribed, None where it does not.

    Args:
        before: its row, with `status` of its transcription.
        is_exact: the list is a feed, which knows when each item was published.
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
        published_at=_published(before, item, is_exact=is_exact),
        duration_s=item.duration_s if item.duration_s is not None else known.duration_s,
        audio_bytes=item.audio_bytes if item.audio_bytes is not None else known.audio_bytes,
        is_short=item.is_short or known.is_short,
        live=known.live if asks_for_facts(item) or known.live == "over" else item.live,
    )
    if before["status"] != "completed":
        return item, None
    was = AudioFacts(known.duration_s, known.audio_bytes)
    return item, changed(was, AudioFacts(item.duration_s, item.audio_bytes))


def _published(before: Mapping[str, Any], item: ListedItem, *, is_exact: bool) -> datetime | None:
    """As first told, since pages say `2 years ago`, which is another moment each time; feeds say it
    to the second. What is only announced may be put off."""
    known_at: datetime | None = before["published_at"]
    if known_at is None or item.published_at is None:
        return known_at or item.published_at
    return item.published_at if is_exact or before["state"] == "waiting" else known_at


SHOWN = 50
"""New items that are named to who reads what a look came to."""

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
-- Erased meanwhile: nothing of it comes back.
where known.state <> 'erased'
"""


@dataclass
class IntakeResult:
    """What one page, or several, came to: numbers of items.

    Attributes:
        listed: shown by the pages.
        new: never seen before, whatever became of them.
        changed: seen before, with something else of them now.
        left_out: of the new ones, by the filters.
        waiting: of the new ones, not over yet.
        refused: of the new ones, cannot be had.
        gone: seen before, private, deleted or missing now.
        queued: requests made, for items that were seen earlier, too.
        shared: of these, for what had been asked for before.
        shown: ids of the first `SHOWN` new ones, each with what became of it.
    """

    listed: int = 0
    new: int = 0
    changed: int = 0
    left_out: int = 0
    waiting: int = 0
    refused: int = 0
    gone: int = 0
    queued: int = 0
    shared: int = 0
    shown: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: "IntakeResult") -> None:
        """Count another page's, too."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        del self.shown[SHOWN:]

    def count_new(self, item: ListedItem, decided: Verdict) -> None:
        """Count an item that was never seen before."""
        self.new += 1
        self.left_out += decided.state == "filtered"
        self.waiting += decided.state == "waiting"
        self.refused += decided.state in ("refused", "gone")
        if len(self.shown) < SHOWN:
            self.shown.append((item.source.media_id, decided.reason or decided.state))


def write_items(
    connection: Connection[DictRow], channel: ChannelRow, page: ListingPage, is_history: bool
) -> IntakeResult:
    """Write what a page shows and was not known, in one statement; what is known is not written
    anew.

    Args:
        channel: held by the caller's transaction.
        is_history: the page is of the whole history; else of the newest items only.
    """
    listed = {item.source.media_id: item for item in page.items}  # each once
    found = connection.execute(_KNOWN, {"id": channel.id, "media_ids": list(listed)}).fetchall()
    known = {row["media_id"]: row for row in found}
    judge = judge_of(connection, channel, page.start if is_history else 0)
    new_places = places(
        connection,
        channel.id,
        list(listed),
        {id: row["place"] for id, row in known.items()},
        page.start if is_history else None,
    )
    taken, written = IntakeResult(listed=len(listed)), []
    for media_id, item in listed.items():
        before = known.get(media_id)
        if before is None:
            decided = judge.verdict(item)
            taken.count_new(item, decided)
            values = _values(item) | {"place": new_places[media_id], "change": None}
        elif before["state"] == "erased":
            continue
        else:
            judge.taken += page.start == 0 and _is_wanted(before)
            item_now, change = change_between(before, item, is_exact=bool(page.state))
            decided = _decided_again(before, item_now, judge)
            values = _values(item_now) | {"place": before["place"], "change": change}
            if not _differs(before, values, decided):
                continue
            taken.changed += 1
            taken.gone += decided.state == "gone" and before["state"] != "gone"
        written.append(values | {"state": decided.state, "reason": decided.reason})
    if written:
        connection.execute(_WRITE, {"id": channel.id, "items": Jsonb(written)})
    return taken


def judge_of(connection: Connection[DictRow], channel: ChannelRow, start: int) -> Judge:
    """Who decides on items of the channel that come now, newest first, from a place in its list on:
    of what comes later only so many are wanted as the newer ones have left."""
    filters = channel.plan.filters
    wanted = 0
    if start > 0 and filters.newest is not None:
        row = connection.execute(_WANTED, (channel.id,)).fetchone()
        wanted = row["number"] if row is not None else 0
    return Judge(filters, datetime.now(UTC), wanted)


def _is_wanted(row: DictRow) -> bool:
    """As `_WANTED` counts it."""
    return row["state"] in ("new", "waiting") or row["transcription_id"] is not None


def _decided_again(before: DictRow, item: ListedItem, judge: Judge) -> Verdict:
    """What becomes of an item that is known, by what is listed of it now."""
    if before["transcription_id"] is not None:
        if item.unavailable in GONE:
            return Verdict("gone", item.unavailable)
        if before["status"] == "failed" and before["error_code"] == LiveNotOver.code:
            # Its feed had not said that it was only announced.
            is_over = item.live in (None, "over") and item.duration_s is not None
            return Verdict("new") if is_over else Verdict("waiting", item.live or "upcoming")
        return Verdict("queued")
    if before["reason"] == NOT_NEWEST:
        return Verdict("filtered", NOT_NEWEST)
    return judge.verdict(item, is_counted=before["state"] in ("new", "waiting"))


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


def _differs(before: DictRow, values: Mapping[str, Any], decided: Verdict) -> bool:
    if (decided.state, decided.reason) != (before["state"], before["reason"]) or values["change"]:
        return True
    at = before["published_at"]
    told = before | {"published_at": at.astimezone(UTC).isoformat() if at else None}
    return any(told[name] != value for name, value in values.items() if name != "change")
