"""The feed that a web page names as its own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

from resources.channels.listing.feed_fetch import Fetched
from resources.channels.listing.items import ItemMaker
from ytcaption.domain.channels.channel import ListedItem
from ytcaption.domain.errors import SingleMedia

_TYPES = ("application/rss+xml", "application/atom+xml")
_LOOKED_AT = 512 * 1024


def feed_link(page: bytes, url: str) -> str | None:
    """Absolute URL of the page's first `<link rel="alternate">` to RSS or Atom; None: none.

    Args:
        url: the page's own.
    """
    finder = _Finder()
    finder.feed(page[:_LOOKED_AT].decode("utf-8", "replace"))
    return urljoin(url, finder.href) if finder.href else None


class _Finder(HTMLParser):
    href: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        relations = (told.get("rel") or "").lower().split()
        is_feed = "alternate" in relations and (told.get("type") or "").lower() in _TYPES
        if tag == "link" and is_feed and self.href is None:
            self.href = told.get("href")


MAX_DOCUMENTS = 1_000


class NoFeed(Exception):
    """What the URL gives is no feed."""

    def __init__(self, fetched: Fetched) -> None:
        self.fetched = fetched


@dataclass
class FeedReader:
    """Reads one feed.

    Args:
        fetch: gives what is behind a URL, asked with the state of an earlier answer.
        parse: what the listing's process tells of a feed at a URL; None: it is none.

    Attributes:
        title: after `first`.
        state: makes the next look cheap.
        unchanged: nothing is new since the state that was given; there are no items.
        next_url: where the older items are.
    """

    url: str
    state: Mapping[str, Any]
    fetch: Callable[[str, Mapping[str, Any]], Fetched]
    parse: Callable[[str, bytes], dict[str, Any] | None]
    make: ItemMaker
    title: str | None = None
    unchanged: bool = False
    next_url: str | None = None

    def first(self) -> list[ListedItem]:
        """The items of the feed itself.

        Raises:
            NoFeed, SingleMedia: it is none.
            SourceError, InputError: it is not given.
        """
        fetched = self.fetch(self.url, self.state)
        self.state = fetched.state
        if fetched.body is None:
            self.unchanged = True
            return []
        if fetched.is_media:
            raise SingleMedia("This is one media file: ask for it as a transcription.")
        told = self.parse(fetched.url, fetched.body)
        if told is None:
            raise NoFeed(fetched)
        self.title = told["title"]
        return self._items(told)

    def items(self, items: list[ListedItem]) -> Iterator[ListedItem]:
        """All items, each media once; the feed's further parts are fetched when they are needed.

        Args:
            items: what `first` gave.
        """
        seen = set[str]()
        asked = {self.url}
        while True:
            for item in items:
                if item.source.media_id not in seen:
                    seen.add(item.source.media_id)
                    yield item
            url = self.next_url
            if url is None or url in asked or len(asked) == MAX_DOCUMENTS:
                return
            asked.add(url)
            fetched = self.fetch(url, {})
            told = self.parse(fetched.url, fetched.body or b"")
            if told is None:
                return
            items = self._items(told)

    def _items(self, told: Mapping[str, Any]) -> list[ListedItem]:
        self.next_url = told["next_url"]
        return [item for item in map(self.make, told["items"]) if item is not None]
