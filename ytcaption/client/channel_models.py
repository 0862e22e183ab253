"""Channels as the server answers them. Titles are a stranger's texts."""

from datetime import datetime
from typing import Any

from ytcaption.client.models import Answer, Failure, Options
from ytcaption.domain.request import Priority, TranscriptionStatus


class ChannelProgress(Answer):
    """How much of what is wanted has a transcript."""

    done: int
    total: int
    fraction: float | None = None


class ChannelHistory(Answer):
    """How far the listing of all that it ever published is.

    Attributes:
        listed: items so far; None where it is not going on.
        done_at: when it last came to its end.
    """

    listed: int | None = None
    total: int | None = None
    done_at: datetime | None = None


class Channel(Answer):
    """A channel, what is wanted of it, and how far it is.

    Attributes:
        listing: a run looks at it right now.
        items: number by state: `new`, `queued`, `filtered`, `waiting`, `refused`, `gone`, `erased`;
            and `changed`.
        transcriptions: number by status.
        schedule, filters: as they are asked for.
    """

    id: str
    url: str
    title: str | None = None
    kind: str
    paused: bool
    listing: bool = False
    listed_at: datetime | None = None
    next_listing_at: datetime | None = None
    error: Failure | None = None
    failures: int = 0
    history: ChannelHistory
    items: dict[str, int]
    transcriptions: dict[str, int]
    progress: ChannelProgress
    schedule: dict[str, Any]
    filters: dict[str, Any]
    options: Options
    priority: Priority
    max_new: int | None = None
    keep_days: float | None = None
    digest: str = "never"
    created_at: datetime

    @property
    def name(self) -> str:
        """Its title, or for want of one its address."""
        return self.title or self.url


class ItemTranscription(Answer):
    """What became of an item that was asked for."""

    id: str
    status: TranscriptionStatus


class ListedItem(Answer):
    """Something that a channel's list shows.

    Attributes:
        reason: why it is not taken, as a word.
    """

    media_id: str
    url: str | None = None
    title: str | None = None
    published_at: datetime | None = None
    duration_s: float | None = None
    state: str
    reason: str | None = None


class ChannelItem(ListedItem):
    """The same, and what became of it.

    Attributes:
        change: what shows that its audio is another one than was transcribed.
    """

    transcription: ItemTranscription | None = None
    change: str | None = None


class DryRun(Answer):
    """What would be taken of a channel now.

    Attributes:
        whole: False: it has more items than were looked at.
    """

    url: str
    title: str | None = None
    total: int | None = None
    whole: bool
    taken: tuple[ListedItem, ...]
    left_out: tuple[ListedItem, ...]


class ChannelPage(Answer):
    """Some of a list."""

    items: tuple[Channel, ...]
    next_cursor: str | None = None


class ItemPage(Answer):
    """Some of a list."""

    items: tuple[ChannelItem, ...]
    next_cursor: str | None = None
