"""A channel: a subscribed source of many media, with its filters and items."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Self

from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import short_hash

ChannelKind = Literal["site", "feed", "playlist"]
"""`site`: a list of one of yt-dlp's extractors; `feed`: RSS or Atom; `playlist`: a page or manifest
whose entries yt-dlp's generic extractor lists."""

Digest = Literal["never", "daily", "weekly"]
"""How often operators receive a summary of a channel's items."""

LiveStatus = Literal["upcoming", "live", "over"]
"""`upcoming` and `live` have no audio yet; `over`: it was live once."""


@dataclass(frozen=True)
class ChannelSource:
    """Where items are listed.

    Attributes:
        source_id: `youtube-UC...`, `<extractor>-<id>` or `url-<26>`; part of channels' ids.
        url: canonical; the page that lists all items.
        feed_url: RSS or Atom, which lists new items cheaply; None where there is none.
        title: as the source states it; None before the first poll.
    """

    source_id: str
    kind: ChannelKind
    url: str
    extractor: str | None = None
    feed_url: str | None = None
    title: str | None = None


@dataclass(frozen=True)
class ChannelFilters:
    """Which items are included; the others stay in the list with the reason.

    Attributes:
        title_include: regular expression that must match somewhere in a title, ignoring case.
        title_exclude: regular expression that must not match.
        min_duration_s: shorter items are excluded, in seconds; unknown durations pass.
        from_date: items published earlier are excluded.
        newest: at most this many items of the whole channel, the newest ones.
    """

    title_include: str | None = None
    title_exclude: str | None = None
    min_duration_s: float | None = None
    max_duration_s: float | None = None
    from_date: date | None = None
    newest: int | None = None
    skip_shorts: bool = False
    skip_live: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Parse the output of `to_dict`."""
        day = values.get("from_date")
        return cls(**{**values, "from_date": date.fromisoformat(day) if day else None})

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, set ones only."""
        values = {
            name: value
            for name, value in asdict(self).items()
            if value is not None and value is not False  # 0.0 is a value
        }
        return values | ({"from_date": self.from_date.isoformat()} if self.from_date else {})


@dataclass(frozen=True)
class ListedItem:
    """One item as a listing shows it. Titles are untrusted text.

    Attributes:
        source: what a request would name; its `media_id` identifies the item, whatever the URL's
            form and whichever list shows it.
        published_at: time-zone aware; None where the listing does not state it.
        duration_s: as stated.
        is_short: of a platform's short format.
        unavailable: why it cannot be downloaded (`private`, `deleted`, `members_only`, `refused`
            ...).
        audio_bytes: as a feed states them: a re-upload under the same id has another size.
    """

    source: MediaSource
    published_at: datetime | None = None
    duration_s: float | None = None
    is_short: bool = False
    live: LiveStatus | None = None
    unavailable: str | None = None
    audio_bytes: int | None = None


@dataclass(frozen=True)
class ListingPage:
    """A part of a channel's list, newest first.

    Attributes:
        start: position of the first item in the whole list, from 0.
        next_start: where the next page begins; None for the last page.
        total: as the source states it; None where it does not.
        channel: the source's description of itself, with what the first poll has resolved.
        state: what makes the next poll cheap (ETag, Last-Modified, ...), JSON values.
        unchanged: the source reports no change since `state`; there are no items then.
    """

    channel: ChannelSource
    items: tuple[ListedItem, ...]
    start: int = 0
    next_start: int | None = None
    total: int | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    unchanged: bool = False


def channel_id(source_id: str, owner: str) -> str:
    """Return `<source id>.<26>`: public id and partition key.

    Each owner has a channel of their own for a source; adding it again gives the same id.
    """
    return f"{source_id}.{short_hash(owner.encode())}"
