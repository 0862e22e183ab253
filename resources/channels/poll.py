"""One listing of a channel: the newest items first, then the next part of its history."""

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
"""Items per page and per transaction."""

OVERLAP = 5
"""Items of the previous page that are requested again: deleted items move later ones up, across the
page boundary."""

MANY_NEW = 30
"""New items at the top, of at least one of the source's lists, that may hide others below."""


class Lister(Protocol):
    """Lists channels: `resources.channels.listing.lister.ChannelLister`, or one around it."""

    def newest(self, source: ChannelSource, state: Mapping[str, Any]) -> ListingPage:
        """Return the newest items, as cheaply as the source allows."""
        ...

    def pages(self, source: ChannelSource, start: int, size: int) -> Generator[ListingPage]:
        """Yield the whole list from item `start` on."""
        ...


@dataclass(frozen=True)
class PollLimits:
    """Limits of one listing.

    Attributes:
        slice_s: after this time the history continues in the next listing, so that others run.
        relist_days: the whole history is listed again after this time; 0: never.
    """

    slice_s: float
    relist_days: float


class ChannelPoll:
    """A listing of a channel that a run holds; each page is committed on its own.

    Attributes:
        channel: its present row.
        result: counts so far.
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
        """`on_page` is called with the result so far after each page."""
        self.channel = channel
        self.result = IntakeResult()
        self._run_id = run_id
        self._lister = lister
        self._intake = intake
        self._limits = limits
        self._on_page = on_page

    def run(self) -> bool:
        """List the newest items, then the history until the time limit.

        Returns:
            Whether some of the history is left.

        Raises:
            SourceError, InputError: see the lister. Pages listed before are kept.
            ClaimLost: the run no longer holds the channel.
        """
        began = time.monotonic()
        self.result.add(self._intake.enqueue_new(self.channel.id, self._run_id))
        self._list_newest()
        if self.channel.history_next is None and self._is_history_due():
            self.channel = self._intake.begin_history(self.channel.id, self._run_id)
        if self.channel.history_next is not None:
            self._list_history(began + self._limits.slice_s)
        self.result.add(self._intake.enqueue_new(self.channel.id, self._run_id))
        return self.channel.history_next is not None

    def _list_newest(self) -> None:
        source = self.channel.source
        newest = self._lister.newest(source, self.channel.feed_state)
        unknown = self._intake.unknown_items(self.channel.id, newest)
        may_hide_others = len(unknown) >= min(len(newest.items), MANY_NEW)
        if unknown and may_hide_others and newest.next_start is not None:
            # Before these are stored: later listings would not see that some are missing.
            self.channel = self._intake.begin_history(self.channel.id, self._run_id)
        if source.kind == "site" and source.feed_url is not None and self._needs_facts(unknown):
            # Feeds of video sites state neither durations nor which items are only announced.
            facts = self._lister.newest(replace(source, feed_url=None), {})
            facts = replace(facts, channel=source, state=self.channel.feed_state)
            self._add(_newest_first(facts))
        # A feed without further parts is the whole history.
        is_complete = newest.next_start is None and bool(newest.items)
        self._add(newest if is_complete else _newest_first(newest), is_history=is_complete)
        listed_source = self.channel.source
        if (
            source.feed_url is None
            and listed_source.feed_url is not None
            and listed_source.kind == "site"
        ):
            # First listing of a name: its feed, which has exact times, is known only now.
            self._list_newest()

    def _needs_facts(self, unknown: list[ListedItem]) -> bool:
        return any(asks_for_facts(item) for item in unknown) or self._intake.has_waiting(
            self.channel.id
        )

    def _is_history_due(self) -> bool:
        done_at, days = self.channel.history_done_at, self._limits.relist_days
        if done_at is None:
            return True
        return bool(days) and done_at < datetime.now(UTC) - timedelta(days=days)

    def _list_history(self, deadline: float) -> None:
        start = max(0, (self.channel.history_next or 0) - OVERLAP)
        with closing(self._lister.pages(self.channel.source, start, PAGE_SIZE)) as pages:
            for page in pages:
                self._add(page, is_history=True)
                if self.channel.history_next is None or time.monotonic() > deadline:
                    return

    def _add(self, page: ListingPage, *, is_history: bool = False) -> None:
        page_result, self.channel = self._intake.add_page(
            self.channel.id, self._run_id, page, is_history=is_history
        )
        self.result.add(page_result)
        self._on_page(self.result)


def _newest_first(page: ListingPage) -> ListingPage:
    """Return the page sorted by date, as sources with several lists show one after the other."""
    dated = [(item.published_at, item) for item in page.items if item.published_at]
    if len(dated) < len(page.items):
        return page
    dated.sort(key=lambda each: each[0], reverse=True)
    return replace(page, items=tuple(item for _, item in dated))
