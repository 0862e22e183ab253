"""Channel lists in memory, behind the interface of the real lister."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from resources.channels.rows import ChannelPlan
from ytcaption.domain.channels.channel import ChannelSource, ListedItem, ListingPage
from ytcaption.domain.channels.filters import checked_filters
from ytcaption.domain.channels.schedule import checked_schedule
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions

START = datetime(2026, 1, 1, tzinfo=UTC)


def source(name: str = "one", **changes: Any) -> ChannelSource:
    """Return a video channel with a feed."""
    id = f"UC{name}"
    default = ChannelSource(
        source_id=f"youtube-{id}",
        kind="site",
        url=f"https://www.youtube.com/channel/{id}/videos",
        extractor="YoutubeTab",
        feed_url=f"https://www.youtube.com/feeds/videos.xml?channel_id={id}",
    )
    return replace(default, **changes)


def plan(every: str = "15m", **changes: Any) -> ChannelPlan:
    """Return a plan for all items, by the small model; `filters` by their names."""
    filters = changes.pop("filters", {})
    default = ChannelPlan(
        options=TranscriptionOptions(model="tiny.en", language="en"),
        schedule=checked_schedule(every=every),
        filters=checked_filters(**filters),
    )
    return replace(default, **changes)


def item(number: int, **changes: Any) -> ListedItem:
    """Return the `number`th published item, a minute long, one per minute."""
    name = f"v{number:05d}"
    media = MediaSource(
        media_id=f"youtube-{name}",
        kind="site",
        url=f"https://www.youtube.com/watch?v={name}",
        extractor="Youtube",
        title=changes.pop("title", f"Part {number}"),
    )
    default = ListedItem(media, published_at=START + timedelta(minutes=number), duration_s=60.0)
    return replace(default, **changes)


def page(
    numbers: range | list[int], *, start: int = 0, is_last: bool = True, **changes: Any
) -> ListingPage:
    """Return a page of these items, in this order."""
    items = tuple(item(number) for number in numbers)
    next_start = None if is_last else start + len(items)
    return replace(ListingPage(source(), items, start=start, next_start=next_start), **changes)


@dataclass
class MadeUpLister:
    """Lists channels, newest first; a feed shows the newest few, without durations.

    Attributes:
        lists: by source id.
        hidden: ids of media that only the feed shows.
        requests: the requests in order: `feed`, `top` or the start of a page.
        errors: raised by the following calls, one each.
    """

    lists: dict[str, list[ListedItem]]
    feed_size: int = 15
    hidden: set[str] = field(default_factory=set)
    requests: list[str | int] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def newest(self, source: ChannelSource, state: Mapping[str, Any]) -> ListingPage:
        """Return the items of the feed; without a feed, the top of the list."""
        has_feed = source.feed_url is not None
        self._request("feed" if has_feed else "top")
        if not has_feed:
            top = tuple(self._shown(source)[:30])
            return ListingPage(source, top, next_start=len(top) or None)
        shown = self.lists[source.source_id][: self.feed_size]
        tag = {"etag": ",".join(each.source.media_id for each in shown)}
        if state == tag:
            return ListingPage(source, (), state=tag, unchanged=True)
        items = tuple(replace(each, duration_s=None, live=None) for each in shown)
        return ListingPage(source, items, next_start=len(items) or None, state=tag)

    def pages(self, source: ChannelSource, start: int, size: int) -> Generator[ListingPage]:
        """Yield pages as the site does."""
        items = self._shown(source)
        while True:
            self._request(start)
            end = start + size
            next_start = end if end < len(items) else None
            yield ListingPage(
                replace(source, title="A channel"),
                tuple(items[start:end]),
                start=start,
                next_start=next_start,
                total=len(items),
            )
            if next_start is None:
                return
            start = next_start

    def publish(self, source: ChannelSource, *items: ListedItem) -> None:
        """Add items at the top, the last one first."""
        self.lists[source.source_id][:0] = reversed(items)

    def _shown(self, source: ChannelSource) -> list[ListedItem]:
        shown = self.lists[source.source_id]
        return [each for each in shown if each.source.media_id not in self.hidden]

    def _request(self, what: str | int) -> None:
        self.requests.append(what)
        if self.errors:
            raise self.errors.pop(0)
