"""A channel: a subscribed source of many media, and what is wanted of it."""

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
"""How often operators are told what became of a channel's items."""

LiveStatus = Literal["upcoming", "live", "over"]
"""`upcoming` and `live` have no audio yet; `over`: it was one."""


@dataclass(frozen=True)
class ChannelSource:
    """Where items are listed.

    Attributes:
        source_id: `youtube-UC...`, `<extractor>-<id>` or `url-<26>`; names the source in the ids of
            channels.
        url: canonical; what is listed whole.
        feed_url: the cheap way to what is new, as RSS or Atom; None where there is none.
        title: as the source says; None where nobody has asked it yet.
    """

    source_id: str
    kind: ChannelKind
    url: str
    extractor: str | None = None
    feed_url: str | None = None
    title: str | None = None


@dataclass(frozen=True)
class ChannelFilters:
    """Which items are taken; the others are kept in the list with the reason.

    Attributes:
        title_include: regular expression that titles must match somewhere, whatever their case.
        title_exclude: regular expression that none may match.
        min_duration_s: shorter ones are left out, in seconds; unknown durations pass.
        from_date: of publishing; what is older is left out.
        newest: at most so many of the whole channel, the newest ones.
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
        """The inverse of `to_dict`."""
        day = values.get("from_date")
        return cls(**{**values, "from_date": date.fromisoformat(day) if day else None})

    def to_dict(self) -> dict[str, Any]:
        """JSON values, those set only."""
        values = {
            name: value
            for name, value in asdict(self).items()
            if value is not None and value is not False  # 0.0 is a value
        }
        return values | ({"from_date": self.from_date.isoformat()} if self.from_date else {})


@dataclass(frozen=True)
class ListedItem:
    """One item as a listing shows it. Titles are a stranger's text.

    Attributes:
        source: what a request would name; its `media_id` is the item's identity, whatever the URL's
            form and whichever list shows it.
        published_at: aware; None where the listing does not say.
        duration_s: as stated.
        is_short: of a platform's short format.
        unavailable: why it cannot be had (`private`, `deleted`, `members_only`, `refused` ...).
        audio_bytes: as a feed states them: a re-upload under the same id differs.
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
        start: place of the first item in the whole list, from 0.
        next_start: where the next page begins; None where this one is the last.
        total: as the source says; None where it does not.
        channel: what the source says of itself, with what a first look has resolved.
        state: what makes the next look cheap (ETag, Last-Modified, ...), JSON values.
        unchanged: the source says that nothing is new since `state`; then there are no items.
    """

    channel: ChannelSource
    items: tuple[ListedItem, ...]
    start: int = 0
    next_start: int | None = None
    total: int | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    unchanged: bool = False


def channel_id(source_id: str, owner: str) -> str:
    """`<source id>.<26>`: public id and partition key. Each owner has a channel of its own of a
    source; adding it again gives the same."""
    return f"{source_id}.{short_hash(owner.encode())}"
