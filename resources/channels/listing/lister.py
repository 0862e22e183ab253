"""ChannelLister: pages of a channel's list, by its feed or by yt-dlp, newest first."""

import logging
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
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
from resources.download.protocol import (
    Failed,
    FeedJob,
    FeedRead,
    ListAbout,
    ListDone,
    ListingJob,
    ListPage,
    NotAFeed,
    read_listing_event,
)
from resources.download.ytdlp_process import events_of, failure_of, ytdlp_process
from resources.processes.forked_child import child_server_socket
from ytcaption.domain.channels.channel import ChannelSource, ListedItem, ListingPage
from ytcaption.domain.errors import DownloadCrashed, MediaNotFound, SourceUnavailable
from ytcaption.settings.settings import Settings

NEWEST_ITEMS = 30
"""Items per list when the newest are listed without a feed."""
MAX_LIST_BYTES = 1024**3
_TIMEOUT_MESSAGE = "The list took longer than allowed. The next attempt continues where it stopped."

_log = logging.getLogger(__name__)


class ChannelLister(dg.ConfigurableResource):
    """Lists channels, playlists and feeds. Not for a thread that runs an event loop."""

    sites: list[str] = Field(description="Sites that yt-dlp may be used for.")
    allowed_networks: list[str] = Field([], description="Private CIDRs that lists may come from.")
    listing_timeout_s: float = Field(description="Time limit of one list, in seconds.")
    max_feed_bytes: int = Field(description="Maximum size of a feed, in bytes.")
    max_channel_items: int = Field(description="Maximum items of one list.")
    socket_timeout_s: float = Field(
        20, description="Longest time without data from a server, in seconds."
    )
    child_server: str | None = Field(
        None, description="Socket of the child server, if there may be one."
    )
    _route: EgressRoute = PrivateAttr(default_factory=EgressRoute)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the lister of an installation."""
        return cls(
            sites=list(settings.download.sites),
            allowed_networks=list(settings.download.allowed_networks),
            listing_timeout_s=settings.channels.listing_timeout_s,
            max_feed_bytes=settings.channels.max_feed_bytes,
            max_channel_items=settings.channels.max_channel_items,
            socket_timeout_s=20,
            child_server=str(child_server_socket(settings.home)),
        )

    def through(self, route: EgressRoute) -> "ChannelLister":
        """Return a lister that uses this egress route and counts its traffic."""
        other = self.model_copy()
        other._route = route
        return other

    def source_of(self, url: str) -> ChannelSource:
        """Return the source of a URL without fetching anything. Errors: see `channel_source`."""
        return channel_source(url, sites=self.sites, allowed_networks=self.allowed_networks)

    def newest(self, source: ChannelSource, state: Mapping[str, Any]) -> ListingPage:
        """Return the newest items, as cheaply as possible: by the feed, else the top of the lists.

        `next_start` is None only if these are all items. There may be more new items than the
        newest (YouTube's feed has 15), so unless one of them is known already, continue with
        `pages`.

        Args:
            state: of the last page of `newest`; empty at first.

        Raises:
            SourceError, InputError, DownloadCrashed: see `pages`.
        """
        known_list = source.kind == "playlist"
        if source.feed_url is not None:
            try:
                listed_source, reader, items = self._open_feed(source, state)
            except (MediaNotFound, SourceUnavailable):
                if source.kind == "feed":
                    raise
                # YouTube's feeds are unavailable at times, and some lists have none.
            else:
                if reader is not None:
                    more = reader.next_url is not None or source.kind == "site"
                    return ListingPage(
                        listed_source,
                        tuple(items),
                        next_start=len(items) if more and items else None,
                        state=reader.state,
                        unchanged=reader.unchanged,
                    )
                source = listed_source
        listing = self._site_pages(
            source, 0, NEWEST_ITEMS, each_list=True, one_is_a_list=known_list
        )
        with closing(listing) as pages:
            page = next(pages)
        return replace(page, next_start=len(page.items) or None)

    def pages(self, source: ChannelSource, start: int, size: int) -> Generator[ListingPage]:
        """Yield the whole list from item `start` on, `size` items per page; close it to end early.

        One process requests each of the site's pages once, as they are taken. To begin at 9,000 it
        must request all pages before on most sites, YouTube too, whose pages lead only to the next.
        So take many pages of one iterator rather than single pages of several.

        A channel with several lists (YouTube's videos, streams, shorts) is one list after the
        other, newest first in each. Items beyond `max_channel_items` are left out.

        Raises:
            SourceError: the site does not return it; the kinds are those of downloads.
            InputError: the link is not a list, or leads to a forbidden address.
            DownloadCrashed: the process that reads it died.
        """
        one_is_a_list = source.kind == "playlist"
        if source.kind == "feed":
            source, reader, items = self._open_feed(source, {})
            if reader is not None:
                yield from self._feed_pages(source, reader, items, start, size)
                return
        yield from self._site_pages(source, start, size, one_is_a_list=one_is_a_list)

    def _open_feed(
        self, source: ChannelSource, state: Mapping[str, Any]
    ) -> tuple[ChannelSource, FeedReader | None, list[ListedItem]]:
        """Return the source, its feed and the feed's items; None: it is a page, not a feed."""
        reader = FeedReader(
            source.feed_url or source.url,
            state,
            self._fetch,
            self._parse,
            ItemMaker(source, self.sites, self.allowed_networks),
        )
        is_linked_feed = source.kind == "feed" and reader.url != source.url
        try:
            items = reader.first()
        except NoFeed as no_feed:
            fetched = no_feed.fetched
            feed_url = None if is_linked_feed else feed_link(fetched.body or b"", fetched.url)
            if source.kind == "feed" and feed_url is not None:
                return self._open_feed(replace(source, feed_url=feed_url), {})
            return self._as_playlist(source), None, []
        if is_linked_feed and not items and not reader.unchanged:
            return self._as_playlist(source), None, []  # a feed of articles
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
        for position, page, more in in_pages(wanted, start, size):
            next_start = position + len(page) if more else None
            yield ListingPage(source, tuple(page), position, next_start, total, reader.state)

    def _site_pages(
        self,
        source: ChannelSource,
        start: int,
        size: int,
        *,
        each_list: bool = False,
        one_is_a_list: bool,
    ) -> Generator[ListingPage]:
        if source.kind == "feed":
            raise ValueError("yt-dlp reads no feeds")

        def job(proxy: str) -> ListingJob:
            return ListingJob(
                url=source.url,
                kind="site" if source.kind == "site" else "playlist",
                extractor=source.extractor,
                proxy=proxy,
                socket_timeout_s=self.socket_timeout_s,
                max_items=self.max_channel_items,
                start=start,
                size=size,
                each_list=each_list,
                one_is_a_list=one_is_a_list,
                identity=self._route.identity,
            )

        make = ItemMaker(source, self.sites, self.allowed_networks)
        described, total = source, None
        with tempfile.TemporaryDirectory(prefix="listing-") as folder:
            for event in self._events(Path(folder), job, self._route):
                if isinstance(event, ListAbout):
                    described, total = _described_source(source, event), event.total
                elif isinstance(event, ListPage):
                    items = tuple(item for entry in event.items if (item := make(entry)))
                    next_start = event.start + len(event.items) if event.has_more else None
                    yield ListingPage(described, items, event.start, next_start, total)

    def _fetch(self, url: str, state: Mapping[str, Any]) -> Fetched:
        return fetch_feed(
            url,
            state,
            allowed_networks=self.allowed_networks,
            max_bytes=self.max_feed_bytes,
            timeout_s=self.listing_timeout_s,
            idle_timeout_s=self.socket_timeout_s,
            route=self._route,
        )

    def _parse(self, url: str, body: bytes) -> FeedRead | None:
        """Return the listing process's event for a feed's bytes; None: it is not a feed."""
        with tempfile.TemporaryDirectory(prefix="listing-") as folder:
            (Path(folder) / FEED_FILE).write_bytes(body)
            parsing = self._events(Path(folder), lambda _: FeedJob(url), EgressRoute())
            with closing(parsing) as events:
                event = next(events)
        return event if isinstance(event, FeedRead) else None

    def _events(
        self, folder: Path, job: Callable[[str], ListingJob | FeedJob], route: EgressRoute
    ) -> Generator[ListAbout | ListPage | FeedRead | NotAFeed]:
        """Yield the events of the listing process until it is done.

        Args:
            job: makes the job from the URL of the egress proxy.

        Raises:
            YtcaptionError: it failed, or died.
        """
        deadline = time.monotonic() + self.listing_timeout_s
        with (
            route.proxy(
                allowed_networks=self.allowed_networks,
                max_bytes=MAX_LIST_BYTES,
                idle_timeout_s=3 * self.socket_timeout_s,
            ) as proxy,
            tempfile.TemporaryFile() as errors,
            ytdlp_process("listing", folder, job(proxy.url), errors, self.child_server) as child,
        ):
            events = events_of(child, read_listing_event, lambda: False, deadline, _TIMEOUT_MESSAGE)
            for event in events:
                if isinstance(event, ListDone):
                    return
                if isinstance(event, Failed):
                    raise failure_of(event, proxy.traffic)
                yield event
            errors.seek(0)
            message = errors.read()[-2000:].decode(errors="replace")
            _log.error("the listing process died: %s", message)
            raise DownloadCrashed("The listing ended unexpectedly. Try again.")


def _described_source(source: ChannelSource, about: ListAbout) -> ChannelSource:
    """Return the source with its list's title, and with the channel id of a name."""
    title = text(about.title, MAX_TITLE) or source.title
    if source.extractor != YOUTUBE_LIST or "list=" in source.url:
        return replace(source, title=title)
    tab = youtube_tab(source.url)
    if not tab:  # a channel without other tabs is listed as its tab `videos`
        title = text(about.channel, MAX_TITLE) or title
    if source.feed_url is None and about.channel_id:
        return youtube_channel(about.channel_id, tab, title)
    return replace(source, title=title)
