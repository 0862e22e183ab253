"""Listers of loopback servers, for the lister's tests."""

from contextlib import closing

from resources.channels.listing.lister import ChannelLister
from tests.support.patience import patience
from ytcaption.domain.channels.channel import ChannelSource, ListingPage

SITES = ["youtube", "media.ccc.de"]


def lister(**overrides: object) -> ChannelLister:
    """Return a lister of loopback addresses."""
    values: dict[str, object] = {
        "sites": SITES,
        "allowed_networks": ["127.0.0.0/8"],
        "listing_timeout_s": 60 * patience(),
        "max_feed_bytes": 5_000_000,
        "max_channel_items": 100_000,
        "socket_timeout_s": 5 * patience(),
    }
    return ChannelLister(**{**values, **overrides})  # pyright: ignore[reportArgumentType]


def titles(page: ListingPage) -> list[str | None]:
    return [item.source.title for item in page.items]


def ids(page: ListingPage) -> list[str]:
    return [item.source.media_id for item in page.items]


def list_page(lister: ChannelLister, source: ChannelSource, start: int, size: int) -> ListingPage:
    """Return items `start` to `start + size` of the whole list."""
    with closing(lister.pages(source, start, size)) as pages:
        return next(pages)
