"""Rows of channels and their items as Python objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from resources.postgres.jsonb import clean
from resources.sites.domains import site_of
from resources.transcriptions.rows import Callback
from ytcaption.domain.channels.channel import (
    ChannelFilters,
    ChannelSource,
    Digest,
    ListedItem,
    LiveStatus,
)
from ytcaption.domain.channels.filters import ItemState
from ytcaption.domain.channels.schedule import Schedule
from ytcaption.domain.media.media import MediaSource, SourceKind
from ytcaption.domain.request import Priority, TranscriptionOptions, TranscriptionStatus

CHANNEL_FIELD = "channel"
"""Key in a request's metadata: the channel that made the request."""

_SOURCE = ("source_id", "kind", "url", "extractor", "feed_url", "title")


@dataclass(frozen=True)
class ChannelPlan:
    """What a user wants of a channel.

    Attributes:
        options: of its items' transcriptions.
        priority: in the queue.
        max_items: maximum items enqueued per scheduled listing; None: no limit.
        keep_days: days that its transcripts are kept after the last change or request, 0: forever;
            None: as the installation's setting.
        callback: where its owner is notified of each item's end.
        digest: how often operators get a summary of its items.
    """

    options: TranscriptionOptions
    schedule: Schedule
    filters: ChannelFilters = field(default_factory=ChannelFilters)
    priority: Priority = "bulk"
    max_items: int | None = None
    keep_days: float | None = None
    callback: Callback | None = None
    digest: Digest = "never"

    def columns(self) -> dict[str, Any]:
        """Return the values of the table's columns."""
        return {
            "options": Jsonb(clean(self.options.to_dict())),
            "filters": Jsonb(clean(self.filters.to_dict())),
            "schedule": Jsonb(self.schedule.to_dict()),
            "priority": self.priority,
            "max_new": self.max_items,
            "keep_days": self.keep_days,
            "callback_url": self.callback.url if self.callback else None,
            "callback_include": self.callback.include if self.callback else None,
            "digest": self.digest,
        }


PLAN_COLUMNS: tuple[LiteralString, ...] = (
    "options", "filters", "schedule", "priority", "max_new", "keep_days",
    "callback_url", "callback_include", "digest",
)  # fmt: skip


@dataclass(frozen=True)
class ChannelRow:
    """The present state of a channel.

    Attributes:
        next_listing_at: when it is listed next.
        run_requested_at: when a listing was requested, even if it is paused.
        listed_at: end of the last successful listing.
        feed_state: state of the last listing for the next one.
        history_next: position from 0 where the listing of the whole history continues; None: none
            is under way.
        history_total: number of items that the source states.
        history_done_at: when such a listing last ended; None: never.
        taken: items enqueued since it was last due by its schedule.
        run_id: of the present listing run.
        failures: in a row, with code and message of the last.
    """

    id: str
    owner: str
    source: ChannelSource
    plan: ChannelPlan
    paused_at: datetime | None
    next_listing_at: datetime
    run_requested_at: datetime | None
    listed_at: datetime | None
    feed_state: Mapping[str, Any]
    history_next: int | None
    history_total: int | None
    history_began_at: datetime | None
    history_done_at: datetime | None
    taken: int
    run_id: str | None
    heartbeat_at: datetime | None
    failures: int
    error_code: str | None
    error_message: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> str:
        """Return its title, or its URL if it has none."""
        return self.source.title or self.source.url


@dataclass(frozen=True)
class ChannelItem:
    """An item that was seen in a channel's list.

    Attributes:
        position: the smaller, the newer.
        reason: why it is not enqueued, as one word.
        status: of its transcription; None if there is none.
        change: what changed under the same id at `changed_at`, such as
            `It is another length: 61.0 s, now 75.0 s.`
        updated_at: when its listing last changed.
    """

    source: MediaSource
    position: float
    published_at: datetime | None
    duration_s: float | None
    audio_bytes: int | None
    is_short: bool
    live: LiveStatus | None
    state: ItemState
    reason: str | None
    transcription_id: str | None
    status: TranscriptionStatus | None
    changed_at: datetime | None
    change: str | None
    first_seen_at: datetime
    updated_at: datetime
    queued_at: datetime | None


@dataclass(frozen=True)
class ChannelCounts:
    """Numbers of a channel's items.

    Attributes:
        states: number by state; states without items are left out.
        statuses: number by status of the transcription, for items that have one.
        changed: items whose audio seems to differ from the transcribed audio.
    """

    states: Mapping[ItemState, int]
    statuses: Mapping[TranscriptionStatus, int]
    changed: int

    @property
    def items(self) -> int:
        """Return the number of items ever seen."""
        return sum(self.states.values())

    @property
    def wanted(self) -> int:
        """Return the number of items that are or will be transcribed."""
        return self.states.get("new", 0) + sum(self.statuses.values())

    @property
    def done(self) -> int:
        """Return the number of items with a transcript."""
        return self.statuses.get(TranscriptionStatus.COMPLETED, 0)


def source_columns(source: ChannelSource) -> dict[str, Any]:
    """Return the source's values of the table's columns."""
    values = {name: clean(getattr(source, name)) for name in _SOURCE}
    return values | {"site": site_of(source.url)}


def channel_row(row: Mapping[str, Any]) -> ChannelRow:
    """Return the channel of a row of `select * from ytcaption.channel`."""
    callback = None
    if row["callback_url"] is not None:
        callback = Callback(row["callback_url"], row["callback_include"])
    values = {name: row[name] for name in ChannelRow.__dataclass_fields__ if name in row}
    return ChannelRow(
        **values,
        run_requested_at=row["run_asked_at"],
        source=ChannelSource(**{name: row[name] for name in _SOURCE}),
        plan=ChannelPlan(
            options=TranscriptionOptions(**row["options"]),
            schedule=Schedule.from_dict(row["schedule"]),
            filters=ChannelFilters.from_dict(row["filters"]),
            priority=row["priority"],
            max_items=row["max_new"],
            keep_days=row["keep_days"],
            callback=callback,
            digest=row["digest"],
        ),
    )


def channel_item(row: Mapping[str, Any]) -> ChannelItem:
    """Return the item of a `ytcaption.channel_item` row with its transcription's `status`."""
    names = ChannelItem.__dataclass_fields__.keys() - {"source", "status", "position"}
    status = row["status"]
    return ChannelItem(
        **{name: row[name] for name in names},
        source=_media_source(row),
        position=row["place"],
        status=TranscriptionStatus(status) if status else None,
    )


def listed_item(row: Mapping[str, Any]) -> ListedItem:
    """Return an item as it was last listed, from its row."""
    return ListedItem(
        source=_media_source(row),
        published_at=row["published_at"],
        duration_s=row["duration_s"],
        is_short=row["is_short"],
        live=row["live"],
        unavailable=row["reason"] if row["state"] in ("refused", "gone") else None,
        audio_bytes=row["audio_bytes"],
    )


def _media_source(row: Mapping[str, Any]) -> MediaSource:
    kind: SourceKind = row["kind"]
    return MediaSource(row["media_id"], kind, row["url"], row["extractor"], row["title"])
