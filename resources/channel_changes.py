"""What a list shows of an item that it has shown before, and whether its audio is another now."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from resources.channel_rows import listed_item
from ytcaption_assets.domain.channel import ListedItem
from ytcaption_assets.domain.channel_filters import asks_for_facts
from ytcaption_assets.domain.reupload import AudioFacts, changed


def change_between(
    before: Mapping[str, Any], item: ListedItem, *, is_exact: bool
) -> tuple[ListedItem, str | None]:
    """The item with what the list no longer says of it, as a feed says less than a page does; and
    why its audio seems to be another than what was transcribed, None where it does not.

    Args:
        before: its row, with `status` of its transcription.
        is_exact: the list is a feed, which knows when each item was published.
    """
    known = listed_item(before)
    item = replace(
        item,
        source=replace(
            item.source,
            url=known.source.url if item.source.kind == "site" else item.source.url,
            extractor=item.source.extractor or known.source.extractor,
            title=item.source.title or known.source.title,
        ),
        published_at=_published(before, item, is_exact=is_exact),
        duration_s=item.duration_s if item.duration_s is not None else known.duration_s,
        audio_bytes=item.audio_bytes if item.audio_bytes is not None else known.audio_bytes,
        is_short=item.is_short or known.is_short,
        live=known.live if asks_for_facts(item) or known.live == "over" else item.live,
    )
    if before["status"] != "completed":
        return item, None
    was = AudioFacts(known.duration_s, known.audio_bytes)
    return item, changed(was, AudioFacts(item.duration_s, item.audio_bytes))


def _published(before: Mapping[str, Any], item: ListedItem, *, is_exact: bool) -> datetime | None:
    """As first told, since pages say `2 years ago`, which is another moment each time; feeds say it
    to the second. What is only announced may be put off."""
    known_at: datetime | None = before["published_at"]
    if known_at is None or item.published_at is None:
        return known_at or item.published_at
    return item.published_at if is_exact or before["state"] == "waiting" else known_at
