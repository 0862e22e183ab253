"""One look at a channel: what is new first, then the next part of its history."""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from resources.channels.intake import ChannelIntake
from resources.channels.items import IntakeResult
from resources.channels.rows import ChannelRow
from ytcaption.domain.channels.channel import ChannelSource, ListedItem, ListingPage
from ytcaption.domain.channels.filters import asks_for_facts

PAGE_SIZE = 100
"""Items of a page, and of a transaction."""

OVERLAP = 5
"""Items of the page before that are asked for once more: what is deleted meanwhile moves the later
ones up, over the edge of the page."""

MANY_NEW = 30
"""New ones at the top, of one of the source's lists at least, behind which others may be."""


class Lister(Protocol):
    """Who lists channels: `resources.channels.listing.lister.ChannelLister`."""

    def newest(self, source: ChannelSource, state: Mapping[str, Any]) -> ListingPage:
        """The newest items, as cheaply as the source allows."""
        ...

    def pages(self, source: ChannelSource, start: int, size: int) -> Generator[ListingPage]:
        """The whole list from item `start` on."""
        ...


@dataclass(frozen=True)
class PollLimits:
    """How far one look goes.

    Attributes:
        turn_s: after so long the history goes on in the next one, so that others have their turn.
        relist_days: the whole history is listed again when that was so long ago; 0: never.
    """

    turn_s: float
    relist_days: float


class ChannelPoll:
    """A look at a channel that a run holds. Everything it finds is committed page by page.

    Attributes:
        channel: as it stands.
        taken: what has come of it so far.
    """

    def __init__(
        self,
        channel: ChannelRow,
        run_id: str,
        lister: Lister,
        intake: ChannelIntake,
        limits: PollLimits,
        on_page: Callable[[IntakeResult], None] = lambda _: None,
    ) -> None:
        """`on_page` is told what has been taken after each page."""
        self.channel = channel
        self.taken = IntakeResult()
        self._run_id = run_id
        self._lister = lister
        self._intake = intake
        self._limits = limits
        self._on_page = on_page

    def make(self) -> bool:
        """List what is new, and as much of the history as there is time for; whether some of that
        is left.

        Raises:
            SourceError, InputError: as the lister. What was listed by then is kept.
            ClaimLost: the channel is no longer this run's.
        """
        began = time.monotonic()
        self.taken.add(self._intake.take_new(self.channel.id, self._run_id))
        self._list_newest()
        if self.channel.history_next is None and self._is_to_be_listed_again():
            self.channel = self._intake.begin_history(self.channel.id, self._run_id)
        if self.channel.history_next is not None:
            self._list_history(began + self._limits.turn_s)
        self.taken.add(self._intake.take_new(self.channel.id, self._run_id))
        return self.channel.history_next is not None

    def _list_newest(self) -> None:
        source = self.channel.source
        newest = self._lister.newest(source, self.channel.feed_state)
        unknown = self._intake.unknown(self.channel.id, newest)
        may_hide_others = len(unknown) >= min(len(newest.items), MANY_NEW)
        if unknown and may_hide_others and newest.next_start is not None:
            # Before these are known: else nobody would see later that some are missing.
            self.channel = self._intake.begin_history(self.channel.id, self._run_id)
        if source.kind == "site" and source.feed_url is not None and self._needs_facts(unknown):
            # Feeds of video sites tell neither durations nor what is only announced.
            facts = self._lister.newest(replace(source, feed_url=None), {})
            facts = replace(facts, channel=source, state=self.channel.feed_state)
            self._take(_newest_first(facts))
        # A feed that has no more to show is the whole history.
        is_whole = newest.next_start is None and bool(newest.items)
        self._take(newest if is_whole else _newest_first(newest), is_history=is_whole)
        found = self.channel.source
        if source.feed_url is None and found.feed_url is not None and found.kind == "site":
            # A name's first look: only now is its feed known, which has the times to the second.
            self._list_newest()

    def _needs_facts(self, unknown: list[ListedItem]) -> bool:
        return any(asks_for_facts(item) for item in unknown) or self._intake.has_waiting(
            self.channel.id
        )

    def _is_to_be_listed_again(self) -> bool:
        done_at, days = self.channel.history_done_at, self._limits.relist_days
        if done_at is None:
            return True
        return bool(days) and done_at < datetime.now(UTC) - timedelta(days=days)

    def _list_history(self, deadline: float) -> None:
        start = max(0, (self.channel.history_next or 0) - OVERLAP)
        with closing(self._lister.pages(self.channel.source, start, PAGE_SIZE)) as pages:
            for page in pages:
                self._take(page, is_history=True)
                if self.channel.history_next is None or time.monotonic() > deadline:
                    return

    def _take(self, page: ListingPage, *, is_history: bool = False) -> None:
        taken, self.channel = self._intake.take_page(
            self.channel.id, self._run_id, page, is_history=is_history
        )
        self.taken.add(taken)
        self._on_page(self.taken)


def _newest_first(page: ListingPage) -> ListingPage:
    """In one order where the source has several lists, one after the other."""
    dated = [(item.published_at, item) for item in page.items if item.published_at]
    if len(dated) < len(page.items):
        return page
    dated.sort(key=lambda each: each[0], reverse=True)
    return replace(page, items=tuple(item for _, item in dated))
