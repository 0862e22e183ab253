"""Matches grouped by media, and counted by channel and month."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from resources.search.results import ChannelCount, MonthCount, ResultPosition
from resources.search.retriever import Document, Hit, Order, Retrieved

MAX_FACETS = 50
"""Maximum channels, or months, that are counted."""


@dataclass
class Group:
    """The matches in one media item.

    Attributes:
        prefers_many: more matches raise the score.
    """

    document: Document
    prefers_many: bool
    hits: list[Hit] = field(default_factory=list)

    @cached_property
    def score(self) -> float:
        """Return the best segment's score, raised a little by more hits; call it when full."""
        best = max(hit.score for hit in self.hits)
        more = min(len(self.hits) - 1, 10) if self.prefers_many else 0
        return round(best * (1 + 0.1 * more), 6)

    def position(self, order: Order) -> ResultPosition:
        """Return the position in the requested order, ascending."""
        day = int(self.document.published_on.replace("-", ""))
        if order == "relevance":
            return -self.score, -day, self.document.media_id
        return (0.0, day if order == "time" else -day, self.document.media_id)


def groups_of(retrieved: Retrieved) -> Iterable[Group]:
    """Return one group per media item, unordered."""
    groups: dict[str, Group] = {}
    for hit in retrieved.hits:
        document = retrieved.documents[hit.transcription_id]
        # A media item with texts in two languages is shown in the better matching one.
        group = groups.setdefault(document.id, Group(document, retrieved.prefers_many))
        group.hits.append(hit)
    best: dict[str, Group] = {}
    for group in groups.values():
        media_id = group.document.media_id
        if media_id not in best or group.score > best[media_id].score:
            best[media_id] = group
    return best.values()


def by_channel(groups: Sequence[Group]) -> tuple[ChannelCount, ...]:
    """Count by channel, the one with most media first."""
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
        for key, count in media.most_common(MAX_FACETS)
    )


def by_month(groups: Sequence[Group]) -> tuple[MonthCount, ...]:
    """Count by month, the newest first."""
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for group in groups:
        count = counts[group.document.published_on[:7]]
        count[0] += 1
        count[1] += len(group.hits)
    newest = sorted(counts.items(), reverse=True)[:MAX_FACETS]
    return tuple(MonthCount(month, *count) for month, count in newest)
