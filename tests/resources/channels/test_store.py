"""Channels in the store: subscribing, reading, changing, deleting."""

from datetime import UTC, datetime, timedelta

import pytest

from resources.channels.due import channel_ids, due_channels, due_time
from resources.channels.intake import ChannelIntake
from resources.channels.rows import ChannelRow
from resources.channels.runs import ChannelRuns
from resources.channels.store import ChannelPosition, ChannelStore, ItemPosition
from resources.postgres.connection import Postgres
from tests.support.channel_lists import page, plan, source
from ytcaption.domain.channels.filters import checked_filters
from ytcaption.domain.channels.schedule import checked_schedule
from ytcaption.domain.errors import ChannelNotFound
from ytcaption.settings.settings import Settings


@pytest.fixture
def store(settings: Settings) -> ChannelStore:
    """Return a store with the API's rights."""
    return ChannelStore.from_settings(settings, "api")


@pytest.fixture
def runs(postgres: Postgres) -> ChannelRuns:
    """Return runs with a run's rights."""
    return ChannelRuns(postgres=postgres)


@pytest.fixture
def intake(postgres: Postgres) -> ChannelIntake:
    """Return an intake with a run's rights."""
    return ChannelIntake(postgres=postgres)


def _listed(runs: ChannelRuns, intake: ChannelIntake, id: str, numbers: range) -> ChannelRow:
    runs.claim(id, "run")
    intake.add_page(id, "run", page(numbers), is_history=True)
    return runs.complete(id, "run")


def test_subscribing_again_gives_the_same_channel(store: ChannelStore):
    """An owner has one channel per source; another owner has another."""
    first, created = store.create(source(), plan(max_items=3), "key:a")
    again, created_again = store.create(source(), plan(max_items=9), "key:a")
    other, created_other = store.create(source(), plan(), "key:b")
    assert (created, created_again, created_other) == (True, False, True)
    assert again == first
    assert again.plan.max_items == 3
    assert other.id != first.id


def test_plan_is_read_as_written(store: ChannelStore):
    """Options, filters and schedule survive the database."""
    wanted = plan(
        schedule=checked_schedule(cron="30 6 * * 1-5", time_zone="Europe/Berlin"),
        filters={"title_include": "part [0-9]+", "from_date": datetime(2026, 1, 2).date()},
        keep_days=30.0,
        digest="weekly",
        max_items=5,
    )
    id = store.create(source(), wanted)[0].id
    stored = store.get(id)
    assert stored.plan == wanted
    assert stored.source == source()
    assert stored.next_listing_at <= datetime.now(UTC) + timedelta(seconds=5)


def test_others_channels_are_hidden(store: ChannelStore):
    """Every method checks the owner."""
    id = store.create(source(), plan(), "key:a")[0].id
    assert store.get(id, "key:a").id == id
    for method in (store.get, store.pause, store.resume, store.run_now, store.delete, store.items):
        with pytest.raises(ChannelNotFound):
            method(id, "key:b")
    with pytest.raises(ChannelNotFound):
        store.change(id, {"max_items": 1}, "key:b")
    assert store.channels("key:b") == []


def test_channels_come_in_pages(store: ChannelStore):
    """Each channel is on one page, the newest first."""
    ids = [store.create(source(name), plan())[0].id for name in ("a", "b", "c")]
    first = store.channels(limit=2)
    second = store.channels(after=ChannelPosition(first[-1].created_at, first[-1].id), limit=2)
    assert [row.id for row in [*first, *second]] == ids[::-1]


def test_items_come_in_pages_newest_first(
    store: ChannelStore, runs: ChannelRuns, intake: ChannelIntake
):
    """Each once, in the order of the source's list."""
    id = store.create(source(), plan())[0].id
    _listed(runs, intake, id, range(7, 0, -1))
    first = store.items(id, limit=4)
    after = ItemPosition(first[-1].position, first[-1].source.media_id)
    second = store.items(id, after=after, limit=4)
    assert [each.source.title for each in [*first, *second]] == [
        f"Part {n}" for n in range(7, 0, -1)
    ]
    assert store.items(id, states=["filtered"]) == []
    assert store.counts([id])[id].states == {"queued": 7}


def test_paused_channel_is_due_only_on_request(store: ChannelStore, runs: ChannelRuns):
    """`run_now` lists it once; `resume` for good."""
    id = store.create(source(), plan())[0].id
    store.pause(id)
    assert due_channels(runs.postgres, 9) == []
    store.run_now(id)
    [due] = due_channels(runs.postgres, 9)
    runs.claim(id, "run", due_time(due.due_at))
    runs.complete(id, "run")
    assert due_channels(runs.postgres, 9) == []
    store.resume(id)
    assert [each.id for each in due_channels(runs.postgres, 9)] == [id]


def test_new_filters_apply_to_items_not_enqueued(
    store: ChannelStore, runs: ChannelRuns, intake: ChannelIntake
):
    """Excluded items may become wanted; enqueued items stay."""
    id = store.create(source(), plan(filters={"title_include": "part 1$"}))[0].id
    _listed(runs, intake, id, range(3, 0, -1))
    assert store.counts([id])[id].states == {"queued": 1, "filtered": 2}
    store.change(id, {"filters": checked_filters(title_include="part [23]$", newest=2)})
    states = {each.source.title: (each.state, each.reason) for each in store.items(id)}
    assert states == {
        "Part 3": ("new", None),
        "Part 2": ("new", None),
        "Part 1": ("queued", None),
    }


def test_deleting_a_channel_stops_its_run(
    store: ChannelStore, runs: ChannelRuns, intake: ChannelIntake, postgres: Postgres
):
    """The list is deleted; requests stay."""
    id = store.create(source(), plan())[0].id
    _listed(runs, intake, id, range(3, 0, -1))
    store.delete(id)
    with pytest.raises(ChannelNotFound):
        store.get(id)
    assert channel_ids(runs.postgres) == []
    assert postgres.rows("select count(*) as n from ytcaption.transcription", {}) == [{"n": 3}]
