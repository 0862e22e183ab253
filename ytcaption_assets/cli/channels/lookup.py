"""Finding the channel that an argument names."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.channels.rows import ChannelRow
    from resources.channels.store import ChannelStore

PAGE = 200


def find_channel(store: "ChannelStore", name: str) -> "ChannelRow":
    """Return the channel with this id, beginning of an id, URL or title.

    Raises:
        ChannelNotFound: there is none, or there are several; the message has their ids.
    """
    from ytcaption.domain.errors import ChannelNotFound

    rows = all_channels(store)
    text = name.strip()
    matches = (
        [row for row in rows if row.id == text]
        or [row for row in rows if text in (row.source.url, row.source.feed_url)]
        or [row for row in rows if row.name.casefold() == text.casefold()]
        or [row for row in rows if row.id.startswith(text)]
        or _by_url(rows, text)
    )
    if not matches:
        raise ChannelNotFound(
            f"There is no channel {text[:120]}. `ytcaption channels list` shows them."
        )
    if len(matches) > 1:
        ids = ", ".join(row.id for row in matches[:5])
        raise ChannelNotFound(f"{len(matches)} channels match. Use an id: {ids}.")
    return matches[0]


def all_channels(store: "ChannelStore") -> "list[ChannelRow]":
    """Return the channels of all owners, newest first."""
    from resources.channels.store import ChannelPosition

    rows = []
    while page := store.channels(
        None, ChannelPosition(rows[-1].created_at, rows[-1].id) if rows else None, PAGE
    ):
        rows += page
    return rows


def _by_url(rows: "list[ChannelRow]", url: str) -> "list[ChannelRow]":
    """Return the channels that this form of a URL leads to."""
    from resources.channels.listing.lister import ChannelLister
    from ytcaption.domain.channels.channel import channel_id
    from ytcaption.domain.errors import InputError
    from ytcaption.settings.settings import load_settings

    try:
        source = ChannelLister.from_settings(load_settings()).source_of(url)
    except InputError:
        return []
    return [
        row
        for row in rows
        if row.source.source_id == source.source_id
        or row.id == channel_id(source.source_id, row.owner)
    ]
