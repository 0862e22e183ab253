"""Reading a feed with its further parts, and finding the feed that a web page links to."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from resources.channels.listing.feed_fetch import Fetched
from resources.channels.listing.items import ItemMaker
from resources.channels.listing.source import ONE_FILE
from resources.download.protocol import FeedRead
from ytcaption.domain.channels.channel import ListedItem
from ytcaption.domain.errors import SingleMedia
from ytcaption.domain.media.urls import joined_url

_TYPES = ("application/rss+xml", "application/atom+xml")
_MAX_HEAD_BYTES = 512 * 1024


def feed_link(page: bytes, url: str) -> str | None:
    """Return the absolute URL of the page's first `<link rel="alternate">` to RSS or Atom, or None.

    Args:
        url: the page's own.
    """
    finder = _FeedLinkFinder()
    finder.feed(page[:_MAX_HEAD_BYTES].decode("utf-8", "replace"))
    return joined_url(url, finder.href) if finder.href else None


class _FeedLinkFinder(HTMLParser):
    href: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        relations = (attributes.get("rel") or "").lower().split()
        is_feed = "alternate" in relations and (attributes.get("type") or "").lower() in _TYPES
        if tag == "link" and is_feed and self.href is None:
            self.href = attributes.get("href")


MAX_DOCUMENTS = 1_000
"""Maximum number of parts of one feed."""


class NoFeed(Exception):
    """The URL returns something that is not a feed."""

    def __init__(self, fetched: Fetched) -> None:
        self.fetched = fetched


@dataclass
class FeedReader:
    """Reads one feed.

    Args:
        fetch: fetches a URL, with the state of an earlier response.
        parse: returns the listing process's event for a feed at a URL; None: it is not a feed.

    Attributes:
        title: set by `first`.
        state: for the next listing.
        unchanged: nothing is new since the given state; there are no items.
        next_url: URL of the older items.
    """

    url: str
    state: Mapping[str, Any]
    fetch: Callable[[str, Mapping[str, Any]], Fetched]
    parse: Callable[[str, bytes], FeedRead | None]
    make: ItemMaker
    title: str | None = None
    unchanged: bool = False
    next_url: str | None = None

    def first(self) -> list[ListedItem]:
        """Return the items of the feed itself.

        Raises:
            NoFeed, SingleMedia: it is not a feed.
            SourceError, InputError: it cannot be fetched.
        """
        fetched = self.fetch(self.url, self.state)
        self.state = fetched.state
        if fetched.body is None:
            self.unchanged = True
            return []
        if fetched.is_media:
            raise SingleMedia(ONE_FILE)
        event = self.parse(fetched.url, fetched.body)
        if event is None:
            raise NoFeed(fetched)
        self.title = event.title
        return self._items(event)

    def items(self, items: list[ListedItem]) -> Iterator[ListedItem]:
        """Yield all items, each media item once; further parts of the feed are fetched when needed.

        Args:
            items: the result of `first`.
        """
        seen = set[str]()
        requested = {self.url}
        while True:
            for item in items:
                if item.source.media_id not in seen:
                    seen.add(item.source.media_id)
                    yield item
            url = self.next_url
            if url is None or url in requested or len(requested) == MAX_DOCUMENTS:
                return
            requested.add(url)
            fetched = self.fetch(url, {})
            event = self.parse(fetched.url, fetched.body or b"")
            if event is None:
                return
            items = self._items(event)

    def _items(self, event: FeedRead) -> list[ListedItem]:
        self.next_url = event.next_url
        return [item for item in map(self.make, event.items) if item is not None]
