"""Pages of a channel's list become items and requests."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from resources.auth.api_keys import ApiKeys
from resources.channels.intake import BATCH_SIZE, ChannelIntake
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
from ytcaption.settings.settings import Settings

RUN = "run-1"


@pytest.fixture
def store(settings: Settings) -> ChannelStore:
    """Return a store with all rights."""
    return ChannelStore.from_settings(settings, "admin")


@pytest.fixture
def runs(postgres: Postgres) -> ChannelRuns:
    """Return runs with a run's rights."""
    return ChannelRuns(postgres=postgres)


@pytest.fixture
def intake(postgres: Postgres) -> ChannelIntake:
    """Return an intake with a run's rights."""
    return ChannelIntake(postgres=postgres)


@pytest.fixture
def claimed(store: ChannelStore, runs: ChannelRuns) -> Callable[..., ChannelRow]:
    """Return a function that creates a channel held by a run."""

    def make(name: str = "one", wanted: ChannelPlan | None = None, **owner: str) -> ChannelRow:
        id = store.create(source(name), wanted or plan(), **owner)[0].id
        return runs.claim(id, RUN)

    return make


def _states(store: ChannelStore, id: str) -> dict[str, tuple[str, str | None]]:
    items = store.items(id, limit=200)
    return {each.source.title or "": (each.state, each.reason) for each in items}


def _writes(postgres: Postgres) -> int:
    """Return a hash of the transactions that wrote items, media, transcriptions and requests."""
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


def test_wanted_items_are_requested_at_bulk_priority(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, request_store: RequestStore
):
    """Requests have the channel's owner, options and callback, and name the channel."""
    callback = Callback("https://example.org/done", "result")
    channel = claimed(wanted=plan(callback=callback), owner="key:a")
    result, _ = intake.add_page(channel.id, RUN, page([2, 1]))
    assert (result.new, result.queued, result.shared) == (2, 2, 0)
    assert result.shown == [("youtube-v00002", "new"), ("youtube-v00001", "new")]
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
    """Nor a request: unchanged items are not written."""
    id = claimed().id
    intake.add_page(id, RUN, page(range(30, 0, -1)), is_history=True)
    before = _writes(postgres)
    result, _ = intake.add_page(id, RUN, page(range(30, 0, -1)), is_history=True)
    assert (result.listed, result.new, result.changed, result.queued) == (30, 0, 0, 0)
    assert _writes(postgres) == before


def test_item_of_three_lists_is_one_transcription(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, request_store: RequestStore
):
    """An item requested directly, under another form of its URL, is shared too."""
    by_hand = replace(item(1).source, url="https://youtu.be/v00001")
    request_store.submit(by_hand, plan().options)
    shared = []
    for name in ("one", "two", "three"):
        result, _ = intake.add_page(claimed(name).id, RUN, page([1]))
        shared.append((result.queued, result.shared))
    assert shared == [(1, 1)] * 3
    [row] = intake.postgres.rows("select priority from ytcaption.transcription", {})
    assert row["priority"] == "interactive"


def test_item_listed_twice_counts_once(claimed: Callable[..., ChannelRow], intake: ChannelIntake):
    """A list may show an item twice."""
    result, _ = intake.add_page(claimed().id, RUN, page([1, 1, 1]))
    assert (result.listed, result.new, result.queued) == (1, 1, 1)


def test_items_over_the_maximum_wait_for_the_next_listing(
    claimed: Callable[..., ChannelRow],
    intake: ChannelIntake,
    store: ChannelStore,
    runs: ChannelRuns,
):
    """The maximum counts per scheduled listing, over the runs that continue it; the newest come
    first."""
    channel = claimed(wanted=plan(max_items=3))
    intake.add_page(channel.id, RUN, page(range(8, 0, -1)))
    assert intake.enqueue_new(channel.id, RUN).queued == 0
    runs.complete(channel.id, RUN, continue_in_s=0.0)
    runs.claim(channel.id, RUN)
    assert intake.enqueue_new(channel.id, RUN).queued == 0
    runs.complete(channel.id, RUN)
    runs.claim(channel.id, RUN)
    assert intake.enqueue_new(channel.id, RUN).queued == 3
    queued = [each.source.title for each in store.items(channel.id, states=["queued"])]
    assert queued == [f"Part {number}" for number in range(8, 2, -1)]


def test_many_items_are_enqueued_in_batches(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore
):
    """A feed of hundreds is enqueued completely, in several transactions."""
    channel, count = claimed(), 2 * BATCH_SIZE + 50
    result, _ = intake.add_page(channel.id, RUN, page(range(count, 0, -1)))
    assert result.queued == BATCH_SIZE
    assert intake.enqueue_new(channel.id, RUN).queued == count - BATCH_SIZE
    assert store.counts([channel.id])[channel.id].states == {"queued": count}


def test_quota_of_a_key_applies_to_its_channels(
    claimed: Callable[..., ChannelRow],
    intake: ChannelIntake,
    request_store: RequestStore,
    store: ChannelStore,
    settings: Settings,
):
    """Items beyond the quota wait for a later listing, the newest first."""
    key = ApiKeys.from_settings(settings).create("a", ["write"], limits=Limits(None, 3)).row
    channel = claimed(owner=key.caller.owner)
    result, _ = intake.add_page(channel.id, RUN, page(range(5, 0, -1)))
    assert result.queued == 3
    assert _states(store, channel.id)["Part 3"] == ("queued", None)
    assert _states(store, channel.id)["Part 2"] == ("new", None)
    assert intake.enqueue_new(channel.id, RUN).queued == 0
    request_store.cancel(request_store.due(1)[0].id)
    assert intake.enqueue_new(channel.id, RUN).queued == 1
    assert store.counts([channel.id])[channel.id].states == {"queued": 4, "new": 1}


def test_newest_limits_the_history(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore
):
    """The history ends at the maximum; items published later are newer and are enqueued."""
    channel = claimed(wanted=plan(filters={"newest": 3, "title_exclude": "part 9"}))
    first = page(range(10, 5, -1), is_last=False)
    _, now = intake.add_page(channel.id, RUN, first, is_history=True)
    assert now.history_next is None
    assert now.history_done_at is not None
    intake.add_page(channel.id, RUN, page([11]))
    # Ranked after the newer ones, although listed later.
    intake.begin_history(channel.id, RUN)
    again = page([12, 11, 10, 9, 8, 5], is_last=False)
    intake.add_page(channel.id, RUN, again, is_history=True)
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


def test_announced_and_live_items_wait(
    claimed: Callable[..., ChannelRow],
    intake: ChannelIntake,
    store: ChannelStore,
):
    """They wait until the list shows that they are over."""
    id = claimed().id
    premiere, live = item(2, live="upcoming", duration_s=None), item(1, live="live")
    intake.add_page(id, RUN, ListingPage(source(), (premiere, live)))
    assert {each[0] for each in _states(store, id).values()} == {"waiting"}
    assert intake.has_waiting(id)
    intake.add_page(id, RUN, ListingPage(source(), (item(2), item(1, live="over"))))
    assert {each[0] for each in _states(store, id).values()} == {"queued"}
    assert not intake.has_waiting(id)


def test_item_announced_for_a_date_is_enqueued_then(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, postgres: Postgres
):
    """Although its feed shows nothing new."""
    id = claimed().id
    later = item(1, published_at=datetime.now(UTC) + timedelta(hours=1))
    result, _ = intake.add_page(id, RUN, ListingPage(source(), (later,)))
    assert (result.waiting, result.queued) == (1, 0)
    assert intake.enqueue_new(id, RUN).queued == 0
    with postgres.transaction() as connection:
        connection.execute("update ytcaption.channel_item set published_at = now()")
    assert intake.enqueue_new(id, RUN).queued == 1


def test_failed_premiere_waits(
    claimed: Callable[..., ChannelRow],
    intake: ChannelIntake,
    store: ChannelStore,
    run_store: RunStore,
    request_store: RequestStore,
):
    """Its feed had not announced it; once it has a length it is requested again."""
    id = claimed().id
    intake.add_page(id, RUN, ListingPage(source(), (item(1, duration_s=None),)))
    [found] = store.items(id)
    assert found.transcription_id is not None
    run_store.claim(found.transcription_id, "r")
    run_store.fail(found.transcription_id, "r", "live_not_over", "Not yet.", False, 1)
    assert intake.has_waiting(id)
    announced = item(1, duration_s=None, live="upcoming")
    intake.add_page(id, RUN, ListingPage(source(), (announced,)))
    assert _states(store, id) == {"Part 1": ("waiting", "upcoming")}
    taken, _ = intake.add_page(id, RUN, page([1]))
    assert taken.queued == 1
    assert get_transcription(request_store.postgres, found.transcription_id).status == "queued"


@pytest.mark.parametrize("reason", ["private", "deleted"])
def test_unavailable_item_is_marked_and_restored(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore, reason: str
):
    """Its transcription stays and is not requested again."""
    id = claimed().id
    intake.add_page(id, RUN, page([1]))
    [before] = store.items(id)
    result, _ = intake.add_page(
        id, RUN, ListingPage(source(), (item(1, title=None, unavailable=reason),))
    )
    [marked] = store.items(id)
    assert result.missing == 1
    assert (marked.state, marked.reason) == ("gone", reason)
    assert marked.source.title == "Part 1"
    assert marked.transcription_id == before.transcription_id
    result, _ = intake.add_page(id, RUN, page([1]))
    assert result.queued == 0
    assert _states(store, id) == {"Part 1": ("queued", None)}


def test_item_missing_from_the_whole_list_is_marked(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore
):
    """At the end of all pages; items that were added meanwhile are not missing."""
    id = claimed().id
    intake.add_page(id, RUN, page(range(6, 0, -1)), is_history=True)
    intake.begin_history(id, RUN)
    intake.add_page(id, RUN, page([6, 4], is_last=False), is_history=True)
    intake.add_page(id, RUN, page([7]))
    assert "gone" not in {each[0] for each in _states(store, id).values()}
    result, now = intake.add_page(id, RUN, page([3, 1], start=2), is_history=True)
    assert result.missing == 2
    missing = [each.source.title for each in store.items(id, states=["gone"])]
    assert missing == ["Part 5", "Part 2"]
    assert (now.history_next, now.history_total) == (None, 4)


def test_empty_list_marks_nothing(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore
):
    """Usually the source has failed."""
    id = claimed().id
    intake.add_page(id, RUN, page([2, 1]), is_history=True)
    intake.begin_history(id, RUN)
    result, _ = intake.add_page(id, RUN, page([]), is_history=True)
    assert result.missing == 0


def test_older_items_of_a_feed_are_not_missing(
    store: ChannelStore, runs: ChannelRuns, intake: ChannelIntake
):
    """Items beyond the feed's end are not missing; items left out in between are."""
    feed = source(kind="feed", extractor=None)
    id = store.create(feed, plan())[0].id
    runs.claim(id, RUN)
    intake.add_page(id, RUN, page(range(5, 0, -1), channel=feed), is_history=True)
    intake.begin_history(id, RUN)
    result, _ = intake.add_page(id, RUN, page([6, 5, 3], channel=feed), is_history=True)
    assert result.missing == 1
    assert _states(store, id)["Part 4"] == ("gone", "missing")


@pytest.mark.parametrize(
    ("known", "now", "message"),
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
def test_changed_audio_under_the_same_id_is_noticed(
    claimed: Callable[..., ChannelRow],
    intake: ChannelIntake,
    store: ChannelStore,
    known: dict[str, Any],
    now: dict[str, Any],
    message: str | None,
):
    """For a transcribed item; values that a list rounds or omits are no change."""
    id = claimed().id
    intake.add_page(id, RUN, ListingPage(source(), (item(1, **known),)))
    with intake.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.transcription set status = 'completed', completed_at = now(), "
            "document_key = 'd'"
        )
    intake.add_page(id, RUN, ListingPage(source(), (item(1, **now),)))
    [changed_item] = store.items(id)
    assert changed_item.state == "queued"
    assert (
        message is None
        if changed_item.change is None
        else message is not None and message in changed_item.change
    )
    assert store.counts([id])[id].changed == (message is not None)


def test_feed_does_not_remove_facts(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore
):
    """A feed says less than the pages do."""
    id = claimed().id
    intake.add_page(id, RUN, ListingPage(source(), (item(1, is_short=True),)))
    intake.add_page(id, RUN, ListingPage(source(), (item(1, duration_s=None),)))
    [stored] = store.items(id)
    assert (stored.duration_s, stored.is_short) == (60.0, True)


def test_approximate_times_do_not_replace_known_ones(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake, store: ChannelStore
):
    """Pages say `2 years ago`; the feed is exact to the second and decides."""
    id, at = claimed().id, START + timedelta(days=3)
    shown = [
        (item(1, published_at=at), {}, at),
        (item(1, published_at=at + timedelta(minutes=5)), {}, at),
        (item(1, published_at=at + timedelta(seconds=7)), {"etag": "x"}, at + timedelta(seconds=7)),
        (item(1, published_at=at + timedelta(minutes=9)), {}, at + timedelta(seconds=7)),
    ]
    for listed, state, expected in shown:
        intake.add_page(id, RUN, ListingPage(source(), (listed,), state=state))
        assert store.items(id)[0].published_at == expected


def test_channel_takes_the_title_of_its_source(
    claimed: Callable[..., ChannelRow], intake: ChannelIntake
):
    """The id stays, whatever the source calls itself."""
    channel = claimed()
    listed_source = source("other", title="A channel", url="https://www.youtube.com/@one")
    _, now = intake.add_page(channel.id, RUN, page([1], channel=listed_source))
    assert (now.id, now.source.source_id) == (channel.id, channel.source.source_id)
    assert (now.source.title, now.source.url) == ("A channel", "https://www.youtube.com/@one")


def test_run_without_its_claim_writes_nothing(
    claimed: Callable[..., ChannelRow],
    intake: ChannelIntake,
    store: ChannelStore,
    runs: ChannelRuns,
):
    """Another run may have taken over."""
    id = claimed().id
    runs.settle_run(RUN, "run_lost", "Lost.")
    runs.claim(id, "run-2")
    with pytest.raises(ClaimLost):
        intake.add_page(id, RUN, page([1]))
    with pytest.raises(ClaimLost):
        intake.enqueue_new(id, RUN)
    assert store.items(id) == []
