"""One listing of a channel: new items first, then its history, with interruptions."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from resources.channels.dry_run import judged_list
from resources.channels.intake import ChannelIntake
from resources.channels.items import IntakeResult
from resources.channels.lister_policies import PacedLister
from resources.channels.poll import (
    PAGE_SIZE,
    ChannelPoll,
    PollLimits,
)
from resources.channels.rows import ChannelPlan
from resources.channels.runs import ChannelRuns
from resources.channels.store import ChannelStore
from resources.postgres.connection import Postgres
from tests.support.channel_lists import MadeUpLister, item, plan, source
from ytcaption.domain.channels.channel import ChannelSource, ListingPage
from ytcaption.domain.errors import SourceUnavailable
from ytcaption.settings.settings import Settings

LIMITS = PollLimits(slice_s=60.0, relist_days=7.0)
NO_TIME = PollLimits(slice_s=0.0, relist_days=7.0)


class Killed(BaseException):
    """Stands for the end of the process."""


class Subscription:
    """One channel with its list and the parts that list it.

    Attributes:
        list: newest first; tests change it.
    """

    def __init__(self, store: ChannelStore, postgres: Postgres) -> None:
        self.store = store
        self.runs = ChannelRuns(postgres=postgres)
        self.intake = ChannelIntake(postgres=postgres)
        self.lister = MadeUpLister({source().source_id: []})
        self.list = self.lister.lists[source().source_id]
        self.polls = 0

    def subscribe(self, items: int, wanted: ChannelPlan | None = None) -> str:
        """Subscribe to a channel of that many items."""
        self.publish(items)
        self.id = self.store.create(source(), wanted or plan())[0].id
        return self.id

    def publish(self, number: int) -> None:
        """Publish that many more items."""
        first = len(self.list) + 1
        self.lister.publish(source(), *(item(n) for n in range(first, first + number)))

    def poll(
        self, limits: PollLimits = LIMITS, on_page: Callable[[IntakeResult], None] = lambda _: None
    ) -> IntakeResult:
        """Poll as a run does; return the result."""
        self.polls += 1
        run_id = f"run-{self.polls}"
        self.lister.requests.clear()
        channel = self.runs.claim(self.id, run_id)
        poll = ChannelPoll(channel, run_id, self.lister, self.intake, limits, on_page)
        try:
            is_left = poll.run()
        except Killed:
            self.runs.settle_run(run_id, "run_lost", "Lost.")
            raise
        self.runs.complete(self.id, run_id, 0.0 if is_left else None)
        return poll.result

    @property
    def titles(self) -> list[str | None]:
        """Return the titles of enqueued items, newest first."""
        items = self.store.items(self.id, states=["queued"], limit=100_000)
        return [each.source.title for each in items]

    @property
    def source_titles(self) -> list[str | None]:
        """Return the titles of the source's items, newest first."""
        return [each.source.title for each in self.list]


@pytest.fixture
def channel(settings: Settings, postgres: Postgres) -> Subscription:
    """Return a channel that is not subscribed to yet."""
    return Subscription(ChannelStore.from_settings(settings, "admin"), postgres)


def test_first_poll_enqueues_all_items(channel: Subscription):
    """In the order of the list, and the channel gets its title."""
    channel.subscribe(2 * PAGE_SIZE + 7)
    result = channel.poll()
    assert (result.new, result.queued) == (207, 207)
    assert channel.titles == channel.source_titles
    row = channel.store.get(channel.id)
    assert (row.history_next, row.history_total) == (None, 207)
    assert row.source.title == "A channel"


def test_second_poll_requests_only_the_feed(channel: Subscription):
    """It is cheap and writes nothing."""
    channel.subscribe(20)
    channel.poll()
    result = channel.poll()
    assert channel.lister.requests == ["feed"]
    assert result == IntakeResult()


def test_first_poll_of_a_name_requests_its_feed_too(
    channel: Subscription, monkeypatch: pytest.MonkeyPatch
):
    """The feed is known only then, and with it exact times: otherwise the next poll would write
    them again."""
    newest_of_lister = channel.lister.newest

    def newest(requested: ChannelSource, state: Mapping[str, Any]) -> ListingPage:
        page = newest_of_lister(requested, state)
        return replace(page, channel=source()) if requested.feed_url is None else page

    monkeypatch.setattr(channel.lister, "newest", newest)
    channel.publish(20)
    channel.id = channel.store.create(source(feed_url=None), plan())[0].id
    channel.poll()
    assert channel.lister.requests == ["top", "feed", 0]
    assert channel.poll() == IntakeResult()
    assert channel.lister.requests == ["feed"]


def test_new_items_come_with_their_facts(channel: Subscription):
    """The feed states neither durations nor announcements; the site's list does."""
    channel.subscribe(20, plan(filters={"min_duration_s": 30}))
    channel.poll()
    short = item(21, duration_s=10.0)
    premiere = item(22, duration_s=None, live="upcoming")
    channel.lister.publish(source(), short, premiere, item(23))
    result = channel.poll()
    assert (result.new, result.excluded, result.waiting, result.queued) == (3, 1, 1, 1)
    assert channel.lister.requests == ["feed", "top"]
    channel.list[1] = item(22, live="over")
    result = channel.poll()
    assert (result.new, result.queued) == (0, 1)
    assert channel.titles[:2] == ["Part 23", "Part 22"]


def test_item_of_the_feed_alone_is_enqueued(channel: Subscription):
    """Better without its facts than not at all."""
    channel.subscribe(20)
    channel.poll()
    channel.publish(1)
    channel.lister.hidden = {item(21).source.media_id}
    assert channel.poll().queued == 1


def test_nothing_published_between_two_polls_is_lost(channel: Subscription):
    """Even if it is more than the feed and more than a page show."""
    channel.subscribe(20)
    channel.poll()
    channel.publish(PAGE_SIZE + 40)
    channel.poll()
    assert channel.titles == channel.source_titles


@pytest.mark.parametrize("pages", [1, 2, 3, 4])
def test_killed_poll_neither_loses_nor_duplicates_items(channel: Subscription, pages: int):
    """After any page, also if it has found that others are missing."""
    channel.subscribe(20)
    channel.poll()
    channel.publish(2 * PAGE_SIZE)
    seen = 0

    def kill(_: IntakeResult) -> None:
        nonlocal seen
        seen += 1
        if seen == pages:
            raise Killed

    with pytest.raises(Killed):
        channel.poll(on_page=kill)
    channel.poll()
    assert sorted(channel.titles, key=str) == sorted(channel.source_titles, key=str)
    [count] = channel.store.postgres.rows("select count(*) as n from ytcaption.request", {})
    assert count["n"] == len(channel.list)


def test_long_history_is_listed_in_slices(channel: Subscription):
    """Each poll continues where the last one ended, and takes new items first."""
    channel.subscribe(3 * PAGE_SIZE)
    parts = [channel.poll(NO_TIME).listed]
    channel.publish(2)
    channel.poll(NO_TIME)
    assert channel.titles[:2] == [f"Part {3 * PAGE_SIZE + 2}", f"Part {3 * PAGE_SIZE + 1}"]
    while channel.store.get(channel.id).history_next is not None:
        parts.append(channel.poll(NO_TIME).listed)
    assert len(parts) > 2
    assert channel.titles == channel.source_titles


@pytest.mark.long
def test_deleted_items_hide_no_others(channel: Subscription):
    """Later items move up across the edge of a page that is listed already."""
    channel.subscribe(2 * PAGE_SIZE)
    channel.poll(NO_TIME)
    del channel.list[3:6]
    channel.poll()
    assert set(channel.source_titles) <= set(channel.titles)


def test_whole_list_is_read_again_after_days(channel: Subscription, postgres: Postgres):
    """Items that are missing are marked, and their transcriptions stay."""
    channel.subscribe(20)
    channel.poll()
    del channel.list[18]
    assert channel.poll().missing == 0
    with postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.channel set history_done_at = now() - %s", (timedelta(days=8),)
        )
    result = channel.poll()
    assert (result.missing, result.new, result.queued) == (1, 0, 0)
    [missing] = channel.store.items(channel.id, states=["gone"])
    assert (missing.source.title, missing.reason) == ("Part 2", "missing")
    assert missing.transcription_id is not None


def test_newest_counts_over_several_lists(channel: Subscription):
    """A video channel has three, one after the other: the dates decide."""
    channel.subscribe(0, plan(filters={"newest": 3}))
    channel.list += [item(n) for n in (9, 6, 5)] + [item(n) for n in (8, 7, 4)]
    channel.poll()
    assert channel.titles == ["Part 9", "Part 8", "Part 7"]


def test_failed_history_continues_where_it_failed(channel: Subscription):
    """Pages listed before are kept."""
    channel.subscribe(2 * PAGE_SIZE)
    channel.poll(NO_TIME)
    channel.lister.errors = [SourceUnavailable("No answer.")]
    with pytest.raises(SourceUnavailable):
        channel.poll()
    channel.runs.fail(channel.id, "run-2", "source_unavailable", "No answer.", True)
    assert channel.store.get(channel.id).history_next == PAGE_SIZE
    channel.poll()
    assert channel.titles == channel.source_titles


def test_dry_run_writes_nothing(channel: Subscription):
    """It returns the verdict on each item."""
    channel.publish(30)
    wanted = plan(filters={"newest": 3, "title_exclude": "part 29$"})
    preview = judged_list(channel.lister, source(), wanted, max_items=6)
    assert [(each.item.source.title, each.reason) for each in preview.items] == [
        ("Part 30", None),
        ("Part 29", "title_excluded"),
        ("Part 28", None),
        ("Part 27", None),
        ("Part 26", "not_newest"),
        ("Part 25", "not_newest"),
    ]
    assert (len(preview.included), preview.is_complete, preview.total) == (3, False, 30)
    assert judged_list(channel.lister, source(), wanted, max_items=30).is_complete
    assert channel.store.channels() == []
    assert channel.store.postgres.rows("select from ytcaption.channel_item", {}) == []


def test_requests_for_lists_observe_the_pace_of_the_site(
    channel: Subscription, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
):
    """The feed and each page count; when a history continues, so do the pages before its first."""
    monkeypatch.setenv("YTCAPTION_LISTS_PER_MINUTE", "6")
    channel.subscribe(2 * PAGE_SIZE)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        with postgres.transaction() as connection:
            connection.execute(
                "update ytcaption.pace set lists_next_at = lists_next_at "
                "- make_interval(secs => %s)",
                (seconds,),
            )

    paced = PacedLister(channel.lister, postgres, sleep)
    paced.newest(source(), {})
    assert waited == []
    assert len(list(paced.pages(source(), 0, PAGE_SIZE))) == 2
    assert waited == pytest.approx([10, 10], abs=2)
    assert len(list(paced.pages(source(), PAGE_SIZE, PAGE_SIZE))) == 1
    paced.newest(source(), {})
    assert waited == pytest.approx([10, 10, 10, 20], abs=3)
