"""What was found by media, and how much of it in each channel and month."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from resources.search.results import ChannelCount, MonthCount, Place
from resources.search.retriever import Document, Hit, Order, Retrieved

MOST_FACETS = 50
"""Channels, or months, that are counted one by one."""


@dataclass
class Group:
    """What was found in one media.

    Attributes:
        is_of_many: that there is more of it counts.
    """

    document: Document
    is_of_many: bool
    hits: list[Hit] = field(default_factory=list)

    @cached_property
    def score(self) -> float:
        """Of its best segment; many say little more. Once all of its hits are there."""
        best = max(hit.score for hit in self.hits)
        more = min(len(self.hits) - 1, 10) if self.is_of_many else 0
        return round(best * (1 + 0.1 * more), 6)

    def place(self, order: Order) -> Place:
        """Ascending in the order that is asked for."""
        day = int(self.document.published_on.replace("-", ""))
        if order == "relevance":
            return -self.score, -day, self.document.media_id
        return (0.0, day if order == "time" else -day, self.document.media_id)


def groups_of(found: Retrieved) -> Iterable[Group]:
    """Each media once, in no order."""
    groups: dict[str, Group] = {}
    for hit in found.hits:
        document = found.documents[hit.transcription_id]
        # A media that is there in two languages is shown in the one that fits better.
        group = groups.setdefault(document.id, Group(document, found.is_of_many))
        group.hits.append(hit)
    best: dict[str, Group] = {}
    for group in groups.values():
        media_id = group.document.media_id
        if media_id not in best or group.score > best[media_id].score:
            best[media_id] = group
    return best.values()


def by_channel(groups: Sequence[Group]) -> tuple[ChannelCount, ...]:
    """Those with most media first."""
    media: Counter[str | None] = Counter()
    hits: Counter[str | None] = Counter()
    named: dict[str | None, Document] = {}
    for group in groups:
        key = group.document.channel_key
        named.setdefault(key, group.document)
        media[key] += 1
        hits[key] += len(group.hits)
    return tuple(
        ChannelCount(named[key].channel, named[key].channel_id, count, hits[key])
        for key, count in media.most_common(MOST_FACETS)
    )


def by_month(groups: Sequence[Group]) -> tuple[MonthCount, ...]:
    """The newest first."""
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for group in groups:
        count = counts[group.document.published_on[:7]]
        count[0] += 1
        count[1] += len(group.hits)
    newest = sorted(counts.items(), reverse=True)[:MOST_FACETS]
    return tuple(MonthCount(month, *count) for month, count in newest)
