"""ChannelLister: what a channel lists, by its feed or by yt-dlp, newest first."""

import logging
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Self

import dagster as dg
from pydantic import Field, PrivateAttr

from resources.channels.listing.child import FEED_FILE
from resources.channels.listing.feed_fetch import Fetched, fetch_feed
from resources.channels.listing.feed_reader import FeedReader, NoFeed, feed_link
from resources.channels.listing.items import ItemMaker
from resources.channels.listing.paging import in_pages
from resources.channels.listing.source import (
    YOUTUBE_LIST,
    channel_source,
    youtube_channel,
    youtube_tab,
)
from resources.download.description import MAX_TITLE, text
from resources.download.egress import EgressRoute
from resources.download.ytdlp_process import events_of, failure_of, ytdlp_process
from resources.network.egress_proxy import EgressProxy
from resources.processes.forked_child import child_server_socket
from ytcaption.domain.channels.channel import ChannelSource, ListedItem, ListingPage
from ytcaption.domain.errors import DownloadCrashed, MediaNotFound, SourceUnavailable
from ytcaption.settings import Settings

NEWEST = 30
"""Items of each list that a look for new ones takes where there is no feed."""
MAX_LIST_BYTES = 1024**3
_LATE = "The list took longer than allowed. The next attempt goes on where it was."

_log = logging.getLogger(__name__)


class ChannelLister(dg.ConfigurableResource):
    """Lists channels, playlists and feeds. Not for a thread that runs an event loop."""

    sites: list[str] = Field(description="Sites that yt-dlp may be used for.")
    allowed_networks: list[str] = Field([], description="Private CIDRs that lists may come from.")
    listing_timeout_s: float = Field(description="Longest time of one list, in seconds.")
    max_feed_bytes: int = Field(description="Largest feed.")
    max_channel_items: int = Field(description="Most items of one list.")
    socket_timeout_s: float = Field(20, description="Longest silence of a server, in seconds.")
    child_server: str | None = Field(
        None, description="Socket of the child server, where there may be one."
    )
    _way: EgressRoute = PrivateAttr(default_factory=EgressRoute)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The lister of an installation."""
        return cls(
            sites=list(settings.sites),
            allowed_networks=list(settings.allowed_networks),
            listing_timeout_s=settings.listing_timeout_s,
            max_feed_bytes=settings.max_feed_bytes,
            max_channel_items=settings.max_channel_items,
            socket_timeout_s=20,
            child_server=str(child_server_socket(settings.home)),
        )

    def by(self, way: EgressRoute) -> "ChannelLister":
        """One that goes out so, and fills the way's traffic."""
        other = self.model_copy()
        other._way = way
        return other

    def source_of(self, url: str) -> ChannelSource:
        """What would be listed for a URL; nothing is fetched. Errors: see `channel_source`."""
        return channel_source(url, sites=self.sites, allowed_networks=self.allowed_networks)

    def newest(self, source: ChannelSource, state: Mapping[str, Any]) -> ListingPage:
        """The newest items, as cheaply as the source allows: its feed, else the top of its lists.

        `next_start` is None only where these are all: what appeared since the last look may be more
        than the newest (YouTube's feed has 15). So unless one of them is known already, read on
        with `pages`.

        Args:
            state: of the last page of `newest`; empty at the first look.

        Raises:
            SourceError, InputError, DownloadCrashed: as for `pages`.
        """
        known_list = source.kind == "playlist"
        if source.feed_url is not None:
            try:
                decided, reader, items = self._open_feed(source, state)
            except (MediaNotFound, SourceUnavailable):
                if source.kind == "feed":
                    raise
                # YouTube's feeds are away at times, and some lists have none.
            else:
                if reader is not None:
                    more = reader.next_url is not None or source.kind == "site"
                    return ListingPage(
                        decided,
                        tuple(items),
                        next_start=len(items) if more and items else None,
                        state=reader.state,
                        unchanged=reader.unchanged,
                    )
                source = decided
        order = {"start": 0, "size": NEWEST, "each_list": True, "one_is_a_list": known_list}
        with closing(self._site_pages(source, order)) as pages:
            page = next(pages)
        return replace(page, next_start=len(page.items) or None)

    def page(self, source: ChannelSource, start: int, size: int) -> ListingPage:
        """Items `start` to `start + size` of the whole list. Errors: see `pages`."""
        with closing(self.pages(source, start, size)) as pages:
            return next(pages)

    def pages(self, source: ChannelSource, start: int, size: int) -> Generator[ListingPage]:
        """The whole list from item `start` on, `size` items a page. Close it to end it early.

        One process asks the site once for each of its pages, as they are taken. To begin at 9,000
        it has to ask for all before on most sites, YouTube too: they give a page only for what the
        page before has told. So take many pages of one iterator, not many times one `page`.

        A channel of several lists (YouTube's videos, streams, shorts) is one list after the other,
        newest first in each. What comes after `max_channel_items` is left out.

        Raises:
            SourceError: the site does not give it; the kinds are those of downloads.
            InputError: the link is no list, or leads where it may not.
            DownloadCrashed: the process that reads it died.
        """
        order = {"start": start, "size": size, "one_is_a_list": source.kind == "playlist"}
        if source.kind == "feed":
            source, reader, items = self._open_feed(source, {})
            if reader is not None:
                yield from self._feed_pages(source, reader, items, start, size)
                return
        yield from self._site_pages(source, order)

    def _open_feed(
        self, source: ChannelSource, state: Mapping[str, Any]
    ) -> tuple[ChannelSource, FeedReader | None, list[ListedItem]]:
        """What the source is, its feed and the items in it; None: it is no feed, but a page."""
        reader = FeedReader(
            source.feed_url or source.url,
            state,
            self._fetch,
            self._parse,
            ItemMaker(source, self.sites, self.allowed_networks),
        )
        page_s_own = source.kind == "feed" and reader.url != source.url
        try:
            items = reader.first()
        except NoFeed as no_feed:
            fetched = no_feed.fetched
            link = None if page_s_own else feed_link(fetched.body or b"", fetched.url)
            if source.kind == "feed" and link is not None:
                return self._open_feed(replace(source, feed_url=link), {})
            return self._as_playlist(source), None, []
        if page_s_own and not items and not reader.unchanged:
            return self._as_playlist(source), None, []  # the feed of what is written there
        title = text(reader.title, MAX_TITLE) or source.title
        return replace(source, title=title), reader, items

    @staticmethod
    def _as_playlist(source: ChannelSource) -> ChannelSource:
        return replace(source, kind="playlist", feed_url=None) if source.kind == "feed" else source

    def _feed_pages(
        self,
        source: ChannelSource,
        reader: FeedReader,
        items: list[ListedItem],
        start: int,
        size: int,
    ) -> Generator[ListingPage]:
        total = len(items) if reader.next_url is None else None
        wanted = islice(reader.items(items), self.max_channel_items)
        for _ in range(start):
            next(wanted, None)
        for at, page, more in in_pages(wanted, start, size):
            following = at + len(page) if more else None
            yield ListingPage(source, tuple(page), at, following, total, reader.state)

    def _site_pages(
        self, source: ChannelSource, wanted: Mapping[str, Any]
    ) -> Generator[ListingPage]:
        order = {
            "url": source.url,
            "kind": source.kind,
            "extractor": source.extractor,
            "socket_timeout_s": self.socket_timeout_s,
            "max_items": self.max_channel_items,
            **self._way.order,
            **wanted,
        }
        make = ItemMaker(source, self.sites, self.allowed_networks)
        total: int | None = None
        with tempfile.TemporaryDirectory(prefix="listing-") as folder:
            for event in self._events(Path(folder), order, self._way):
                if event["event"] == "about":
                    source, total = _told(source, event), event["total"]
                elif event["event"] == "page":
                    items = tuple(item for told in event["items"] if (item := make(told)))
                    at = event["start"]
                    following = at + len(event["items"]) if event["more"] else None
                    yield ListingPage(source, items, at, following, total)

    def _fetch(self, url: str, state: Mapping[str, Any]) -> Fetched:
        return fetch_feed(
            url,
            state,
            allowed_networks=self.allowed_networks,
            max_bytes=self.max_feed_bytes,
            timeout_s=self.listing_timeout_s,
            silence_s=self.socket_timeout_s,
            way=self._way,
        )

    def _parse(self, url: str, body: bytes) -> dict[str, Any] | None:
        """What `listing_child` tells of a feed's bytes; None: it is none."""
        with tempfile.TemporaryDirectory(prefix="listing-") as folder:
            (Path(folder) / FEED_FILE).write_bytes(body)
            order = {"url": url, "kind": "feed"}
            with closing(self._events(Path(folder), order, EgressRoute())) as events:
                event = next(events)
        return event if event["event"] == "feed" else None

    def _events(
        self, folder: Path, order: Mapping[str, Any], way: EgressRoute
    ) -> Generator[dict[str, Any]]:
        """What the listing's process tells, until it is done.

        Raises:
            YtcaptionError: it failed, or died.
        """
        deadline = time.monotonic() + self.listing_timeout_s
        with (
            EgressProxy(
                allowed_networks=self.allowed_networks,
                max_bytes=MAX_LIST_BYTES,
                idle_timeout_s=3 * self.socket_timeout_s,
                **way.proxy_options,
            ) as proxy,
            tempfile.TemporaryFile() as errors,
            ytdlp_process(
                "listing",
                folder,
                {**order, "proxy": proxy.url, "max_bytes": 0},
                errors,
                self.child_server,
            ) as child,
        ):
            for event in events_of(child, lambda: False, deadline, _LATE):
                if event["event"] == "done":
                    return
                if event["event"] == "failed":
                    raise failure_of(event, proxy.traffic)
                yield event
            errors.seek(0)
            told = errors.read()[-2000:].decode(errors="replace")
            _log.error("the listing's process died: %s", told)
            raise DownloadCrashed("The listing ended unexpectedly. Try again.")


def _told(source: ChannelSource, about: Mapping[str, Any]) -> ChannelSource:
    """The source with what its list says of itself: its title, the id of a channel's name."""
    title = text(about["title"], MAX_TITLE) or source.title
    if source.extractor != YOUTUBE_LIST or "list=" in source.url:
        return replace(source, title=title)
    tab = youtube_tab(source.url)
    if not tab:  # it is listed as its tab `videos` where it has no other
        title = text(about["channel"], MAX_TITLE) or title
    if source.feed_url is None and about["channel_id"]:
        return youtube_channel(about["channel_id"], tab, title)
    return replace(source, title=title)
