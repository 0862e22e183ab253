"""Channels and their items as they are shown."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import Request
from pydantic import BaseModel, Field

from api.channels.schemas import FiltersAsked, ScheduleAsked
from api.http.schemas import Failure
from api.transcriptions.schemas import OptionsRead
from api.transcriptions.view import Links
from resources.channels.dry_run import DryRun, JudgedItem
from resources.channels.plan import schedule_request
from resources.channels.rows import ChannelCounts, ChannelItem, ChannelRow
from ytcaption.domain.channels.channel import ChannelKind, Digest, ListedItem, LiveStatus
from ytcaption.domain.channels.filters import ItemState
from ytcaption.domain.request import Priority, TranscriptionStatus

CHANNELS_PATH = "/api/v1/channels"

_STATES = "`new`: to be taken; `queued`: asked for; `filtered`: left out; `waiting`: not over yet; "
_STATES += "`refused`: cannot be had; `gone`: private or deleted since; `erased`: never again."


class ChannelItemCounts(BaseModel):
    """Its items by state; those of no state are 0."""

    new: int = 0
    queued: int = 0
    filtered: int = 0
    waiting: int = 0
    refused: int = 0
    gone: int = 0
    erased: int = 0
    changed: Annotated[
        int, Field(description="Whose audio seems to be another than the one transcribed.")
    ] = 0


class TranscriptionCounts(BaseModel):
    """Transcriptions of its items by status."""

    queued: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0


class ChannelProgress(BaseModel):
    """How much of what is wanted has a transcript."""

    done: int
    total: Annotated[int, Field(description="To be taken, or taken; grows while it is listed.")]
    fraction: Annotated[float | None, Field(ge=0, le=1, description="Null where there is none.")]


class HistoryRead(BaseModel):
    """How far the listing of all that it ever published is."""

    listed: Annotated[
        int | None,
        Field(description="Items so far, the newest first; null where it is not going on."),
    ]
    total: Annotated[int | None, Field(description="As the source says.")]
    done_at: Annotated[
        datetime | None, Field(description="When it last came to its end; null before it has.")
    ]


class ChannelRead(BaseModel):
    """A channel, what is wanted of it, and how far it is. Titles are a stranger's: escape them."""

    id: str
    url: str
    title: Annotated[str | None, Field(description="Null until it was looked at.")]
    kind: Annotated[
        ChannelKind,
        Field(description="`site`: of a known site; `feed`: RSS or Atom; `playlist`: a page."),
    ]
    feed_url: Annotated[str | None, Field(description="The cheap way to what is new.")]
    paused: bool
    listing: Annotated[bool, Field(description="A run looks at it right now.")]
    listed_at: Annotated[datetime | None, Field(description="When a look last succeeded.")]
    next_listing_at: Annotated[datetime | None, Field(description="Null while it is paused.")]
    error: Annotated[Failure | None, Field(description="Of the last look, where it failed.")]
    failures: Annotated[int, Field(description="Looks that failed, in a row.")]
    history: HistoryRead
    items: ChannelItemCounts
    transcriptions: TranscriptionCounts
    progress: ChannelProgress
    schedule: ScheduleAsked
    filters: FiltersAsked
    options: OptionsRead
    priority: Priority
    max_new: int | None
    keep_days: float | None
    callback_url: str | None
    callback_include: Literal["result"] | None
    digest: Digest
    created_at: datetime
    updated_at: datetime
    channel_url: Annotated[str, Field(description="Of this answer.")]
    items_url: str

    @classmethod
    def of(cls, request: Request, row: ChannelRow, counts: ChannelCounts) -> Self:
        """From its row and the numbers of its items."""
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
            next_listing_at=None if _rests(row) else row.next_listing_at,
            error=error,
            failures=row.failures,
            history=HistoryRead(
                listed=row.history_next, total=row.history_total, done_at=row.history_done_at
            ),
            items=ChannelItemCounts(**_named(counts.states), changed=counts.changed),
            transcriptions=TranscriptionCounts(**_named(counts.statuses)),
            progress=ChannelProgress(
                done=counts.done, total=total, fraction=counts.done / total if total else None
            ),
            schedule=ScheduleAsked(**schedule_request(plan.schedule)),
            filters=FiltersAsked(**plan.filters.to_dict()),
            options=OptionsRead(**plan.options.to_dict()),
            priority=plan.priority,
            max_new=plan.max_new,
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
    """Some channels, those added last first."""

    items: list[ChannelRead]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]
    next_url: Annotated[str | None, Field(description="The next page; also as `Link`.")]


class ItemTranscription(BaseModel):
    """What became of an item that was asked for."""

    id: str
    status: TranscriptionStatus
    status_url: str
    result_url: str


class ListedItemRead(BaseModel):
    """Something that a channel's list shows. Its title is a stranger's: escape it."""

    media_id: str
    url: str | None
    title: str | None
    published_at: datetime | None
    duration_s: Annotated[float | None, Field(description="As the list says.")]
    is_short: bool
    live: Annotated[LiveStatus | None, Field(description="Null of what is no live stream.")]
    state: Annotated[ItemState, Field(description=_STATES)]
    reason: Annotated[
        str | None, Field(description="Why it is not taken: `title`, `too_short`, `private` ...")
    ]

    @classmethod
    def judged(cls, judged: JudgedItem) -> Self:
        """From a dry run."""
        return cls(
            **_said(judged.item),
            live=judged.item.live,
            state=judged.state,
            reason=judged.reason,
        )


class DryRunRead(BaseModel):
    """What would be taken of a channel now."""

    url: str
    title: str | None
    kind: ChannelKind
    total: Annotated[int | None, Field(description="Items of the source, as it says.")]
    whole: Annotated[bool, Field(description="False: it has more items than were looked at.")]
    taken: Annotated[list[ListedItemRead], Field(description="The newest first.")]
    left_out: Annotated[
        list[ListedItemRead],
        Field(description="With the reason; `max_new`: it passes, and would be taken next time."),
    ]

    @classmethod
    def of(cls, run: DryRun) -> Self:
        """From the result."""
        return cls(
            url=run.channel.url,
            title=run.channel.title,
            kind=run.channel.kind,
            total=run.total,
            whole=run.is_complete,
            taken=[ListedItemRead.judged(each) for each in run.included],
            left_out=[ListedItemRead.judged(each) for each in run.excluded],
        )


class ChannelItemRead(ListedItemRead):
    """Something that a channel's list has shown, and what became of it."""

    transcription: Annotated[
        ItemTranscription | None, Field(description="Null where there is none, or no more.")
    ]
    changed_at: Annotated[
        datetime | None, Field(description="When its audio was seen to be another one.")
    ]
    change: Annotated[str | None, Field(description="What differed, in words.")]
    first_seen_at: datetime
    queued_at: datetime | None

    @classmethod
    def of(cls, request: Request, item: ChannelItem) -> Self:
        """From its row."""
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
            **_said(item),
            transcription=transcription,
            **{name: getattr(item, name) for name in _KEPT},
        )


_KEPT = (
    "live", "state", "reason", "changed_at", "change", "first_seen_at", "queued_at",
)  # fmt: skip


class ChannelItemPage(BaseModel):
    """Some items, the newest first."""

    items: list[ChannelItemRead]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]
    next_url: Annotated[str | None, Field(description="The next page; also as `Link`.")]


def _said(item: ChannelItem | ListedItem) -> dict[str, Any]:
    return {
        "media_id": item.source.media_id,
        "url": item.source.url,
        "title": item.source.title,
        "published_at": item.published_at,
        "duration_s": item.duration_s,
        "is_short": item.is_short,
    }


def channel_url(request: Request, id: str) -> str:
    """Where a channel is read; ids need no quoting."""
    return f"{request.scope.get('root_path', '')}{CHANNELS_PATH}/{id}"


def _rests(row: ChannelRow) -> bool:
    return row.paused_at is not None and row.run_requested_at is None


def _named(numbers: Mapping[Any, int]) -> dict[str, int]:
    return {str(name): number for name, number in numbers.items()}
