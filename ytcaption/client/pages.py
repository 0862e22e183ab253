"""Iterates over lists page by page."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from ytcaption.client.channel_models import ChannelPage, ItemPage
from ytcaption.client.models import HistoryPage, Page, read_as
from ytcaption.client.search_models import SearchResults
from ytcaption.client.transport import Call, Transport

P = TypeVar("P", Page, HistoryPage, ChannelPage, ItemPage, SearchResults)


def pages(
    transport: Transport, model: type[P], address: str, params: Mapping[str, Any]
) -> Iterator[P]:
    """Yield the pages; each is fetched when it is needed."""
    cursor: str | None = None
    while True:
        call = Call("GET", address, params=dict(params) | {"cursor": cursor})
        page = read_as(model, transport.send(call))
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return
