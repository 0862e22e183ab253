"""Pages of a channel's list become items and requests."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from resources.auth.api_keys import ApiKeys
from resources.channels.intake import ChannelIntake
from resources.channels.requests import AT_ONCE
from resources.channels.rows import ChannelPlan, ChannelRow
from resources.channels.runs import ChannelRuns
from resources.channels.store import ChannelStore
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.rows import Callback
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.support.channel_lists import START, item, page, plan, source
from ytcaption.domain.caller import Limits
from ytcaption.domain.channels.channel import ListingPage
from ytcaption.domain.errors import ClaimLost
from ytcaption.settings import Settings

RUN = "run-1"


@pytest.fixture
def store(settings: Settings) -> ChannelStore:
    """With all rights."""
    return ChannelStore.from_settings(settings, "admin")


@pytest.fixture
def runs(postgres: Postgres) -> ChannelRuns:
    """With a run's rights."""
    return ChannelRuns(postgres=postgres)


@pytest.fixture
def intake(postgres: Postgres) -> ChannelIntake:
    """With a run's rights."""
    return ChannelIntake(postgres=postgres)


@pytest.fixture
def claimed(store: ChannelStore, runs: ChannelRuns) -> Callable[..., ChannelRow]:
    """A channel that a run holds."""

    def make(name: str = "one", wanted: ChannelPlan | None = None, **owner: str) -> ChannelRow:
        id = store.create(source(name), wanted or plan(), **owner)[0].id
        return runs.claim(id, RUN)

    return make


def _states(store: ChannelStore, id: str) -> dict[str, tuple[str, str | None]]:
    items = store.items(id, limit=200)
    return {each.source.title or "": (each.state, each.reason) for each in items}


def _writes(postgres: Postgres) -> int:
    """Rows of items and of what they ask for, with the transactions that wrote them."""
    rows = postgres.rows(
        """
        select xmin::text from ytcaption.channel_item union all
        select xmin::text from ytcaption.media union all
        select xmin::text from ytcaption.transcription union all
        select xmin::text from ytcaption.request
        """,
        {},
    )
    return hash(tuple(sorted(row["xmin"] for row in rows)))


def test_what_is_wanted_is_asked_for_at_bulk_priority(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, request_store: RequestStore
):
    """By the channel's owner, with its options and callback, and marked as the channel's."""
    callback = Callback("https://example.org/done", "result")
    channel = claimed(wanted=plan(callback=callback), owner="key:a")
    taken, _ = intake.take_page(channel.id, RUN, page([2, 1]))
    assert (taken.new, taken.queued, taken.shared) == (2, 2, 0)
    assert taken.shown == [("youtube-v00002", "new"), ("youtube-v00001", "new")]
    rows = intake.postgres.rows(
        "select r.*, t.options, t.priority as of_row from ytcaption.request as r "
        "join ytcaption.transcription as t on t.id = r.transcription_id",
        {},
    )
    assert {row["owner"] for row in rows} == {"key:a"}
    assert {row["priority"] for row in rows} == {row["of_row"] for row in rows} == {"bulk"}
    assert {row["callback_url"] for row in rows} == {callback.url}
    assert [row["metadata"] for row in rows] == [{"channel": channel.id}] * 2
    assert rows[0]["options"] == plan().options.to_dict()


def test_a_second_listing_writes_no_item(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, postgres: Postgres
):
    """Nor a request: what shows nothing new is left alone."""
    id = claimed().id
    intake.take_page(id, RUN, page(range(30, 0, -1)), is_history=True)
    before = _writes(postgres)
    taken, _ = intake.take_page(id, RUN, page(range(30, 0, -1)), is_history=True)
    assert (taken.listed, taken.new, taken.changed, taken.queued) == (30, 0, 0, 0)
    assert _writes(postgres) == before


def test_an_item_of_three_lists_is_one_transcription(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, request_store: RequestStore
):
    """Nor is one that somebody has asked for by hand, under another form of its address."""
    by_hand = replace(item(1).source, url="https://youtu.be/v00001")
    request_store.submit(by_hand, plan().options)
    shared = []
    for name in ("one", "two", "three"):
        taken, _ = intake.take_page(claimed(name).id, RUN, page([1]))
        shared.append((taken.queued, taken.shared))
    assert shared == [(1, 1)] * 3
    [row] = intake.postgres.rows("select priority from ytcaption.transcription", {})
    assert row["priority"] == "interactive"


def test_a_list_that_shows_an_item_twice(claimed: Callable[..., ChannelRow], intake: ChannelIntake):
    """It counts once."""
    taken, _ = intake.take_page(claimed().id, RUN, page([1, 1, 1]))
    assert (taken.listed, taken.new, taken.queued) == (1, 1, 1)


def test_the_rest_is_for_the_next_look(
    claimed: Callable[..., ChannelRow],
    intake: ChannelIntake,
    store: ChannelStore,
    runs: ChannelRuns,
):
    """A maximum counts from one moment of the schedule to the next, not by runs that go on; the
    newest come first."""
    channel = claimed(wanted=plan(max_new=3))
    intake.take_page(channel.id, RUN, page(range(8, 0, -1)))
    assert intake.take_new(channel.id, RUN).queued == 0
    runs.listed(channel.id, RUN, continue_in_s=0.0)
    runs.claim(channel.id, RUN)
    assert intake.take_new(channel.id, RUN).queued == 0
    runs.listed(channel.id, RUN)
    runs.claim(channel.id, RUN)
    assert intake.take_new(channel.id, RUN).queued == 3
    queued = [each.source.title for each in store.items(channel.id, states=["queued"])]
    assert queued == [f"Part {number}" for number in range(8, 2, -1)]


def test_more_than_one_transaction_takes(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore
):
    """A feed of hundreds is taken in parts, all of it."""
    channel, many = claimed(), 2 * AT_ONCE + 50
    taken, _ = intake.take_page(channel.id, RUN, page(range(many, 0, -1)))
    assert taken.queued == AT_ONCE
    assert intake.take_new(channel.id, RUN).queued == many - AT_ONCE
    assert store.counts([channel.id])[channel.id].states == {"queued": many}


def test_a_key_s_quota_holds_for_its_channels(
    claimed: Callable[..., ChannelRow],
    intake: ChannelIntake,
    request_store: RequestStore,
    store: ChannelStore,
    settings: Settings,
):
    """What goes beyond it is for a later look, the newest first."""
    key = ApiKeys.from_settings(settings).create("a", ["write"], limits=Limits(None, 3)).row
    channel = claimed(owner=key.caller.owner)
    taken, _ = intake.take_page(channel.id, RUN, page(range(5, 0, -1)))
    assert taken.queued == 3
    assert _states(store, channel.id)["Part 3"] == ("queued", None)
    assert _states(store, channel.id)["Part 2"] == ("new", None)
    assert intake.take_new(channel.id, RUN).queued == 0
    request_store.cancel(request_store.due(1)[0].id)
    assert intake.take_new(channel.id, RUN).queued == 1
    assert store.counts([channel.id])[channel.id].states == {"queued": 4, "new": 1}


def test_only_so_many_of_the_newest(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore
):
    """Of the history; what is published later is newer, and is taken. The history ends there."""
    channel = claimed(wanted=plan(filters={"newest": 3, "title_exclude": "part 9"}))
    first = page(range(10, 5, -1), is_last=False)
    _, now = intake.take_page(channel.id, RUN, first, is_history=True)
    assert now.history_next is None
    assert now.history_done_at is not None
    intake.take_page(channel.id, RUN, page([11]))
    # Behind those that are newer, though listed as late as that.
    intake.begin_history(channel.id, RUN)
    again = page([12, 11, 10, 9, 8, 5], is_last=False)
    intake.take_page(channel.id, RUN, again, is_history=True)
    assert _states(store, channel.id) == {
        "Part 12": ("queued", None),
        "Part 5": ("filtered", "not_newest"),
        "Part 11": ("queued", None),
        "Part 10": ("queued", None),
        "Part 9": ("filtered", "title_excluded"),
        "Part 8": ("queued", None),
        "Part 7": ("queued", None),
        "Part 6": ("filtered", "not_newest"),
    }


def test_what_is_not_over_waits(
    claimed: Callable[..., ChannelRow],
    intake: ChannelIntake,
    store: ChannelStore,
):
    """Until the list shows that it is."""
    id = claimed().id
    premiere, live = item(2, live="upcoming", duration_s=None), item(1, live="live")
    intake.take_page(id, RUN, ListingPage(source(), (premiere, live)))
    assert {each[0] for each in _states(store, id).values()} == {"waiting"}
    assert intake.has_waiting(id)
    intake.take_page(id, RUN, ListingPage(source(), (item(2), item(1, live="over"))))
    assert {each[0] for each in _states(store, id).values()} == {"queued"}
    assert not intake.has_waiting(id)


def test_what_is_announced_for_a_date_comes_by_itself(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, postgres: Postgres
):
    """Though its feed says nothing new."""
    id = claimed().id
    later = item(1, published_at=datetime.now(UTC) + timedelta(hours=1))
    taken, _ = intake.take_page(id, RUN, ListingPage(source(), (later,)))
    assert (taken.waiting, taken.queued) == (1, 0)
    assert intake.take_new(id, RUN).queued == 0
    with postgres.transaction() as connection:
        connection.execute("update ytcaption.channel_item set published_at = now()")
    assert intake.take_new(id, RUN).queued == 1


def test_a_premiere_that_failed_as_one_waits(
    claimed: Callable[..., ChannelRow],
    intake: ChannelIntake,
    store: ChannelStore,
    run_store: RunStore,
    request_store: RequestStore,
):
    """Its feed had not said so; once it has a length it is asked for again."""
    id = claimed().id
    intake.take_page(id, RUN, ListingPage(source(), (item(1, duration_s=None),)))
    [found] = store.items(id)
    assert found.transcription_id is not None
    run_store.claim(found.transcription_id, "r")
    run_store.fail(found.transcription_id, "r", "live_not_over", "Not yet.", False, 1)
    assert intake.has_waiting(id)
    announced = item(1, duration_s=None, live="upcoming")
    intake.take_page(id, RUN, ListingPage(source(), (announced,)))
    assert _states(store, id) == {"Part 1": ("waiting", "upcoming")}
    taken, _ = intake.take_page(id, RUN, page([1]))
    assert taken.queued == 1
    assert get_transcription(request_store.postgres, found.transcription_id).status == "queued"


@pytest.mark.parametrize("reason", ["private", "deleted"])
def test_what_becomes_private_is_marked_and_comes_back(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore, reason: str
):
    """Its transcription stays, and is not asked for again."""
    id = claimed().id
    intake.take_page(id, RUN, page([1]))
    [before] = store.items(id)
    taken, _ = intake.take_page(
        id, RUN, ListingPage(source(), (item(1, title=None, unavailable=reason),))
    )
    [marked] = store.items(id)
    assert taken.gone == 1
    assert (marked.state, marked.reason) == ("gone", reason)
    assert marked.source.title == "Part 1"
    assert marked.transcription_id == before.transcription_id
    taken, _ = intake.take_page(id, RUN, page([1]))
    assert taken.queued == 0
    assert _states(store, id) == {"Part 1": ("queued", None)}


def test_what_a_whole_listing_leaves_out_is_gone(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore
):
    """Only at its end, over all its pages; what came meanwhile is not."""
    id = claimed().id
    intake.take_page(id, RUN, page(range(6, 0, -1)), is_history=True)
    intake.begin_history(id, RUN)
    intake.take_page(id, RUN, page([6, 4], is_last=False), is_history=True)
    intake.take_page(id, RUN, page([7]))
    assert "gone" not in {each[0] for each in _states(store, id).values()}
    taken, now = intake.take_page(id, RUN, page([3, 1], start=2), is_history=True)
    assert taken.gone == 2
    gone = [each.source.title for each in store.items(id, states=["gone"])]
    assert gone == ["Part 5", "Part 2"]
    assert (now.history_next, now.history_total) == (None, 4)


def test_an_empty_list_takes_nothing_away(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore
):
    """As a rule the source has failed."""
    id = claimed().id
    intake.take_page(id, RUN, page([2, 1]), is_history=True)
    intake.begin_history(id, RUN)
    taken, _ = intake.take_page(id, RUN, page([]), is_history=True)
    assert taken.gone == 0


def test_a_feed_that_shows_its_latest_only(
    store: ChannelStore, runs: ChannelRuns, intake: ChannelIntake
):
    """What has slid off its end is not gone; what is missing in between is."""
    feed = source(kind="feed", extractor=None)
    id = store.create(feed, plan())[0].id
    runs.claim(id, RUN)
    intake.take_page(id, RUN, page(range(5, 0, -1), channel=feed), is_history=True)
    intake.begin_history(id, RUN)
    taken, _ = intake.take_page(id, RUN, page([6, 5, 3], channel=feed), is_history=True)
    assert taken.gone == 1
    assert _states(store, id)["Part 4"] == ("gone", "missing")


@pytest.mark.parametrize(
    ("known", "now", "said"),
    [
        ({"duration_s": 61.0}, {"duration_s": 75.0}, "61.0 s, now 75.0 s"),
        ({"duration_s": 61.0}, {"duration_s": 62.0}, None),
        ({"duration_s": None}, {"duration_s": 75.0}, None),
        (
            {"duration_s": None, "audio_bytes": 5},
            {"duration_s": None, "audio_bytes": 9},
            "5 bytes, now 9",
        ),
        ({"audio_bytes": 5}, {}, None),
    ],
)
def test_other_audio_under_the_same_id_is_noticed(
    claimed: Callable[..., ChannelRow],
    intake: ChannelIntake,
    store: ChannelStore,
    known: dict[str, Any],
    now: dict[str, Any],
    said: str | None,
):
    """Once it is transcribed; what a list rounds or leaves out is no change."""
    id = claimed().id
    intake.take_page(id, RUN, ListingPage(source(), (item(1, **known),)))
    with intake.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.transcription set status = 'completed', completed_at = now(), "
            "document_key = 'd'"
        )
    intake.take_page(id, RUN, ListingPage(source(), (item(1, **now),)))
    [found] = store.items(id)
    assert found.state == "queued"
    assert said is None if found.change is None else said is not None and said in found.change
    assert store.counts([id])[id].changed == (said is not None)


def test_a_feed_takes_no_fact_away(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore
):
    """It says less than the pages do."""
    id = claimed().id
    intake.take_page(id, RUN, ListingPage(source(), (item(1, is_short=True),)))
    intake.take_page(id, RUN, ListingPage(source(), (item(1, duration_s=None),)))
    [found] = store.items(id)
    assert (found.duration_s, found.is_short) == (60.0, True)


def test_times_that_are_about_right_are_not_written_anew(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore
):
    """Pages say `2 years ago`; the feed says it to the second, once and for all."""
    id, at = claimed().id, START + timedelta(days=3)
    shown = [
        (item(1, published_at=at), {}, at),
        (item(1, published_at=at + timedelta(minutes=5)), {}, at),
        (item(1, published_at=at + timedelta(seconds=7)), {"etag": "x"}, at + timedelta(seconds=7)),
        (item(1, published_at=at + timedelta(minutes=9)), {}, at + timedelta(seconds=7)),
    ]
    for listed, state, expected in shown:
        intake.take_page(id, RUN, ListingPage(source(), (listed,), state=state))
        assert store.items(id)[0].published_at == expected


def test_the_channel_takes_its_sources_title(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake
):
    """The id stays, whatever the source calls itself."""
    channel = claimed()
    said = source("other", title="A channel", url="https://www.youtube.com/@one")
    _, now = intake.take_page(channel.id, RUN, page([1], channel=said))
    assert (now.id, now.source.source_id) == (channel.id, channel.source.source_id)
    assert (now.source.title, now.source.url) == ("A channel", "https://www.youtube.com/@one")


def test_a_run_that_has_lost_its_channel_writes_nothing(
    claimed: Callable[..., ChannelRow],
    intake: ChannelIntake,
    store: ChannelStore,
    runs: ChannelRuns,
):
    """Another may have taken over (rule 34)."""
    id = claimed().id
    runs.settle_run(RUN, "run_lost", "Lost.")
    runs.claim(id, "run-2")
    with pytest.raises(ClaimLost):
        intake.take_page(id, RUN, page([1]))
    with pytest.raises(ClaimLost):
        intake.take_new(id, RUN)
    assert store.items(id) == []
