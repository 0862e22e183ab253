"""A lister that goes out the operator's way: proxies, cookies, user agent, players."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from resources.channel_listing import ChannelLister
from resources.pacing import moment
from resources.postgres import Postgres
from resources.upstream_proxies import all_rest_until, proxies_in_turn
from resources.way_out import way_out
from ytcaption_assets.domain.channel import ChannelSource, ListingPage
from ytcaption_assets.domain.errors import ProxyUnavailable
from ytcaption_assets.domain.pacing import seconds_until
from ytcaption_assets.settings import Settings


class OutgoingLister:
    """Another lister, by way of what the operator has set. Bytes of a site and how its proxies did
    are noted as downloads' are.

    Besides the lister's errors its methods raise ProxyUnavailable while all proxies rest, and
    SetupError for cookies that cannot be had.
    """

    def __init__(self, lister: ChannelLister, settings: Settings, postgres: Postgres) -> None:
        self._lister = lister
        self._settings = settings
        self._postgres = postgres

    def newest(self, source: ChannelSource, state: Mapping[str, Any]) -> ListingPage:
        """As the lister's."""
        with self._out(source) as lister:
            return lister.newest(source, state)

    def pages(self, source: ChannelSource, start: int, size: int) -> Generator[ListingPage]:
        """As the lister's: all of them through one proxy."""
        with self._out(source) as lister, closing(lister.pages(source, start, size)) as pages:
            yield from pages

    @contextmanager
    def _out(self, source: ChannelSource) -> Iterator[ChannelLister]:
        names = self._settings.pacing.proxies
        with self._postgres.transaction() as connection:
            until = all_rest_until(connection, names)
            if until is not None:
                resting = ProxyUnavailable(
                    "No proxy of this installation works. It is looked at once one is tried again."
                )
                resting.retry_after_s = seconds_until(until, moment(connection))
                raise resting
            proxies = proxies_in_turn(connection, names)
        with way_out(self._settings, self._postgres, source, proxies) as way:
            yield self._lister.by(way)
