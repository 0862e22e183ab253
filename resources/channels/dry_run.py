"""What would be taken of a channel now: its list, read and judged, and nothing kept."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from resources.channels.lister_policies import OutgoingLister
from resources.channels.listing.lister import ChannelLister
from resources.channels.poll import (
    PAGE_SIZE,
    Lister,
)
from resources.channels.rows import ChannelPlan
from resources.channels.verdicts import Judge
from resources.postgres.connection import Postgres
from resources.sites.circuit_breaker import breakers
from resources.sites.domains import site_of
from ytcaption.domain.channels.channel import ChannelSource, ListedItem, ListingPage
from ytcaption.domain.channels.filters import ItemState
from ytcaption.domain.errors import SourceUnavailable
from ytcaption.settings import Settings

MOST_ITEMS = 200
LONGEST_S = 30.0
"""Nobody waits longer for an answer; what was listed by then is told."""

LATER = "max_new"
"""Why an item that passes is not taken now: as many as the channel may take at once are."""


@dataclass(frozen=True)
class JudgedItem:
    """One item and what would become of it.

    Attributes:
        reason: a word, where it would not be taken now.
    """

    item: ListedItem
    state: ItemState
    reason: str | None


@dataclass(frozen=True)
class DryRun:
    """What a look would come to.

    Attributes:
        channel: with what the source says of itself.
        items: those that were looked at, the newest first.
        total: items of the source, as it says.
        is_whole: the list has no others.
    """

    channel: ChannelSource
    items: tuple[JudgedItem, ...]
    total: int | None
    is_whole: bool

    @property
    def taken(self) -> list[JudgedItem]:
        """Those that would be asked for now."""
        return [each for each in self.items if each.state == "new" and each.reason is None]

    @property
    def left_out(self) -> list[JudgedItem]:
        """The others."""
        return [each for each in self.items if each.state != "new" or each.reason is not None]


def dry_run(
    postgres: Postgres,
    settings: Settings,
    lister: ChannelLister,
    source: ChannelSource,
    plan: ChannelPlan,
    *,
    most_items: int = MOST_ITEMS,
) -> DryRun:
    """List and judge as much as there is time for. It goes out as a look does; nothing is kept.

    Raises:
        SourceUnavailable: its site is left alone for now, or nothing came in time.
        SourceError, InputError: as the lister.
    """
    _check_site(postgres, source)
    bounded = lister.model_copy(
        update={"listing_timeout_s": min(lister.listing_timeout_s, LONGEST_S)}
    )
    return judged_list(OutgoingLister(bounded, settings, postgres), source, plan, most_items)


def judged_list(lister: Lister, source: ChannelSource, plan: ChannelPlan, most: int) -> DryRun:
    """What would become of a list's first `most` items, as far as there is time for.

    Raises:
        SourceError, InputError: as the lister.
    """
    deadline = time.monotonic() + LONGEST_S
    judge = Judge(plan.filters, datetime.now(UTC))
    room = plan.max_new
    judged: list[JudgedItem] = []
    page = None
    for page in _pages(lister, source):
        for item in page.items[: most - len(judged)]:
            verdict = judge.verdict(item)
            reason = verdict.reason
            if verdict.state == "new" and room is not None:
                reason = None if room > 0 else LATER
                room -= 1
            judged.append(JudgedItem(item, verdict.state, reason))
        if len(judged) >= most or time.monotonic() > deadline:
            break
    if page is None:
        return DryRun(source, (), None, True)
    is_whole = page.next_start is None and len(judged) >= page.start + len(page.items)
    return DryRun(page.channel, tuple(judged), page.total, is_whole)


def _pages(lister: Lister, source: ChannelSource) -> Iterator[ListingPage]:
    """Pages as long as they come: what was listed by then is worth more than why it ended."""
    is_first = True
    with closing(lister.pages(source, 0, PAGE_SIZE)) as pages:
        while True:
            try:
                page = next(pages, None)
            except SourceUnavailable:
                if is_first:
                    raise
                return
            if page is None:
                return
            yield page
            is_first = False


def _check_site(postgres: Postgres, source: ChannelSource) -> None:
    site = site_of(source.url)
    for each in breakers(postgres):
        if each.site == site and each.state != "closed":
            raise SourceUnavailable(each.message)
