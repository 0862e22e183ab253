"""Listers around another: paced by `YTCAPTION_LISTS_PER_MINUTE`, and with the egress settings."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from resources.channels.listing.lister import ChannelLister
from resources.channels.poll import Lister
from resources.download.egress import egress_route
from resources.network.proxy_health import all_cooling_until, available_proxies
from resources.postgres.connection import Postgres
from resources.sites.domains import site_of
from resources.sites.pacing import database_now, listing_wait_s, record_listing
from ytcaption.domain.channels.channel import ChannelSource, ListingPage
from ytcaption.domain.errors import ProxyUnavailable
from ytcaption.domain.media.pacing import seconds_until
from ytcaption.settings.settings import Settings


class PacedLister:
    """Waits before each request until the site's pace allows it.

    Args:
        sleep: waits for the given seconds.
    """

    def __init__(
        self, lister: Lister, postgres: Postgres, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._lister = lister
        self._postgres = postgres
        self._sleep = sleep

    def newest(self, source: ChannelSource, state: Mapping[str, Any]) -> ListingPage:
        """List the newest items; see `Lister`."""
        self._wait(source)
        return self._lister.newest(source, state)

    def pages(self, source: ChannelSource, start: int, size: int) -> Generator[ListingPage]:
        """List pages; see `Lister`. Pages before the first are requested, too."""
        self._wait(source, 1 + start // size)
        with closing(self._lister.pages(source, start, size)) as pages:
            for page in pages:
                yield page
                if page.next_start is not None:
                    self._wait(source)

    def _wait(self, source: ChannelSource, requests: int = 1) -> None:
        site = site_of(source.url)
        while True:
            with self._postgres.transaction() as connection:
                wait_s = listing_wait_s(connection, site)
                if wait_s <= 0:
                    record_listing(connection, site, requests=requests)
                    return
            self._sleep(wait_s)


class OutgoingLister:
    """Lists through the operator's egress settings, and records traffic and proxy health.

    Besides the lister's errors its methods raise ProxyUnavailable while all proxies cool down, and
    SetupError for cookies that cannot be read.
    """

    def __init__(self, lister: ChannelLister, settings: Settings, postgres: Postgres) -> None:
        self._lister = lister
        self._settings = settings
        self._postgres = postgres

    def newest(self, source: ChannelSource, state: Mapping[str, Any]) -> ListingPage:
        """List the newest items; see `Lister`."""
        with self._lister_through_egress(source) as lister:
            return lister.newest(source, state)

    def pages(self, source: ChannelSource, start: int, size: int) -> Generator[ListingPage]:
        """List pages, all through one proxy; see `Lister`."""
        with (
            self._lister_through_egress(source) as lister,
            closing(lister.pages(source, start, size)) as pages,
        ):
            yield from pages

    @contextmanager
    def _lister_through_egress(self, source: ChannelSource) -> Iterator[ChannelLister]:
        names = self._settings.pacing.proxies
        with self._postgres.transaction() as connection:
            until = all_cooling_until(connection, names)
            if until is not None:
                error = ProxyUnavailable(
                    "No proxy of this installation works. It is listed once one is retried."
                )
                error.retry_after_s = seconds_until(until, database_now(connection))
                raise error
            proxies = available_proxies(connection, names)
        with egress_route(self._settings, self._postgres, source, proxies) as route:
            yield self._lister.through(route)
