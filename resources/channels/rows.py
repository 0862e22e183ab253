"""What the rows of channels and their items are in Python."""

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

_SOURCE = ("source_id", "kind", "url", "extractor", "feed_url", "title")


@dataclass(frozen=True)
class ChannelPlan:
    """What is wanted of a channel.

    Attributes:
        options: of the transcriptions of its items.
        priority: in the queue.
        max_new: most items that are taken from one moment of the schedule to the next; None: all.
        keep_days: days that its transcripts are kept after they last changed or were asked for,
            0 for ever; None: as the installation's are.
        callback: where its owner is told of each item's end.
        digest: how often operators are told what became of its items.
    """

    options: TranscriptionOptions
    schedule: Schedule
    filters: ChannelFilters = field(default_factory=ChannelFilters)
    priority: Priority = "bulk"
    max_new: int | None = None
    keep_days: float | None = None
    callback: Callback | None = None
    digest: Digest = "never"

    def columns(self) -> dict[str, Any]:
        """As the table has them."""
        return {
            "options": Jsonb(clean(self.options.to_dict())),
            "filters": Jsonb(clean(self.filters.to_dict())),
            "schedule": Jsonb(self.schedule.to_dict()),
            "priority": self.priority,
            "max_new": self.max_new,
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
    """One channel as it stands.

    Attributes:
        next_listing_at: when it is looked at next.
        run_asked_at: somebody wants it looked at at once, also where it is paused.
        listed_at: when a look at it last succeeded.
        feed_state: what the last look has left for the next.
        history_next: where the listing of its whole history goes on, counted from 0; None where
            none is under way.
        history_total: items of the source, as it says.
        history_done_at: when such a listing last came to its end; None before the first has.
        taken: items since it was last due by its schedule.
        run_id: of the run that lists it now.
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
        """What a person calls it: its title, or for want of one its address."""
        return self.source.title or self.source.url


@dataclass(frozen=True)
class ChannelItem:
    """One item that was seen in a channel's list.

    Attributes:
        place: the smaller, the newer.
        reason: why it is not taken, as a word.
        status: of its transcription; None where there is none.
        change: what was found changed under the same id at `changed_at`, such as
            `It is another length: 61.0 s, now 75.0 s.`
        updated_at: when the list last showed something else of it than before.
    """

    source: MediaSource
    place: float
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
    """A channel's items.

    Attributes:
        states: number by state, those that occur.
        statuses: of the items that have a transcription, number by its status.
        changed: items whose audio seems to be another than the one transcribed.
    """

    states: Mapping[ItemState, int]
    statuses: Mapping[TranscriptionStatus, int]
    changed: int

    @property
    def items(self) -> int:
        """All that were ever seen."""
        return sum(self.states.values())

    @property
    def wanted(self) -> int:
        """Those that are to be transcribed, or were."""
        return self.states.get("new", 0) + sum(self.statuses.values())

    @property
    def done(self) -> int:
        """Of these, the ones with a transcript."""
        return self.statuses.get(TranscriptionStatus.COMPLETED, 0)


def source_columns(source: ChannelSource) -> dict[str, Any]:
    """As the table has them."""
    values = {name: clean(getattr(source, name)) for name in _SOURCE}
    return values | {"site": site_of(source.url)}


def channel_row(row: Mapping[str, Any]) -> ChannelRow:
    """From `select *` of `ytcaption.channel`."""
    callback = None
    if row["callback_url"] is not None:
        callback = Callback(row["callback_url"], row["callback_include"])
    values = {name: row[name] for name in ChannelRow.__dataclass_fields__ if name in row}
    return ChannelRow(
        **values,
        source=ChannelSource(**{name: row[name] for name in _SOURCE}),
        plan=ChannelPlan(
            options=TranscriptionOptions(**row["options"]),
            schedule=Schedule.from_dict(row["schedule"]),
            filters=ChannelFilters.from_dict(row["filters"]),
            priority=row["priority"],
            max_new=row["max_new"],
            keep_days=row["keep_days"],
            callback=callback,
            digest=row["digest"],
        ),
        run_requested_at=row["run_asked_at"],
    )


def channel_item(row: Mapping[str, Any]) -> ChannelItem:
    """From `select *` of `ytcaption.channel_item`, with the `status` of its transcription."""
    names = ChannelItem.__dataclass_fields__.keys() - {"source", "status"}
    status = row["status"]
    return ChannelItem(
        **{name: row[name] for name in names},
        source=_media_source(row),
        status=TranscriptionStatus(status) if status else None,
    )


def listed_item(row: Mapping[str, Any]) -> ListedItem:
    """What was last listed of an item, from its row."""
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
