"""A look at a channel: new items first, then its history, whatever comes in between."""

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
from ytcaption.settings import Settings

LIMITS = PollLimits(turn_s=60.0, relist_days=7.0)
NO_TIME = PollLimits(turn_s=0.0, relist_days=7.0)


class Killed(BaseException):
    """The process is gone."""


class Subscription:
    """One channel, its list and what looks at it.

    Attributes:
        list: newest first; the tests change it.
    """

    def __init__(self, store: ChannelStore, postgres: Postgres) -> None:
        self.store = store
        self.runs = ChannelRuns(postgres=postgres)
        self.intake = ChannelIntake(postgres=postgres)
        self.lister = MadeUpLister({source().source_id: []})
        self.list = self.lister.lists[source().source_id]
        self.looks = 0

    def subscribe(self, items: int, wanted: ChannelPlan | None = None) -> str:
        """To a channel of so many."""
        self.publish(items)
        self.id = self.store.create(source(), wanted or plan())[0].id
        return self.id

    def publish(self, number: int) -> None:
        """So many more."""
        first = len(self.list) + 1
        self.lister.publish(source(), *(item(n) for n in range(first, first + number)))

    def look(
        self, limits: PollLimits = LIMITS, on_page: Callable[[IntakeResult], None] = lambda _: None
    ) -> IntakeResult:
        """As a run does; what it came to."""
        self.looks += 1
        run_id = f"run-{self.looks}"
        self.lister.asked.clear()
        channel = self.runs.claim(self.id, run_id)
        look = ChannelPoll(channel, run_id, self.lister, self.intake, limits, on_page)
        try:
            is_left = look.make()
        except Killed:
            self.runs.settle_run(run_id, "run_lost", "Lost.")
            raise
        self.runs.listed(self.id, run_id, 0.0 if is_left else None)
        return look.taken

    @property
    def titles(self) -> list[str | None]:
        """Of what is asked for, newest first."""
        found = self.store.items(self.id, states=["queued"], limit=100_000)
        return [each.source.title for each in found]

    @property
    def whole(self) -> list[str | None]:
        """Of the source, newest first."""
        return [each.source.title for each in self.list]


@pytest.fixture
def channel(settings: Settings, postgres: Postgres) -> Subscription:
    """Not subscribed to yet."""
    return Subscription(ChannelStore.from_settings(settings, "admin"), postgres)


def test_a_first_look_takes_all(channel: Subscription):
    """In the order of the list, and the channel's title with it."""
    channel.subscribe(2 * PAGE_SIZE + 7)
    taken = channel.look()
    assert (taken.new, taken.queued) == (207, 207)
    assert channel.titles == channel.whole
    row = channel.store.get(channel.id)
    assert (row.history_next, row.history_total) == (None, 207)
    assert row.source.title == "A channel"


def test_a_second_look_asks_the_feed_alone(channel: Subscription):
    """That is cheap, and writes nothing."""
    channel.subscribe(20)
    channel.look()
    taken = channel.look()
    assert channel.lister.asked == ["feed"]
    assert taken == IntakeResult()


def test_the_first_look_at_a_name_asks_its_feed_too(
    channel: Subscription, monkeypatch: pytest.MonkeyPatch
):
    """It is known only then, and times by the second with it: else the next look would write them
    anew."""
    made_up = channel.lister.newest

    def newest(asked: ChannelSource, state: Mapping[str, Any]) -> ListingPage:
        found = made_up(asked, state)
        return replace(found, channel=source()) if asked.feed_url is None else found

    monkeypatch.setattr(channel.lister, "newest", newest)
    channel.publish(20)
    channel.id = channel.store.create(source(feed_url=None), plan())[0].id
    channel.look()
    assert channel.lister.asked == ["top", "feed", 0]
    assert channel.look() == IntakeResult()
    assert channel.lister.asked == ["feed"]


def test_new_ones_come_with_their_facts(channel: Subscription):
    """The feed says neither durations nor what is only announced: the site's list does."""
    channel.subscribe(20, plan(filters={"min_duration_s": 30}))
    channel.look()
    short = item(21, duration_s=10.0)
    premiere = item(22, duration_s=None, live="upcoming")
    channel.lister.publish(source(), short, premiere, item(23))
    taken = channel.look()
    assert (taken.new, taken.left_out, taken.waiting, taken.queued) == (3, 1, 1, 1)
    assert channel.lister.asked == ["feed", "top"]
    channel.list[1] = item(22, live="over")
    taken = channel.look()
    assert (taken.new, taken.queued) == (0, 1)
    assert channel.titles[:2] == ["Part 23", "Part 22"]


def test_what_only_the_feed_shows_is_taken_too(channel: Subscription):
    """Better without its facts than not at all."""
    channel.subscribe(20)
    channel.look()
    channel.publish(1)
    channel.lister.hidden = {item(21).source.media_id}
    assert channel.look().queued == 1


def test_nothing_published_between_two_looks_is_lost(channel: Subscription):
    """More than the feed shows, and more than a page does."""
    channel.subscribe(20)
    channel.look()
    channel.publish(PAGE_SIZE + 40)
    channel.look()
    assert channel.titles == channel.whole


@pytest.mark.parametrize("pages", [1, 2, 3, 4])
def test_a_look_that_is_killed_loses_and_doubles_nothing(channel: Subscription, pages: int):
    """After any of its pages, also where it has found that others are missing."""
    channel.subscribe(20)
    channel.look()
    channel.publish(2 * PAGE_SIZE)
    seen = 0

    def kill(_: IntakeResult) -> None:
        nonlocal seen
        seen += 1
        if seen == pages:
            raise Killed

    with pytest.raises(Killed):
        channel.look(on_page=kill)
    channel.look()
    assert sorted(channel.titles, key=str) == sorted(channel.whole, key=str)
    [count] = channel.store.postgres.rows("select count(*) as n from ytcaption.request", {})
    assert count["n"] == len(channel.list)


def test_a_long_history_takes_turns(channel: Subscription):
    """Each look goes on where the last one ended, and takes what is new first."""
    channel.subscribe(3 * PAGE_SIZE)
    parts = [channel.look(NO_TIME).listed]
    channel.publish(2)
    channel.look(NO_TIME)
    assert channel.titles[:2] == [f"Part {3 * PAGE_SIZE + 2}", f"Part {3 * PAGE_SIZE + 1}"]
    while channel.store.get(channel.id).history_next is not None:
        parts.append(channel.look(NO_TIME).listed)
    assert len(parts) > 2
    assert channel.titles == channel.whole


def test_what_is_deleted_meanwhile_moves_nothing_out_of_sight(channel: Subscription):
    """Later items move up over the edge of a page that is listed already."""
    channel.subscribe(2 * PAGE_SIZE)
    channel.look(NO_TIME)
    del channel.list[3:6]
    channel.look()
    assert set(channel.whole) <= set(channel.titles)


def test_the_whole_list_is_read_again_after_days(channel: Subscription, postgres: Postgres):
    """What is no longer there is marked, and its transcription stays."""
    channel.subscribe(20)
    channel.look()
    del channel.list[18]
    assert channel.look().gone == 0
    with postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.channel set history_done_at = now() - %s", (timedelta(days=8),)
        )
    taken = channel.look()
    assert (taken.gone, taken.new, taken.queued) == (1, 0, 0)
    [gone] = channel.store.items(channel.id, states=["gone"])
    assert (gone.source.title, gone.reason) == ("Part 2", "missing")
    assert gone.transcription_id is not None


def test_only_the_newest_of_several_lists(channel: Subscription):
    """A video channel has three, one after the other: the dates decide."""
    channel.subscribe(0, plan(filters={"newest": 3}))
    channel.list += [item(n) for n in (9, 6, 5)] + [item(n) for n in (8, 7, 4)]
    channel.look()
    assert channel.titles == ["Part 9", "Part 8", "Part 7"]


def test_what_fails_in_the_middle_goes_on_there(channel: Subscription):
    """What was listed by then is kept."""
    channel.subscribe(2 * PAGE_SIZE)
    channel.look(NO_TIME)
    channel.lister.errors = [SourceUnavailable("No answer.")]
    with pytest.raises(SourceUnavailable):
        channel.look()
    channel.runs.failed(channel.id, "run-2", "source_unavailable", "No answer.", True)
    assert channel.store.get(channel.id).history_next == PAGE_SIZE
    channel.look()
    assert channel.titles == channel.whole


def test_a_dry_run_writes_nothing(channel: Subscription):
    """And says what would become of each."""
    channel.publish(30)
    wanted = plan(filters={"newest": 3, "title_exclude": "part 29$"})
    found = judged_list(channel.lister, source(), wanted, most=6)
    assert [(each.item.source.title, each.reason) for each in found.items] == [
        ("Part 30", None),
        ("Part 29", "title_excluded"),
        ("Part 28", None),
        ("Part 27", None),
        ("Part 26", "not_newest"),
        ("Part 25", "not_newest"),
    ]
    assert (len(found.taken), found.is_whole, found.total) == (3, False, 30)
    assert judged_list(channel.lister, source(), wanted, most=30).is_whole
    assert channel.store.channels() == []
    assert channel.store.postgres.rows("select from ytcaption.channel_item", {}) == []


def test_requests_for_lists_keep_to_the_sites_pace(
    channel: Subscription, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
):
    """The feed, and each page; where a history goes on, those before its first page count, too."""
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
