"""A preview of a channel: its list with verdicts, without storing anything."""

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
from ytcaption.settings.settings import Settings

MAX_ITEMS = 200
MAX_WAIT_S = 30.0
"""Longest time until the answer, which holds the items listed by then."""

LATER = "max_items"
"""Reason of an item that passes the filters, but exceeds the channel's maximum per listing."""


@dataclass(frozen=True)
class JudgedItem:
    """An item with its verdict.

    Attributes:
        reason: a word, if it would not be enqueued now.
    """

    item: ListedItem
    state: ItemState
    reason: str | None


@dataclass(frozen=True)
class DryRun:
    """The result that a listing would have.

    Attributes:
        channel: with what the source says about itself.
        items: those examined, the newest first.
        total: number of items that the source states.
        is_complete: the list has no other items.
    """

    channel: ChannelSource
    items: tuple[JudgedItem, ...]
    total: int | None
    is_complete: bool

    @property
    def included(self) -> list[JudgedItem]:
        """Return the items that would be enqueued now."""
        return [each for each in self.items if each.state == "new" and each.reason is None]

    @property
    def excluded(self) -> list[JudgedItem]:
        """Return the other items."""
        return [each for each in self.items if each.state != "new" or each.reason is not None]


def dry_run(
    postgres: Postgres,
    settings: Settings,
    lister: ChannelLister,
    source: ChannelSource,
    plan: ChannelPlan,
    *,
    max_items: int = MAX_ITEMS,
) -> DryRun:
    """List and judge items within the time limit, with the egress settings of a listing.

    Raises:
        SourceUnavailable: the site's circuit breaker is open, or nothing came in time.
        SourceError, InputError: see the lister.
    """
    _check_site(postgres, source)
    bounded = lister.model_copy(
        update={"listing_timeout_s": min(lister.listing_timeout_s, MAX_WAIT_S)}
    )
    return judged_list(OutgoingLister(bounded, settings, postgres), source, plan, max_items)


def judged_list(lister: Lister, source: ChannelSource, plan: ChannelPlan, max_items: int) -> DryRun:
    """Return the verdicts on a list's first `max_items` items, within the time limit.

    Raises:
        SourceError, InputError: see the lister.
    """
    deadline = time.monotonic() + MAX_WAIT_S
    judge = Judge(plan.filters, datetime.now(UTC))
    room = plan.max_items
    judged: list[JudgedItem] = []
    page = None
    for page in _pages(lister, source):
        for item in page.items[: max_items - len(judged)]:
            verdict = judge.verdict(item)
            reason = verdict.reason
            if verdict.state == "new" and room is not None:
                reason = None if room > 0 else LATER
                room -= 1
            judged.append(JudgedItem(item, verdict.state, reason))
        if len(judged) >= max_items or time.monotonic() > deadline:
            break
    if page is None:
        return DryRun(source, (), None, True)
    is_complete = page.next_start is None and len(judged) >= page.start + len(page.items)
    return DryRun(page.channel, tuple(judged), page.total, is_complete)


def _pages(lister: Lister, source: ChannelSource) -> Iterator[ListingPage]:
    """Yield pages until the source fails: those listed before are worth more than the error."""
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
