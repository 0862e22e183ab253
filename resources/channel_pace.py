"""A lister that keeps to the pace of the sites: `YTCAPTION_LISTS_PER_MINUTE`."""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import Any

from resources.channel_look import Lister
from resources.pacing import may_list, note_listing
from resources.postgres import Postgres
from resources.site_domains import site_of
from ytcaption_assets.domain.channel import ChannelSource, ListingPage


class PacedLister:
    """Another lister, which waits before each request until the site may be asked.

    Args:
        sleep: waits so many seconds.
    """

    def __init__(
        self, lister: Lister, postgres: Postgres, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._lister = lister
        self._postgres = postgres
        self._sleep = sleep

    def newest(self, source: ChannelSource, state: Mapping[str, Any]) -> ListingPage:
        """As the lister's."""
        self._wait(source)
        return self._lister.newest(source, state)

    def pages(self, source: ChannelSource, start: int, size: int) -> Generator[ListingPage]:
        """As the lister's. Those before the first are asked for, too."""
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
                wait_s = may_list(connection, site)
                if wait_s <= 0:
                    note_listing(connection, site, requests=requests)
                    return
            self._sleep(wait_s)
