"""What a list says of an item, as the ListedItem that a request for its URL would mean."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from resources.download.description import MAX_TITLE, seconds, text
from resources.sites.resolve import GENERIC, resolve_source
from ytcaption.domain.channels.channel import ChannelSource, ListedItem
from ytcaption.domain.errors import InputError
from ytcaption.domain.media.media import MediaSource, url_media_id

_FIRST_DAY, _LAST_DAY = datetime(1970, 1, 2, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class ItemMaker:
    """Makes the items of one channel.

    Args:
        sites: as for `resolve_source`.
        allowed_networks: private CIDRs that may be reached.
    """

    def __init__(
        self, channel: ChannelSource, sites: Sequence[str], allowed_networks: Sequence[str]
    ) -> None:
        self._channel = channel
        self._sites = tuple(sites)
        self._allowed_networks = tuple(allowed_networks)

    def __call__(self, told: Mapping[str, Any]) -> ListedItem | None:
        """The item of what `feed_items` or `listed_item` tells; None: it has no media.

        The page of a feed's item (`maybe`) counts only where its site is known to have media.
        """
        found = self._resolved(told["url"])
        if told["maybe"] and not (isinstance(found, MediaSource) and found.kind == "site"):
            return None
        title = text(told["title"], MAX_TITLE)
        if isinstance(found, MediaSource):
            source, refused = replace(found, title=title), None
        else:
            # The link of what is refused is not shown to anybody: it may be no link at all.
            media_id, page = url_media_id(told["url"]), self._channel.url
            source, refused = MediaSource(media_id, "direct", page, GENERIC, title), found.code
        return ListedItem(
            source,
            published_at=_moment(told["timestamp"]),
            duration_s=seconds(told["duration_s"]),
            is_short="/shorts/" in told["url"],
            live=told.get("live"),
            unavailable=told.get("unavailable") or refused,
            audio_bytes=told["audio_bytes"],
        )

    def _resolved(self, url: str) -> MediaSource | InputError:
        try:
            return resolve_source(url, sites=self._sites, allowed_networks=self._allowed_networks)
        except InputError as error:
            return error


def _moment(timestamp: Any) -> datetime | None:
    try:
        moment = datetime.fromtimestamp(float(timestamp), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return moment if _FIRST_DAY < moment < _LAST_DAY else None
