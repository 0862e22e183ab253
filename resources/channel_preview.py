"""What would be taken of a channel, before anybody subscribes to it. Nothing is written."""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from resources.channel_look import PAGE_SIZE, Lister
from resources.channel_verdicts import Judge
from ytcaption_assets.domain.channel import ChannelFilters, ChannelSource, ListedItem
from ytcaption_assets.domain.channel_filters import Verdict


@dataclass(frozen=True)
class Preview:
    """What a look would take, nothing of which is written.

    Attributes:
        source: as it describes itself.
        items: the newest, each with what would become of it.
        is_whole: these are all that the source has.
        total: of the source, as it says.
    """

    source: ChannelSource
    items: tuple[tuple[ListedItem, Verdict], ...]
    is_whole: bool
    total: int | None

    @property
    def wanted(self) -> int:
        """How many of these would be taken, now or once they are over."""
        return sum(verdict.state in ("new", "waiting") for _, verdict in self.items)


def preview(lister: Lister, source: ChannelSource, filters: ChannelFilters, most: int) -> Preview:
    """What would be taken of a source's newest `most` items, by its list.

    Raises:
        SourceError, InputError: as the lister.
    """
    judge = Judge(filters, datetime.now(UTC))
    found: list[tuple[ListedItem, Verdict]] = []
    seen: set[str] = set()
    with closing(lister.pages(source, 0, min(most, PAGE_SIZE))) as pages:
        for page in pages:
            source = page.channel
            for item in page.items[: most - len(found)]:
                if item.source.media_id not in seen:
                    seen.add(item.source.media_id)
                    found.append((item, judge.verdict(item)))
            if page.next_start is None or len(found) >= most:
                is_whole = page.next_start is None and page.start + len(page.items) <= most
                return Preview(source, tuple(found), is_whole, page.total)
    return Preview(source, tuple(found), is_whole=True, total=len(found))
