"""Channels as the server returns them. Titles are untrusted text."""

from datetime import datetime
from typing import Any

from pydantic import AliasChoices, Field

from ytcaption.client.deprecation import old_attribute
from ytcaption.client.models import Failure, Model, Options
from ytcaption.domain.request import Priority, TranscriptionStatus


class ChannelProgress(Model):
    """How many of the selected items have a transcript."""

    done: int
    total: int
    fraction: float | None = None


class ChannelHistory(Model):
    """Progress of listing everything the channel ever published.

    Attributes:
        listed: items so far; None if it is not in progress.
        done_at: when it was last completed.
    """

    listed: int | None = None
    total: int | None = None
    done_at: datetime | None = None


class Channel(Model):
    """A channel, its settings and its state.

    Attributes:
        listing: a run polls it at the moment.
        items: number by state: `new`, `queued`, `filtered`, `waiting`, `refused`, `missing`,
            `erased`; `changed`; and `gone`, the old name of `missing`.
        transcriptions: number by status.
        schedule: as it was requested.
        filters: as they were requested.
        max_items: most new items per poll of the schedule.
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
    max_items: int | None = Field(
        default=None, validation_alias=AliasChoices("max_items", "max_new")
    )
    keep_days: float | None = None
    digest: str = "never"
    created_at: datetime

    max_new = old_attribute("max_new", "max_items")

    @property
    def name(self) -> str:
        """The title, or the URL if there is none."""
        return self.title or self.url


class ItemTranscription(Model):
    """The transcription of an item."""

    id: str
    status: TranscriptionStatus


class ListedItem(Model):
    """An item of a channel's list.

    Attributes:
        reason: why it is not transcribed, as a code.
    """

    media_id: str
    url: str | None = None
    title: str | None = None
    published_at: datetime | None = None
    duration_s: float | None = None
    state: str
    reason: str | None = None


class ChannelItem(ListedItem):
    """An item of a channel, and its transcription.

    Attributes:
        change: how its audio differs from what was transcribed.
    """

    transcription: ItemTranscription | None = None
    change: str | None = None


class DryRun(Model):
    """What would be transcribed of a channel now.

    Attributes:
        is_complete: False: the source has more items than were listed.
    """

    url: str
    title: str | None = None
    total: int | None = None
    is_complete: bool = Field(validation_alias=AliasChoices("is_complete", "whole"))
    included: tuple[ListedItem, ...] = Field(validation_alias=AliasChoices("included", "taken"))
    excluded: tuple[ListedItem, ...] = Field(validation_alias=AliasChoices("excluded", "left_out"))

    whole = old_attribute("whole", "is_complete")
    taken = old_attribute("taken", "included")
    left_out = old_attribute("left_out", "excluded")


class ChannelPage(Model):
    """One page of channels."""

    items: tuple[Channel, ...]
    next_cursor: str | None = None


class ItemPage(Model):
    """One page of items."""

    items: tuple[ChannelItem, ...]
    next_cursor: str | None = None
