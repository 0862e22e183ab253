"""The channel that a person means."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.channels.rows import ChannelRow
    from resources.channels.store import ChannelStore

PAGE = 200


def named(store: "ChannelStore", name: str) -> "ChannelRow":
    """The one channel that a person means.

    Raises:
        ChannelNotFound: none, or several, which are named.
    """
    from ytcaption.domain.errors import ChannelNotFound

    rows = all_channels(store)
    text = name.strip()
    found = (
        [row for row in rows if row.id == text]
        or [row for row in rows if text in (row.source.url, row.source.feed_url)]
        or [row for row in rows if row.name.casefold() == text.casefold()]
        or [row for row in rows if row.id.startswith(text)]
        or _by_link(rows, text)
    )
    if not found:
        raise ChannelNotFound(f"There is no channel {text[:120]}. `channels list` shows all.")
    if len(found) > 1:
        ids = ", ".join(row.id for row in found[:5])
        raise ChannelNotFound(f"{len(found)} channels are called so. Give the id: {ids}.")
    return found[0]


def all_channels(store: "ChannelStore") -> "list[ChannelRow]":
    """Everybody's, those added last first."""
    from resources.channels.store import ChannelPosition

    rows = []
    while page := store.channels(
        None, ChannelPosition(rows[-1].created_at, rows[-1].id) if rows else None, PAGE
    ):
        rows += page
    return rows


def _by_link(rows: "list[ChannelRow]", link: str) -> "list[ChannelRow]":
    """Those that this form of a link means."""
    from resources.channels.listing.lister import ChannelLister
    from ytcaption.domain.channels.channel import channel_id
    from ytcaption.domain.errors import InputError
    from ytcaption.settings import load_settings

    try:
        source = ChannelLister.from_settings(load_settings()).source_of(link)
    except InputError:
        return []
    return [
        row
        for row in rows
        if row.source.source_id == source.source_id
        or row.id == channel_id(source.source_id, row.owner)
    ]
