"""Channels and their items as HTTP shows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import Request
from pydantic import BaseModel, Field

from api.channels.schemas import ChannelFilters, Schedule
from api.http.fields import old_name
from api.http.schemas import Failure
from api.transcriptions.schemas import TranscriptionOptions
from api.transcriptions.view import Links
from resources.channels import rows
from resources.channels.dry_run import DryRun, JudgedItem
from resources.channels.plan import schedule_request
from resources.channels.rows import ChannelCounts, ChannelRow
from ytcaption.domain.channels import channel as domain
from ytcaption.domain.channels.channel import ChannelKind, Digest, LiveStatus
from ytcaption.domain.channels.filters import ItemState as StoredState
from ytcaption.domain.request import Priority, TranscriptionStatus

CHANNELS_PATH = "/api/v1/channels"

ItemState = Literal["new", "queued", "filtered", "waiting", "refused", "missing", "erased"]
StateFilter = ItemState | Literal["gone"]
"""`gone` is the old name of `missing`, which the database still uses."""

_STATES = (
    "`new`: to be transcribed; `queued`: requested; `filtered`: excluded by a filter; `waiting`: "
    "still live or upcoming; `refused`: not available; `missing`: made private or deleted; "
    "`erased`: erased, and not requested again."
)


class ChannelItemCounts(BaseModel):
    """The number of items by state."""

    new: int = 0
    queued: int = 0
    filtered: int = 0
    waiting: int = 0
    refused: int = 0
    missing: int = 0
    erased: int = 0
    changed: Annotated[
        int, Field(description="Items whose audio seems to differ from what was transcribed.")
    ] = 0

    @old_name
    @property
    def gone(self) -> int:
        """Old name of `missing`."""
        return self.missing


class TranscriptionCounts(BaseModel):
    """The number of transcriptions of its items, by status."""

    queued: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0


class ChannelProgress(BaseModel):
    """How many of the selected items have a transcript."""

    done: int
    total: Annotated[int, Field(description="Selected items; grows while the list is read.")]
    fraction: Annotated[float | None, Field(ge=0, le=1, description="Null if there are none.")]


class ChannelHistory(BaseModel):
    """Progress of listing everything the channel ever published."""

    listed: Annotated[
        int | None,
        Field(description="Items so far, the newest first; null if it is not in progress."),
    ]
    total: Annotated[int | None, Field(description="As the source states it.")]
    done_at: Annotated[
        datetime | None, Field(description="When it was last completed; null before the first.")
    ]


class ChannelResponse(BaseModel):
    """A channel, its settings and its state. Its title is untrusted: escape it."""

    id: str
    url: str
    title: Annotated[str | None, Field(description="Null until it was first polled.")]
    kind: Annotated[
        ChannelKind,
        Field(description="`site`: of a supported site; `feed`: RSS or Atom; `playlist`: a page."),
    ]
    feed_url: Annotated[
        str | None, Field(description="A feed of its newest items, which is cheap to poll.")
    ]
    paused: bool
    listing: Annotated[bool, Field(description="A run polls it at the moment.")]
    listed_at: Annotated[datetime | None, Field(description="Time of the last successful poll.")]
    next_listing_at: Annotated[datetime | None, Field(description="Null while it is paused.")]
    error: Annotated[Failure | None, Field(description="Of the last poll, if it failed.")]
    failures: Annotated[int, Field(description="Consecutive failed polls.")]
    history: ChannelHistory
    items: ChannelItemCounts
    transcriptions: TranscriptionCounts
    progress: ChannelProgress
    schedule: Schedule
    filters: ChannelFilters
    options: TranscriptionOptions
    priority: Priority
    max_items: int | None
    keep_days: float | None
    callback_url: str | None
    callback_include: Literal["result"] | None
    digest: Digest
    created_at: datetime
    updated_at: datetime
    channel_url: Annotated[str, Field(description="Of this resource.")]
    items_url: str

    @old_name
    @property
    def max_new(self) -> int | None:
        """Old name of `max_items`."""
        return self.max_items

    @classmethod
    def of(cls, request: Request, row: ChannelRow, counts: ChannelCounts) -> Self:
        """Return the schema of a row and the counts of its items."""
        plan, source = row.plan, row.source
        url = channel_url(request, row.id)
        error = None
        if row.error_code is not None:
            error = Failure(code=row.error_code, message=row.error_message or "")
        total = counts.wanted
        return cls(
            id=row.id,
            url=source.url,
            title=source.title,
            kind=source.kind,
            feed_url=source.feed_url,
            paused=row.paused_at is not None,
            listing=row.run_id is not None,
            listed_at=row.listed_at,
            next_listing_at=None if _is_idle(row) else row.next_listing_at,
            error=error,
            failures=row.failures,
            history=ChannelHistory(
                listed=row.history_next, total=row.history_total, done_at=row.history_done_at
            ),
            items=_item_counts(counts),
            transcriptions=TranscriptionCounts(**_named(counts.statuses)),
            progress=ChannelProgress(
                done=counts.done, total=total, fraction=counts.done / total if total else None
            ),
            schedule=Schedule(**schedule_request(plan.schedule)),
            filters=ChannelFilters(**plan.filters.to_dict()),
            options=TranscriptionOptions(**plan.options.to_dict()),
            priority=plan.priority,
            max_items=plan.max_items,
            keep_days=plan.keep_days,
            callback_url=plan.callback.url if plan.callback else None,
            callback_include=plan.callback.include if plan.callback else None,
            digest=plan.digest,
            created_at=row.created_at,
            updated_at=row.updated_at,
            channel_url=url,
            items_url=f"{url}/items",
        )


class ChannelPage(BaseModel):
    """One page of channels, the latest added first."""

    items: list[ChannelResponse]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]
    next_url: Annotated[str | None, Field(description="The next page; also as `Link`.")]


class ItemTranscription(BaseModel):
    """The transcription of an item."""

    id: str
    status: TranscriptionStatus
    status_url: str
    result_url: str


class ListedItem(BaseModel):
    """An item of a channel's list. Its title is untrusted: escape it."""

    media_id: str
    url: str | None
    title: str | None
    published_at: datetime | None
    duration_s: Annotated[float | None, Field(description="As the list states it.")]
    is_short: bool
    live: Annotated[LiveStatus | None, Field(description="Null: not a live stream.")]
    state: Annotated[ItemState, Field(description=_STATES)]
    reason: Annotated[
        str | None,
        Field(description="Why it is not transcribed: `title`, `too_short`, `private` ..."),
    ]

    @classmethod
    def judged(cls, judged: JudgedItem) -> Self:
        """Return the schema of an item of a dry run."""
        return cls(
            **_listed_fields(judged.item),
            live=judged.item.live,
            state=public_state(judged.state),
            reason=judged.reason,
        )


class DryRunResponse(BaseModel):
    """What would be transcribed of a channel now."""

    url: str
    title: str | None
    kind: ChannelKind
    total: Annotated[int | None, Field(description="Items of the source, as it states them.")]
    is_complete: Annotated[
        bool, Field(description="False: the source has more items than were listed.")
    ]
    included: Annotated[list[ListedItem], Field(description="The newest first.")]
    excluded: Annotated[
        list[ListedItem],
        Field(description="With the reason; `max_items`: it matches, but would follow later."),
    ]

    @old_name
    @property
    def whole(self) -> bool:
        """Old name of `is_complete`."""
        return self.is_complete

    @old_name
    @property
    def taken(self) -> list[ListedItem]:
        """Old name of `included`."""
        return self.included

    @old_name
    @property
    def left_out(self) -> list[ListedItem]:
        """Old name of `excluded`."""
        return self.excluded

    @classmethod
    def of(cls, run: DryRun) -> Self:
        """Return the schema of a dry run."""
        return cls(
            url=run.channel.url,
            title=run.channel.title,
            kind=run.channel.kind,
            total=run.total,
            is_complete=run.is_complete,
            included=[ListedItem.judged(each) for each in run.included],
            excluded=[ListedItem.judged(each) for each in run.excluded],
        )


class ChannelItem(ListedItem):
    """An item of a channel, and its transcription."""

    transcription: Annotated[
        ItemTranscription | None, Field(description="Null if there is none, or none any more.")
    ]
    changed_at: Annotated[datetime | None, Field(description="When its audio was seen to differ.")]
    change: Annotated[str | None, Field(description="What differed, in words.")]
    first_seen_at: datetime
    queued_at: datetime | None

    @classmethod
    def of(cls, request: Request, item: rows.ChannelItem) -> Self:
        """Return the schema of a row."""
        transcription = None
        if item.transcription_id is not None and item.status is not None:
            links = Links.of(request, item.transcription_id)
            transcription = ItemTranscription(
                id=item.transcription_id,
                status=item.status,
                status_url=links.status_url,
                result_url=links.result_url,
            )
        return cls(
            **_listed_fields(item),
            transcription=transcription,
            live=item.live,
            state=public_state(item.state),
            reason=item.reason,
            changed_at=item.changed_at,
            change=item.change,
            first_seen_at=item.first_seen_at,
            queued_at=item.queued_at,
        )


class ChannelItemPage(BaseModel):
    """One page of a channel's items, the newest first."""

    items: list[ChannelItem]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]
    next_url: Annotated[str | None, Field(description="The next page; also as `Link`.")]


def public_state(state: StoredState) -> ItemState:
    """Return the public name of an item's state."""
    return "missing" if state == "gone" else state


def stored_state(state: StateFilter) -> StoredState:
    """Return the state as the database names it."""
    return "gone" if state == "missing" else state


def _item_counts(counts: ChannelCounts) -> ChannelItemCounts:
    numbers = {public_state(state): number for state, number in counts.states.items()}
    return ChannelItemCounts(**_named(numbers), changed=counts.changed)


def _listed_fields(item: rows.ChannelItem | domain.ListedItem) -> dict[str, Any]:
    return {
        "media_id": item.source.media_id,
        "url": item.source.url,
        "title": item.source.title,
        "published_at": item.published_at,
        "duration_s": item.duration_s,
        "is_short": item.is_short,
    }


def channel_url(request: Request, id: str) -> str:
    """Return the path of a channel; its id needs no quoting."""
    return f"{request.scope.get('root_path', '')}{CHANNELS_PATH}/{id}"


def _is_idle(row: ChannelRow) -> bool:
    """Return whether it is paused and no poll is requested."""
    return row.paused_at is not None and row.run_requested_at is None


def _named(numbers: Mapping[Any, int]) -> dict[str, int]:
    return {str(name): number for name, number in numbers.items()}
