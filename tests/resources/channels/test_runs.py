"""Who is due, and what listing runs and those who find them gone write."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from resources.channels.due import late_channels, moment
from resources.channels.runs import ChannelRuns, retry_delay_s
from resources.channels.store import ChannelStore
from resources.postgres.connection import Postgres
from resources.sites.circuit_breaker import breakers, open_breaker
from resources.transcriptions.store import RequestStore
from tests.resources.sites.test_circuit_breaker import submit
from tests.support.channel_lists import plan, source
from ytcaption.domain.channels.channel import ChannelSource
from ytcaption.domain.errors import ChannelBusy, ChannelNotFound, ClaimLost
from ytcaption.settings import Settings


@pytest.fixture
def store(settings: Settings) -> ChannelStore:
    """With all rights."""
    return ChannelStore.from_settings(settings, "admin")


@pytest.fixture
def runs(postgres: Postgres) -> ChannelRuns:
    """With a run's rights."""
    return ChannelRuns(postgres=postgres)


@pytest.fixture
def id(store: ChannelStore) -> str:
    """Of a channel that is due."""
    return store.create(source(), plan())[0].id


def _age(postgres: Postgres, column: str, by: timedelta) -> None:
    with postgres.transaction() as connection:
        connection.execute(f"update ytcaption.channel set {column} = now() - %s", (by,))  # pyright: ignore


def _in_s(at: datetime) -> float:
    return (at - datetime.now(UTC)).total_seconds()


def test_a_look_puts_off_the_next_by_the_schedule(runs: ChannelRuns, id: str):
    """And the channel is free again."""
    [due] = runs.due(9)
    runs.claim(id, "run", moment(due.due_at))
    assert runs.due(9) == []
    row = runs.listed(id, "run")
    assert 890 < _in_s(row.next_listing_at) <= 900
    assert row.run_id is None
    assert row.listed_at is not None


def test_one_run_holds_a_channel(runs: ChannelRuns, store: ChannelStore, id: str):
    """Another waits, and one for a moment that is over has nothing to do."""
    [due] = runs.due(9)
    runs.claim(id, "run-1")
    runs.claim(id, "run-1")
    with pytest.raises(ChannelBusy):
        runs.claim(id, "run-2")
    runs.listed(id, "run-1")
    with pytest.raises(ClaimLost):
        runs.claim(id, "run-2", moment(due.due_at))
    with pytest.raises(ClaimLost):
        runs.heartbeat(id, "run-1")
    with pytest.raises(ClaimLost):
        runs.listed(id, "run-1")
    store.delete(id)
    with pytest.raises(ChannelNotFound):
        runs.claim(id, "run-3")


def test_a_long_history_goes_on_soon(runs: ChannelRuns, id: str):
    """After those that are due by then; no later than its schedule says."""
    runs.claim(id, "run")
    assert _in_s(runs.listed(id, "run", continue_in_s=2.0).next_listing_at) < 3
    runs.claim(id, "run")
    assert 890 < _in_s(runs.listed(id, "run", continue_in_s=5_000.0).next_listing_at) <= 900


def test_who_asks_during_a_look_gets_another(runs: ChannelRuns, store: ChannelStore, id: str):
    """At once, and only one."""
    runs.claim(id, "run")
    store.run_now(id)
    assert runs.due(9) == []
    runs.listed(id, "run")
    assert [each.id for each in runs.due(9)] == [id]
    runs.claim(id, "run")
    runs.listed(id, "run")
    assert runs.due(9) == []


def test_who_was_asked_for_comes_first_then_who_waits_longest(
    runs: ChannelRuns, store: ChannelStore
):
    """So no channel is passed over for ever."""
    ids = [store.create(source(name), plan())[0].id for name in ("a", "b", "c")]
    store.run_now(ids[2])
    assert [each.id for each in runs.due(9)] == [ids[2], ids[0], ids[1]]
    assert [each.id for each in runs.due(2)] == [ids[2], ids[0]]


def test_failures_put_it_off_further_and_further(runs: ChannelRuns, store: ChannelStore, id: str):
    """The channel says why; a success forgets it."""
    for times in (1, 2, 3):
        runs.claim(id, "run")
        delay_s = runs.failed(id, "run", "source_unavailable", "No answer.\x00", True)
        assert 60 * 2 ** (times - 1) <= delay_s <= 75 * 2 ** (times - 1)
        row = store.get(id)
        assert (row.failures, row.error_code, row.error_message) == (
            times,
            "source_unavailable",
            "No answer.",
        )
        assert delay_s - 5 < _in_s(row.next_listing_at) <= delay_s
    runs.claim(id, "run")
    row = runs.listed(id, "run")
    assert (row.failures, row.error_code, row.error_message) == (0, None, None)


def test_delays_have_their_bounds():
    """Six hours, a day for what is hopeless, and no sooner than the source wants."""
    assert 6 * 3600 <= retry_delay_s(1_000, True) <= 7.5 * 3600
    assert 24 * 3600 <= retry_delay_s(1, False) <= 30 * 3600
    assert 5_000 <= retry_delay_s(1, True, 5_000) <= 6_250
    assert len({retry_delay_s(1, True) for _ in range(9)}) == 9


def test_a_site_that_is_held_up_is_left_alone(runs: ChannelRuns, postgres: Postgres, id: str):
    """Until its probe."""
    open_breaker(postgres, "youtube.com", "", "local")
    assert runs.due(9) == []
    assert runs.next_due_in_s() is None
    with postgres.transaction() as connection:
        connection.execute("update ytcaption.breaker set probe_at = now()")
    assert [each.id for each in runs.due(9)] == [id]


def _fail(runs: ChannelRuns, id: str, code: str, times: int = 1) -> None:
    for n in range(times):
        runs.claim(id, f"run-{code}-{n}")
        runs.failed(id, f"run-{code}-{n}", code, "It refuses.", True)


def _breaker(postgres: Postgres) -> tuple[str, int] | None:
    found = breakers(postgres)
    return (found[0].state, found[0].failures) if found else None


def _let_probe(postgres: Postgres) -> None:
    with postgres.transaction() as connection:
        connection.execute("update ytcaption.breaker set probe_at = now()")


def test_looks_that_fail_open_the_breaker_of_their_site(
    runs: ChannelRuns, store: ChannelStore, postgres: Postgres, id: str
):
    """Five in a row, each by the site's own fault; others of the site wait, too. Then one look is
    the probe: its failure opens again, its success closes."""
    other = store.create(source("other"), plan())[0].id
    _fail(runs, id, "media_not_found", 9)
    assert _breaker(postgres) is None
    _fail(runs, id, "source_blocked", 4)
    assert _breaker(postgres) == ("closed", 4)
    assert [each.id for each in runs.due(9)] == [other]
    _fail(runs, id, "source_unavailable")
    assert _breaker(postgres) == ("open", 5) and runs.due(9) == []
    _let_probe(postgres)
    _fail(runs, other, "source_blocked")
    assert _breaker(postgres) == ("open", 6) and runs.due(9) == []
    store.run_now(other)
    assert runs.due(9) == [], "asking does not go around it"
    _let_probe(postgres)
    runs.claim(other, "run-probe")
    runs.listed(other, "run-probe")
    assert _breaker(postgres) is None


def test_a_look_that_succeeds_forgets_failures_unless_downloads_wait(
    runs: ChannelRuns, postgres: Postgres, request_store: RequestStore, id: str
):
    """Sites that refuse their media give their lists all the same."""
    _fail(runs, id, "source_blocked", 4)
    submit(request_store, "waits")
    with postgres.transaction() as connection:
        connection.execute("update ytcaption.transcription set source_site = 'youtube.com'")
    runs.claim(id, "run")
    runs.listed(id, "run")
    assert _breaker(postgres) == ("closed", 4)
    with postgres.transaction() as connection:
        connection.execute("update ytcaption.transcription set source_site = null")
    runs.claim(id, "run")
    runs.listed(id, "run")
    assert _breaker(postgres) is None


def test_quiet_hours_hold_looks_in_bulk(
    runs: ChannelRuns, store: ChannelStore, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
):
    """Of their site; not those that somebody asks for, nor a channel whose items are interactive.
    Nobody calls them late."""
    now, hours = datetime.now(UTC), timedelta(hours=2)
    around = f"{now - hours:%H:%M}-{now + hours:%H:%M}"
    monkeypatch.setenv("YTCAPTION_QUIET_HOURS", f"youtube.com={around}")
    bulk, asked = (store.create(source(name), plan())[0].id for name in ("bulk", "asked"))
    feed = ChannelSource(
        "feed-a", "feed", "https://example.org/feed.xml", feed_url="https://example.org/feed.xml"
    )
    others = [
        store.create(source("now"), plan(priority="interactive"))[0].id,
        store.create(feed, plan())[0].id,
    ]
    store.run_now(asked)
    assert [each.id for each in runs.due(9)] == [asked, *others]
    with postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.channel set next_listing_at = now() - interval '2 hours'"
        )
    assert {each.id for each in late_channels(postgres)} == set(others)
    monkeypatch.delenv("YTCAPTION_QUIET_HOURS")
    assert bulk in {each.id for each in runs.due(9)}
    assert bulk in {each.id for each in late_channels(postgres)}


@pytest.mark.parametrize("way", ["silent", "settled"])
def test_what_a_lost_run_leaves_is_due_again(
    runs: ChannelRuns, store: ChannelStore, postgres: Postgres, id: str, way: str
):
    """Whoever finds it."""
    runs.claim(id, "run")
    assert runs.settle_silent(60.0) == []
    _age(postgres, "heartbeat_at", timedelta(seconds=61))
    if way == "silent":
        assert [each.run_id for each in runs.settle_silent(60.0)] == ["run"]
    else:
        assert runs.settle_run("run", "run_lost", "Lost.")
        assert not runs.settle_run("run", "run_lost", "Lost.")
    row = store.get(id)
    assert (row.run_id, row.error_code, row.failures) == (None, "run_lost", 1)
    assert 50 < _in_s(row.next_listing_at) <= 75


def test_a_run_that_never_began_is_not_waited_for(runs: ChannelRuns, store: ChannelStore, id: str):
    """Its run key is used up: the next look has another moment."""
    [due] = runs.due(9)
    assert runs.settle_unbegun(due)
    assert not runs.settle_unbegun(due)
    assert store.get(id).error_code == "run_not_started"


def test_a_run_that_somebody_ends_waits_for_the_schedule(
    runs: ChannelRuns, store: ChannelStore, id: str
):
    """It would be back in a minute else."""
    runs.claim(id, "run")
    assert runs.put_off("run")
    assert not runs.put_off("run")
    assert 890 < _in_s(store.get(id).next_listing_at) <= 900
    assert store.get(id).failures == 0


@pytest.mark.parametrize("column", ["next_listing_at", "failing_since"])
def test_late_channels_are_named(
    runs: ChannelRuns, store: ChannelStore, postgres: Postgres, id: str, column: str
):
    """Those that nobody looks at, and those that fail for long; not those that are paused."""
    find: Callable[[], list[str]] = lambda: [each.id for each in late_channels(postgres)]  # noqa: E731
    assert find() == []
    runs.claim(id, "run")
    runs.failed(id, "run", "source_blocked", "Blocked.", True)
    assert find() == []
    _age(postgres, column, timedelta(hours=1, seconds=5))
    assert find() == [id]
    store.pause(id)
    assert find() == []
