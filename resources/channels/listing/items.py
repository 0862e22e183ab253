"""Listed items as ListedItem, with the source that a request for their URL would have."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from resources.download.description import MAX_TITLE, seconds, size_bytes, text
from resources.download.protocol import ListEntry
from resources.sites.resolve import GENERIC, resolve_source
from ytcaption.domain.channels.channel import ChannelSource, ListedItem
from ytcaption.domain.errors import InputError
from ytcaption.domain.media.media import MediaSource, url_media_id

_FIRST_DAY, _LAST_DAY = datetime(1970, 1, 2, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class ItemMaker:
    """Makes the items of one channel.

    Args:
        sites: see `resolve_source`.
        allowed_networks: private CIDRs that may be reached.
    """

    def __init__(
        self, channel: ChannelSource, sites: Sequence[str], allowed_networks: Sequence[str]
    ) -> None:
        self._channel = channel
        self._sites = tuple(sites)
        self._allowed_networks = tuple(allowed_networks)

    def __call__(self, entry: ListEntry) -> ListedItem | None:
        """Return the item of an entry; None: it has no media.

        The page of a feed's item counts only if its site is known to have media.
        """
        # Halves of surrogate pairs are no text: they cannot be hashed or stored.
        url = entry.url.encode("utf-8", "replace").decode()
        resolved = self._resolved(url)
        is_site = isinstance(resolved, MediaSource) and resolved.kind == "site"
        if entry.is_page and not is_site:
            return None
        title = text(entry.title, MAX_TITLE)
        if isinstance(resolved, MediaSource):
            source, refused = replace(resolved, title=title), None
        else:
            # A refused link is not shown: it may not be a link at all.
            media_id, page = url_media_id(url), self._channel.url
            source, refused = MediaSource(media_id, "direct", page, GENERIC, title), resolved.code
        return ListedItem(
            source,
            published_at=_time(entry.timestamp),
            duration_s=seconds(entry.duration_s),
            is_short="/shorts/" in url,
            live=entry.live,
            unavailable=entry.unavailable or refused,
            audio_bytes=size_bytes(entry.audio_bytes),
        )

    def _resolved(self, url: str) -> MediaSource | InputError:
        try:
            return resolve_source(url, sites=self._sites, allowed_networks=self._allowed_networks)
        except InputError as error:
            return error


def _time(timestamp: Any) -> datetime | None:
    try:
        time = datetime.fromtimestamp(float(timestamp), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return time if _FIRST_DAY < time < _LAST_DAY else None
