"""Due and late channels, and the writes of listing runs and of their settlement."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from resources.channels.due import due_channels, due_time, late_channels, next_due_in_s
from resources.channels.runs import ChannelRuns, retry_delay_s
from resources.channels.store import ChannelStore
from resources.postgres.connection import Postgres
from resources.sites.circuit_breaker import breakers, open_breaker
from resources.transcriptions.store import RequestStore
from tests.resources.sites.test_circuit_breaker import submit
from tests.support.channel_lists import plan, source
from ytcaption.domain.channels.channel import ChannelSource
from ytcaption.domain.errors import ChannelBusy, ChannelNotFound, ClaimLost
from ytcaption.settings.settings import Settings


@pytest.fixture
def store(settings: Settings) -> ChannelStore:
    """Return a store with all rights."""
    return ChannelStore.from_settings(settings, "admin")


@pytest.fixture
def runs(postgres: Postgres) -> ChannelRuns:
    """Return runs with a run's rights."""
    return ChannelRuns(postgres=postgres)


@pytest.fixture
def id(store: ChannelStore) -> str:
    """Return the id of a channel that is due."""
    return store.create(source(), plan())[0].id


def _age(postgres: Postgres, column: str, by: timedelta) -> None:
    with postgres.transaction() as connection:
        connection.execute(f"update ytcaption.channel set {column} = now() - %s", (by,))  # pyright: ignore


def _seconds_until(at: datetime) -> float:
    return (at - datetime.now(UTC)).total_seconds()


def test_completed_listing_schedules_the_next(runs: ChannelRuns, id: str):
    """It also releases the channel."""
    [due] = due_channels(runs.postgres, 9)
    runs.claim(id, "run", due_time(due.due_at))
    assert due_channels(runs.postgres, 9) == []
    row = runs.complete(id, "run")
    assert 890 < _seconds_until(row.next_listing_at) <= 900
    assert row.run_id is None
    assert row.listed_at is not None


def test_one_run_holds_a_channel(runs: ChannelRuns, store: ChannelStore, id: str):
    """Another run waits, and a run for a past time has nothing to do."""
    [due] = due_channels(runs.postgres, 9)
    runs.claim(id, "run-1")
    runs.claim(id, "run-1")
    with pytest.raises(ChannelBusy):
        runs.claim(id, "run-2")
    runs.complete(id, "run-1")
    with pytest.raises(ClaimLost):
        runs.claim(id, "run-2", due_time(due.due_at))
    with pytest.raises(ClaimLost):
        runs.heartbeat(id, "run-1")
    with pytest.raises(ClaimLost):
        runs.complete(id, "run-1")
    store.delete(id)
    with pytest.raises(ChannelNotFound):
        runs.claim(id, "run-3")


def test_long_history_continues_soon(runs: ChannelRuns, id: str):
    """It continues at the scheduled time at the latest."""
    runs.claim(id, "run")
    assert _seconds_until(runs.complete(id, "run", continue_in_s=2.0).next_listing_at) < 3
    runs.claim(id, "run")
    assert (
        890 < _seconds_until(runs.complete(id, "run", continue_in_s=5_000.0).next_listing_at) <= 900
    )


def test_request_during_a_listing_gets_another(runs: ChannelRuns, store: ChannelStore, id: str):
    """Exactly one more listing is due as soon as this one ends."""
    runs.claim(id, "run")
    store.run_now(id)
    assert due_channels(runs.postgres, 9) == []
    runs.complete(id, "run")
    assert [each.id for each in due_channels(runs.postgres, 9)] == [id]
    runs.claim(id, "run")
    runs.complete(id, "run")
    assert due_channels(runs.postgres, 9) == []


def test_requested_channels_come_first_then_the_longest_due(runs: ChannelRuns, store: ChannelStore):
    """So no channel waits for ever."""
    ids = [store.create(source(name), plan())[0].id for name in ("a", "b", "c")]
    store.run_now(ids[2])
    assert [each.id for each in due_channels(runs.postgres, 9)] == [ids[2], ids[0], ids[1]]
    assert [each.id for each in due_channels(runs.postgres, 2)] == [ids[2], ids[0]]


def test_failures_increase_the_delay(runs: ChannelRuns, store: ChannelStore, id: str):
    """The channel stores the reason; a success clears it."""
    for times in (1, 2, 3):
        runs.claim(id, "run")
        delay_s = runs.fail(id, "run", "source_unavailable", "No answer.\x00", True)
        assert 60 * 2 ** (times - 1) <= delay_s <= 75 * 2 ** (times - 1)
        row = store.get(id)
        assert (row.failures, row.error_code, row.error_message) == (
            times,
            "source_unavailable",
            "No answer.",
        )
        assert delay_s - 5 < _seconds_until(row.next_listing_at) <= delay_s
    runs.claim(id, "run")
    row = runs.complete(id, "run")
    assert (row.failures, row.error_code, row.error_message) == (0, None, None)


def test_delays_are_bounded():
    """Six hours, a day after a permanent failure, and at least what the source demands."""
    assert 6 * 3600 <= retry_delay_s(1_000, True) <= 7.5 * 3600
    assert 24 * 3600 <= retry_delay_s(1, False) <= 30 * 3600
    assert 5_000 <= retry_delay_s(1, True, 5_000) <= 6_250
    assert len({retry_delay_s(1, True) for _ in range(9)}) == 9


def test_open_breaker_postpones_listings(runs: ChannelRuns, postgres: Postgres, id: str):
    """They wait for its probe."""
    open_breaker(postgres, "youtube.com", "", "local")
    assert due_channels(runs.postgres, 9) == []
    assert next_due_in_s(runs.postgres) is None
    with postgres.transaction() as connection:
        connection.execute("update ytcaption.breaker set probe_at = now()")
    assert [each.id for each in due_channels(runs.postgres, 9)] == [id]


def _fail(runs: ChannelRuns, id: str, code: str, times: int = 1) -> None:
    for n in range(times):
        runs.claim(id, f"run-{code}-{n}")
        runs.fail(id, f"run-{code}-{n}", code, "It refuses.", True)


def _breaker(postgres: Postgres) -> tuple[str, int] | None:
    open_breakers = breakers(postgres)
    return (open_breakers[0].state, open_breakers[0].failures) if open_breakers else None


def _let_probe(postgres: Postgres) -> None:
    with postgres.transaction() as connection:
        connection.execute("update ytcaption.breaker set probe_at = now()")


def test_failed_listings_open_the_breaker_of_their_site(
    runs: ChannelRuns, store: ChannelStore, postgres: Postgres, id: str
):
    """Five failures in a row by the site's own fault open it for all channels of the site. Then one
    listing is the probe: its failure opens the breaker again, its success closes it."""
    other = store.create(source("other"), plan())[0].id
    _fail(runs, id, "media_not_found", 9)
    assert _breaker(postgres) is None
    _fail(runs, id, "source_blocked", 4)
    assert _breaker(postgres) == ("closed", 4)
    assert [each.id for each in due_channels(runs.postgres, 9)] == [other]
    _fail(runs, id, "source_unavailable")
    assert _breaker(postgres) == ("open", 5) and due_channels(runs.postgres, 9) == []
    _let_probe(postgres)
    _fail(runs, other, "source_blocked")
    assert _breaker(postgres) == ("open", 6) and due_channels(runs.postgres, 9) == []
    store.run_now(other)
    assert due_channels(runs.postgres, 9) == [], "a request does not bypass it"
    _let_probe(postgres)
    runs.claim(other, "run-probe")
    runs.complete(other, "run-probe")
    assert _breaker(postgres) is None


def test_success_resets_failures_unless_downloads_wait(
    runs: ChannelRuns, postgres: Postgres, request_store: RequestStore, id: str
):
    """Sites that refuse their media may still return their lists."""
    _fail(runs, id, "source_blocked", 4)
    submit(request_store, "waits")
    with postgres.transaction() as connection:
        connection.execute("update ytcaption.transcription set source_site = 'youtube.com'")
    runs.claim(id, "run")
    runs.complete(id, "run")
    assert _breaker(postgres) == ("closed", 4)
    with postgres.transaction() as connection:
        connection.execute("update ytcaption.transcription set source_site = null")
    runs.claim(id, "run")
    runs.complete(id, "run")
    assert _breaker(postgres) is None


def test_quiet_hours_postpone_bulk_listings(
    runs: ChannelRuns, store: ChannelStore, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
):
    """Only those of their site, and neither requested listings nor channels with interactive items.
    They do not count as late."""
    now, hours = datetime.now(UTC), timedelta(hours=2)
    around = f"{now - hours:%H:%M}-{now + hours:%H:%M}"
    monkeypatch.setenv("YTCAPTION_QUIET_HOURS", f"youtube.com={around}")
    bulk, requested = (store.create(source(name), plan())[0].id for name in ("bulk", "requested"))
    feed = ChannelSource(
        "feed-a", "feed", "https://example.org/feed.xml", feed_url="https://example.org/feed.xml"
    )
    others = [
        store.create(source("now"), plan(priority="interactive"))[0].id,
        store.create(feed, plan())[0].id,
    ]
    store.run_now(requested)
    assert [each.id for each in due_channels(runs.postgres, 9)] == [requested, *others]
    with postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.channel set next_listing_at = now() - interval '2 hours'"
        )
    assert {each.id for each in late_channels(postgres)} == set(others)
    monkeypatch.delenv("YTCAPTION_QUIET_HOURS")
    assert bulk in {each.id for each in due_channels(runs.postgres, 9)}
    assert bulk in {each.id for each in late_channels(postgres)}


@pytest.mark.parametrize("detection", ["silent", "settled"])
def test_channel_of_a_lost_run_is_due_again(
    runs: ChannelRuns, store: ChannelStore, postgres: Postgres, id: str, detection: str
):
    """Whether its heartbeats stop or its end is reported."""
    runs.claim(id, "run")
    assert runs.settle_silent(60.0) == []
    _age(postgres, "heartbeat_at", timedelta(seconds=61))
    if detection == "silent":
        assert [each.run_id for each in runs.settle_silent(60.0)] == ["run"]
    else:
        assert runs.settle_run("run", "run_lost", "Lost.")
        assert not runs.settle_run("run", "run_lost", "Lost.")
    row = store.get(id)
    assert (row.run_id, row.error_code, row.failures) == (None, "run_lost", 1)
    assert 50 < _seconds_until(row.next_listing_at) <= 75


def test_run_that_never_began_is_settled(runs: ChannelRuns, store: ChannelStore, id: str):
    """Its run key is used up, so the next listing has another time."""
    [due] = due_channels(runs.postgres, 9)
    assert runs.settle_unstarted(due)
    assert not runs.settle_unstarted(due)
    assert store.get(id).error_code == "run_not_started"


def test_canceled_run_waits_for_the_schedule(runs: ChannelRuns, store: ChannelStore, id: str):
    """Otherwise it would start again within a minute."""
    runs.claim(id, "run")
    assert runs.postpone("run")
    assert not runs.postpone("run")
    assert 890 < _seconds_until(store.get(id).next_listing_at) <= 900
    assert store.get(id).failures == 0


@pytest.mark.parametrize("column", ["next_listing_at", "failing_since"])
def test_late_channels_are_found(
    runs: ChannelRuns, store: ChannelStore, postgres: Postgres, id: str, column: str
):
    """Channels that are not listed, and those that keep failing; not paused ones."""
    find: Callable[[], list[str]] = lambda: [each.id for each in late_channels(postgres)]  # noqa: E731
    assert find() == []
    runs.claim(id, "run")
    runs.fail(id, "run", "source_blocked", "Blocked.", True)
    assert find() == []
    _age(postgres, column, timedelta(hours=1, seconds=5))
    assert find() == [id]
    store.pause(id)
    assert find() == []
