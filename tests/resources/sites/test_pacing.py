"""Pacing of sites in Postgres: bulk work waits, interactive work does not, in all processes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from time import monotonic

import psycopg
import pytest

from resources.postgres.connection import Postgres
from resources.sites.pacing import (
    check_pacing,
    listing_wait_s,
    record_bytes,
    record_listing,
    throttled_sites,
)
from resources.sites.wait_reasons import waiting_for
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.resources.sites.test_circuit_breaker import fail, submit
from tests.resources.transcripts import AUDIO, INFO
from tests.support.clock import Clock, clock  # noqa: F401 - a fixture
from tests.support.servers.postgres_servers import DatabaseServer
from ytcaption.domain.errors import SetupError, SourceThrottled
from ytcaption.domain.media.pacing import Pacing, PerSite, QuietHours
from ytcaption.settings.settings import Settings

SITE = "youtube.com"
PAUSED = Pacing(pause_s=PerSite(0.0, {SITE: 10.0}))


def due(store: RequestStore, pacing: Pacing, per_site: int = 100) -> set[str]:
    return {each.id for each in store.due(100, per_site, pacing)}


def begun(store: RequestStore, id: str, run_id: str, pacing: Pacing = PAUSED) -> None:
    RunStore(postgres=store.postgres).claim(id, run_id)
    RunStore(postgres=store.postgres).begin_download(id, run_id, 100, pacing)


def ended(store: RequestStore, id: str, run_id: str) -> None:
    RunStore(postgres=store.postgres).audio_stored(id, run_id, INFO, AUDIO)


def quiet_now(server: DatabaseServer, minutes: int = 30) -> Pacing:
    """Quiet hours that began a minute ago, by the database's clock."""
    with psycopg.connect(server.superuser_url) as connection:
        row = connection.execute("select now()").fetchone()
    assert row is not None
    now = row[0].astimezone(UTC)
    start, end = now - timedelta(minutes=1), now + timedelta(minutes=minutes)
    return Pacing(
        quiet_hours=PerSite(QuietHours(time(start.hour, start.minute), time(end.hour, end.minute)))
    )


@pytest.fixture
def bulk(request_store: RequestStore) -> Iterator[list[str]]:
    """Two of YouTube, one of another site."""
    yield [
        submit(request_store, "bulk-0", priority="bulk"),
        submit(request_store, "bulk-1", priority="bulk"),
        submit(request_store, "elsewhere", host="vimeo.com", priority="bulk"),
    ]


def test_bulk_downloads_of_a_site_come_one_after_the_other(request_store, bulk):
    """With a pause after each; other sites and interactive ones go on."""
    assert due(request_store, PAUSED) == {bulk[0], bulk[2]}
    begun(request_store, bulk[0], "one")
    urgent = submit(request_store, "urgent")
    assert due(request_store, PAUSED) == {bulk[2], urgent}
    assert request_store.next_due_in_s(100, PAUSED) == 0
    ended(request_store, bulk[0], "one")
    assert due(request_store, PAUSED) == {bulk[2], urgent}, "now the pause begins"


def test_the_next_is_due_when_the_pause_is_over(clock: Clock, request_store, run_store):
    """Not before, and the sensor knows how long that is; failures begin it, too."""
    for number, end in enumerate((ended, None)):
        first = submit(request_store, f"first-{number}", priority="bulk")
        begun(request_store, first, f"run-{number}")
        clock.forward(60)  # it takes longer than the pause
        waits = submit(request_store, f"waits-{number}", priority="bulk")
        assert due(request_store, PAUSED) == set()
        assert request_store.next_due_in_s(100, PAUSED) is None, "the end of a download wakes it"
        if end is not None:
            end(request_store, first, f"run-{number}")
            request_store.cancel(first)
        else:
            run_store.fail(first, f"run-{number}", "media_private", "No.", False, 4)
        assert due(request_store, PAUSED) == set()
        assert request_store.next_due_in_s(100, PAUSED) == pytest.approx(10, abs=2)
        clock.forward(10)
        assert due(request_store, PAUSED) == {waits}
        request_store.cancel(waits)


def test_interactive_ones_are_tried_again_while_bulk_ones_wait(
    clock: Clock,
    request_store: RequestStore,
    database_server: DatabaseServer,
):
    """For quiet hours to end, or for a download: the sensor wakes for the interactive one."""
    bulk_one = submit(request_store, "bulk", priority="bulk")
    urgent = submit(request_store, "urgent")
    with psycopg.connect(database_server.superuser_url) as connection:
        connection.execute(
            "update ytcaption.transcription set next_attempt_at = now() + interval '90 s' "
            "where id = %s",
            (urgent,),
        )
    assert request_store.next_due_in_s(100, quiet_now(database_server)) == pytest.approx(90, abs=5)
    submit(request_store, "another", priority="bulk")
    begun(request_store, bulk_one, "run")
    clock.forward(60)  # it takes longer than the pause
    assert request_store.next_due_in_s(100, PAUSED) == pytest.approx(30, abs=5)


def test_an_interactive_download_makes_bulk_work_wait_too(clock: Clock, request_store):
    """The site sees both; nothing makes the interactive ones wait."""
    urgent = submit(request_store, "urgent")
    begun(request_store, urgent, "run")
    submit(request_store, "bulk", priority="bulk")
    more = submit(request_store, "more")
    assert due(request_store, PAUSED) == {more}
    begun(request_store, more, "other")


def test_who_comes_too_late_gives_back(request_store, run_store, bulk):
    """Two were claimed before the first began: the other waits with all its tries, and why is
    shown to callers."""
    run_store.claim(bulk[1], "late")
    begun(request_store, bulk[0], "one")
    with pytest.raises(SourceThrottled, match=r"pause between downloads from youtube\.com"):
        run_store.begin_download(bulk[1], "late", 100, PAUSED)
    row = get_transcription(request_store.postgres, bulk[1])
    assert (row.status.value, row.try_number, row.attempt) == ("queued", 1, 2)
    assert due(request_store, PAUSED) == {bulk[2]}
    waiting = waiting_for(request_store.postgres, bulk)
    assert set(waiting) == {bulk[1]}
    assert waiting[bulk[1]].code == "source_resting"


def test_many_processes_let_one_through(request_store, run_store):
    """Eight runs at once: one begins, seven give back."""
    ids = [submit(request_store, f"at-once-{at}", priority="bulk") for at in range(8)]
    for id in ids:
        run_store.claim(id, id)

    def begins(id: str) -> bool:
        try:
            run_store.begin_download(id, id, 100, PAUSED)
        except SourceThrottled:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(begins, ids)) == 1


def test_quiet_hours_hold_bulk_work_until_they_end(
    clock: Clock, request_store, run_store, bulk, database_server: DatabaseServer
):
    """All sites' here. Interactive ones are due, the sensor knows when the others are."""
    pacing = quiet_now(database_server)
    urgent = submit(request_store, "urgent")
    assert due(request_store, pacing) == {urgent}
    request_store.cancel(urgent)
    due_in_s = request_store.next_due_in_s(100, pacing)
    assert 29 * 60 < due_in_s <= 30 * 60
    (most, other) = throttled_sites(request_store.postgres)
    assert (most.site, most.waiting, most.code) == (SITE, 2, "quiet_hours")
    assert other.site == "vimeo.com"
    assert "quiet hours of youtube.com: bulk work continues at" in most.message
    waiting = waiting_for(request_store.postgres, [*bulk, urgent])
    assert set(waiting) == set(bulk) and waiting[bulk[0]].until == most.until
    run_store.claim(bulk[0], "run")  # by hand, say
    with pytest.raises(SourceThrottled):
        run_store.begin_download(bulk[0], "run", 100, pacing)
    clock.forward(due_in_s + 0.1)
    assert due(request_store, pacing) == set(bulk)
    assert throttled_sites(request_store.postgres) == []
    assert waiting_for(request_store.postgres, bulk) == {}


def test_bytes_a_day_are_limited(clock: Clock, request_store, bulk):
    """Everybody's count, only bulk work waits, and tomorrow it goes on; other sites do now."""
    pacing = Pacing(bytes_per_day=PerSite(0.0, {SITE: 1_000_000.0}))
    store = request_store.postgres
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: record_bytes(store, SITE, pacing, 99_999), range(10)))
    assert due(request_store, pacing) == set(bulk)
    record_bytes(store, SITE, pacing, 10)
    urgent = submit(request_store, "urgent")
    assert due(request_store, pacing) == {bulk[2], urgent}
    assert throttled_sites(store)[0].code == "bytes_a_day"
    clock.forward(24 * 3600)
    assert due(request_store, pacing) == {*bulk, urgent}


def test_a_breaker_is_not_probed_in_quiet_hours(
    clock: Clock, request_store, database_server: DatabaseServer
):
    """By bulk work; an interactive one may."""
    for number in range(5):
        fail(request_store, f"fails-{number}")
    with psycopg.connect(database_server.superuser_url) as connection:
        connection.execute("delete from ytcaption.request; delete from ytcaption.transcription")
    bulk = submit(request_store, "bulk", priority="bulk")
    clock.forward(61)
    pacing = quiet_now(database_server)
    assert due(request_store, pacing) == set()
    assert request_store.next_due_in_s(100, pacing) > 1000
    urgent = submit(request_store, "urgent")
    assert due(request_store, pacing) == {urgent}
    request_store.cancel(urgent)
    clock.forward(3600)
    assert due(request_store, pacing) == {bulk}


def test_lists_a_minute_are_limited(postgres: Postgres):
    """With the rights of a run. Twelve a minute are one each 5 s, and three at once are paid for
    by 15; each site for itself."""
    pacing = Pacing(lists_per_minute=PerSite(0.0, {SITE: 12.0}))
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)
    with postgres.transaction() as connection:
        assert listing_wait_s(connection, SITE, now, pacing) == 0
        record_listing(connection, SITE, now, pacing)
        assert listing_wait_s(connection, SITE, now, pacing) == 5
        assert listing_wait_s(connection, "vimeo.com", now, pacing) == 0
        now += timedelta(seconds=5)
        assert listing_wait_s(connection, SITE, now, pacing) == 0
        record_listing(connection, SITE, now, pacing, requests=3)
        assert listing_wait_s(connection, SITE, now, pacing) == 15
        record_listing(connection, "vimeo.com", now, pacing)
        assert listing_wait_s(connection, "vimeo.com", now, pacing) == 0, "there is no limit"


def test_of_many_that_would_list_at_once_one_may(postgres: Postgres):
    """The others get the time to wait."""
    pacing = Pacing(lists_per_minute=PerSite(6.0))

    def asks(_: int) -> float:
        with postgres.transaction() as connection:
            wait_s = listing_wait_s(connection, SITE, pacing=pacing)
            if not wait_s:
                record_listing(connection, SITE, pacing=pacing)
            return wait_s

    began = monotonic()
    with ThreadPoolExecutor(8) as threads:
        waits = sorted(threads.map(asks, range(8)))
    least_s = 10 - (monotonic() - began) - 0.1
    assert waits[0] == 0 and all(least_s < wait_s <= 10 for wait_s in waits[1:])


def test_counts_that_are_old_go(postgres: Postgres, database_server: DatabaseServer):
    """The first count of a new day removes the old ones."""
    with psycopg.connect(database_server.superuser_url) as connection:
        connection.execute(
            "insert into ytcaption.site_day (site, day, bytes) values "
            "(%(site)s, current_date - 90, 1), (%(site)s, current_date - 10, 2)",
            {"site": SITE},
        )
    record_bytes(postgres, SITE, PAUSED, 3)
    record_bytes(postgres, SITE, PAUSED, 4)
    rows = postgres.rows("select bytes from ytcaption.site_day order by day", {})
    assert [row["bytes"] for row in rows] == [2, 7]


def test_a_site_is_named_as_it_is_counted(settings: Settings):
    """Settings for youtu.be would never hold."""
    check_pacing(settings)
    wrong = Settings(bulk_pause_s="0,youtu.be=5", _env_file=None)  # pyright: ignore[reportCallIssue]
    with pytest.raises(SetupError, match=r"BULK_PAUSE_S names youtu\.be: write youtube\.com\."):
        check_pacing(wrong)
