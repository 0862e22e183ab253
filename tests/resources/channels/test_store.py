"""Channels in the store: subscribing, reading, changing, leaving."""

from datetime import UTC, datetime, timedelta

import pytest

from resources.channels.due import moment
from resources.channels.intake import ChannelIntake
from resources.channels.reads import ChannelPosition, ItemPosition
from resources.channels.rows import ChannelRow
from resources.channels.runs import ChannelRuns
from resources.channels.store import ChannelStore
from resources.postgres.connection import Postgres
from tests.support.channel_lists import page, plan, source
from ytcaption.domain.channels.filters import checked_filters
from ytcaption.domain.channels.schedule import checked_schedule
from ytcaption.domain.errors import ChannelNotFound
from ytcaption.settings import Settings


@pytest.fixture
def store(settings: Settings) -> ChannelStore:
    """With the API's rights."""
    return ChannelStore.from_settings(settings, "api")


@pytest.fixture
def runs(postgres: Postgres) -> ChannelRuns:
    """With a run's rights."""
    return ChannelRuns(postgres=postgres)


@pytest.fixture
def intake(postgres: Postgres) -> ChannelIntake:
    """With a run's rights."""
    return ChannelIntake(postgres=postgres)


def _listed(runs: ChannelRuns, intake: ChannelIntake, id: str, numbers: range) -> ChannelRow:
    runs.claim(id, "run")
    intake.take_page(id, "run", page(numbers), is_history=True)
    return runs.listed(id, "run")


def test_subscribing_again_gives_the_same_channel(store: ChannelStore):
    """An owner has one channel of a source; another owner has another."""
    first, created = store.create(source(), plan(max_new=3), "key:a")
    again, created_again = store.create(source(), plan(max_new=9), "key:a")
    other, created_other = store.create(source(), plan(), "key:b")
    assert (created, created_again, created_other) == (True, False, True)
    assert again == first
    assert again.plan.max_new == 3
    assert other.id != first.id


def test_what_is_wanted_is_read_as_it_was_written(store: ChannelStore):
    """Options, filters and schedule survive the database."""
    wanted = plan(
        schedule=checked_schedule(cron="30 6 * * 1-5", time_zone="Europe/Berlin"),
        filters={"title_include": "part [0-9]+", "from_date": datetime(2026, 1, 2).date()},
        keep_days=30.0,
        digest="weekly",
        max_new=5,
    )
    id = store.create(source(), wanted)[0].id
    found = store.get(id)
    assert found.plan == wanted
    assert found.source == source()
    assert found.next_listing_at <= datetime.now(UTC) + timedelta(seconds=5)


def test_others_channels_are_not_there(store: ChannelStore):
    """Every way to a channel asks whose it is (rule 12)."""
    id = store.create(source(), plan(), "key:a")[0].id
    assert store.get(id, "key:a").id == id
    for way in (store.get, store.pause, store.resume, store.run_now, store.delete, store.items):
        with pytest.raises(ChannelNotFound):
            way(id, "key:b")
    with pytest.raises(ChannelNotFound):
        store.change(id, {"max_new": 1}, "key:b")
    assert store.channels("key:b") == []


def test_channels_come_in_pages(store: ChannelStore):
    """Each once, the newest first."""
    ids = [store.create(source(name), plan())[0].id for name in ("a", "b", "c")]
    first = store.channels(limit=2)
    rest = store.channels(after=ChannelPosition(first[-1].created_at, first[-1].id), limit=2)
    assert [row.id for row in [*first, *rest]] == ids[::-1]


def test_items_come_in_pages_newest_first(
    store: ChannelStore, runs: ChannelRuns, intake: ChannelIntake
):
    """Each once, in the order of the source's list."""
    id = store.create(source(), plan())[0].id
    _listed(runs, intake, id, range(7, 0, -1))
    first = store.items(id, limit=4)
    after = ItemPosition(first[-1].place, first[-1].source.media_id)
    rest = store.items(id, after=after, limit=4)
    assert [each.source.title for each in [*first, *rest]] == [f"Part {n}" for n in range(7, 0, -1)]
    assert store.items(id, states=["filtered"]) == []
    assert store.counts([id])[id].states == {"queued": 7}


def test_a_paused_channel_is_not_due_until_it_is_asked_for(store: ChannelStore, runs: ChannelRuns):
    """`run_now` looks at it once; `resume` for good."""
    id = store.create(source(), plan())[0].id
    store.pause(id)
    assert runs.due(9) == []
    store.run_now(id)
    [due] = runs.due(9)
    runs.claim(id, "run", moment(due.due_at))
    runs.listed(id, "run")
    assert runs.due(9) == []
    store.resume(id)
    assert [each.id for each in runs.due(9)] == [id]


def test_other_filters_judge_what_is_not_taken_anew(
    store: ChannelStore, runs: ChannelRuns, intake: ChannelIntake
):
    """What was left out may be wanted now; what is taken stays."""
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


def test_leaving_a_channel_stops_its_run(
    store: ChannelStore, runs: ChannelRuns, intake: ChannelIntake, postgres: Postgres
):
    """The list goes; what was asked for stays."""
    id = store.create(source(), plan())[0].id
    _listed(runs, intake, id, range(3, 0, -1))
    store.delete(id)
    with pytest.raises(ChannelNotFound):
        store.get(id)
    assert runs.ids() == []
    assert postgres.rows("select count(*) as n from ytcaption.transcription", {}) == [{"n": 3}]
