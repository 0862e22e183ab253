"""Sites that fail are left alone for a while, by all processes, on every Postgres that is here."""

import multiprocessing
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import psycopg
import pytest

from resources.postgres.connection import Postgres
from resources.sites.circuit_breaker import (
    FAILURES,
    Breaker,
    breakers,
    close_breaker,
    open_breaker,
    site_named,
)
from resources.sites.domains import site_code, site_of
from resources.transcriptions.reads import get_media, get_transcription
from resources.transcriptions.run_settlement import settle_silent
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.resources.transcripts import AUDIO, INFO
from tests.support.clock import Clock, clock  # noqa: F401 - a fixture
from tests.support.servers.postgres_servers import (
    SERVERS,
    DatabaseServer,
)
from ytcaption.domain.errors import ClaimLost, InvalidUrl, SourcePaused
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption.settings.settings import load_settings

pytestmark = pytest.mark.parametrize("database_server", SERVERS, indirect=True)

OPTIONS = TranscriptionOptions("base")
BLOCKED, AWAY = "source_blocked", "source_unavailable"


def submit(store: RequestStore, name: str, host: str = "www.youtube.com", **more) -> str:
    source = MediaSource(f"url-{name}", "site", f"https://{host}/{name}", "Some")
    return store.submit(source, OPTIONS, **more).transcription.id


def began(store: RequestStore, name: str, per_site: int = 100, **more) -> str:
    """A transcription whose run, named like it, was let through."""
    id = submit(store, name, **more)
    RunStore(postgres=store.postgres).claim(id, name)
    RunStore(postgres=store.postgres).begin_download(id, name, per_site)
    return id


def fail(store: RequestStore, name: str, code: str = BLOCKED, **more) -> str:
    id = began(store, name, **more)
    RunStore(postgres=store.postgres).fail(id, name, code, "It failed.", True, 4)
    return id


def opened(store: RequestStore) -> None:
    """The breaker of YouTube, by failures."""
    for number in range(FAILURES):
        fail(store, f"fails-{number}")


def only(store: RequestStore) -> Breaker:
    (found,) = breakers(store.postgres)
    return found


def events(server: DatabaseServer) -> list[tuple[str, dict]]:
    with psycopg.connect(server.superuser_url) as connection:
        return connection.execute(
            "select event_type, data from ytcaption.event where transcription_id is null "
            'order by "timestamp", event_id'
        ).fetchall()


def alerts(server: DatabaseServer) -> list[tuple[str, str, int]]:
    with psycopg.connect(server.superuser_url) as connection:
        return connection.execute("select code, subject, number from ytcaption.alert").fetchall()


def is_let_through(store: RequestStore, id: str, run_id: str) -> bool:
    try:
        RunStore(postgres=store.postgres).begin_download(id, run_id, 100)
    except SourcePaused:
        return False
    return True


def test_five_failures_in_a_row_open_it(
    request_store: RequestStore, run_store: RunStore, database_server
):
    """Not four; the sixth download does not begin, its transcription waits with all its tries."""
    for number in range(FAILURES - 1):
        fail(request_store, f"fails-{number}", (BLOCKED, AWAY)[number % 2])
    assert only(request_store).state == "closed"
    late = submit(request_store, "late")
    run_store.claim(late, "late")  # it was claimed before, and begins after
    fail(request_store, "last")
    assert (only(request_store).state, only(request_store).site) == ("open", "youtube.com")
    with pytest.raises(SourcePaused, match=r"youtube\.com has refused or failed 5 times"):
        run_store.begin_download(late, "late", 100)
    row = get_transcription(request_store.postgres, late)
    assert (row.status, row.try_number, row.error_code) == (TranscriptionStatus.QUEUED, 1, None)
    assert row.attempt == 2, "Dagster has not seen this run key"
    with pytest.raises(ClaimLost):
        run_store.heartbeat(late, "late")
    data = {"site": "youtube.com", "code": BLOCKED, "failures": 5}
    assert events(database_server) == [("BreakerOpened", data)]
    assert alerts(database_server) == [("breaker_opened", "youtube.com", 1)]


def test_a_success_forgets_failures(request_store: RequestStore, run_store: RunStore):
    """Only failures in a row open the breaker."""
    for number in range(FAILURES - 1):
        fail(request_store, f"fails-{number}")
    id = began(request_store, "good")
    run_store.audio_stored(id, "good", INFO, AUDIO)
    assert breakers(request_store.postgres) == []
    fail(request_store, "one-more")
    assert only(request_store).failures == 1


@pytest.mark.parametrize(
    "code", ["media_private", "disk_full", "run_lost", "download_crashed", "network_unavailable"]
)
def test_what_is_not_the_sites_fault_does_not_count(request_store: RequestStore, code: str):
    """Media that are private or gone, a full disk, a lost run."""
    for number in range(FAILURES + 1):
        fail(request_store, f"fails-{number}", code)
    assert breakers(request_store.postgres) == []


def test_a_machine_without_network_waits_for_it(
    request_store: RequestStore, run_store: RunStore, database_server: DatabaseServer
):
    """Attempts follow each other every half minute and do not count, for an hour after the request;
    then they count."""
    id = submit(request_store, "offline")

    def fail_offline(run_id: str) -> tuple[TranscriptionStatus, int]:
        run_store.claim(id, run_id)
        run_store.begin_download(id, run_id, 100)
        run_store.fail(id, run_id, "network_unavailable", "No network.", True, 4)
        row = get_transcription(request_store.postgres, id)
        return row.status, row.try_number

    with psycopg.connect(database_server.superuser_url, autocommit=True) as connection:
        for number in range(6):
            assert fail_offline(f"run-{number}") == (TranscriptionStatus.QUEUED, 1)
            (waits,) = connection.execute(
                "select next_attempt_at - now() > interval '25 s' from ytcaption.transcription"
            ).fetchone() or (None,)
            assert waits
        connection.execute("update ytcaption.transcription set queued_at = now() - interval '2 h'")
    assert fail_offline("run-6") == (TranscriptionStatus.QUEUED, 2)


def test_a_download_that_never_began_does_not_count(
    request_store: RequestStore, run_store: RunStore
):
    """Such as what a worker says, or a run of the text alone."""
    for number in range(FAILURES + 1):
        id = submit(request_store, f"fails-{number}")
        run_store.claim(id, "run")
        run_store.fail(id, "run", AWAY, "It failed.", True, 4)
    assert breakers(request_store.postgres) == []


def test_one_sites_failures_are_not_anothers(request_store: RequestStore):
    """Each site has a row of its own."""
    opened(request_store)
    began(request_store, "elsewhere", host="vimeo.com")


def test_while_it_is_open_nothing_of_it_is_due(
    clock: Clock, request_store: RequestStore, run_store: RunStore
):
    """But of other sites, uploads, and what has its audio here; after 60 s one."""
    stored = began(request_store, "stored")
    run_store.audio_stored(stored, "stored", INFO, AUDIO)
    opened(request_store)
    clock.forward(9)
    source = get_media(request_store.postgres, "url-stored").source
    other = TranscriptionOptions("tiny")
    here = request_store.submit(source, other).transcription.id
    upload = MediaSource("upload-a", "upload", title="a.mp3")
    upload_id = request_store.submit(upload, OPTIONS).transcription.id
    waits, vimeo = submit(request_store, "waits"), submit(request_store, "vimeo", "vimeo.com")
    assert {due.id for due in request_store.due(10)} == {here, upload_id, vimeo}
    for id in (here, upload_id, vimeo):
        request_store.cancel(id)
    due_in_s = request_store.next_due_in_s()
    assert due_in_s is not None and 40 < due_in_s <= 51
    assert not request_store.wait_for_work(0.1)
    clock.forward(52)
    assert request_store.next_due_in_s() == 0
    assert len(request_store.due(10)) == 1
    assert only(request_store).waiting == 6
    request_store.cancel(waits)


def probers(store: RequestStore, number: int) -> list[str]:
    """Claimed by runs that were started before, and are about to begin."""
    names = [f"prober-{each}" for each in range(number)]
    ids = [submit(store, name) for name in names]
    for id, name in zip(ids, names, strict=True):
        RunStore(postgres=store.postgres).claim(id, name)
    return ids


def begin_as(id: str, run_id: str) -> bool:
    """In a process of its own, as the dagster role."""
    store = RequestStore(postgres=Postgres.from_settings(load_settings(), "dagster"))
    return is_let_through(store, id, run_id)


@pytest.mark.slow
@pytest.mark.parametrize("of", ["threads", "processes"])
def test_of_eight_probers_one_is_let_through(
    clock: Clock, request_store: RequestStore, database_server, of: str
):
    """The other seven wait and have lost no try."""
    opened(request_store)
    ids = probers(request_store, 8)
    clock.forward(61)
    pool: Executor = (
        ThreadPoolExecutor(8)
        if of == "threads"
        else ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))
    )
    with pool:
        runs = [f"prober-{number}" for number in range(8)]
        if of == "threads":
            through = list(pool.map(is_let_through, [request_store] * 8, ids, runs))
        else:
            through = list(pool.map(begin_as, ids, runs))
    assert through.count(True) == 1
    rows = [get_transcription(request_store.postgres, id) for id in ids]
    assert sorted(row.status for row in rows) == ["queued"] * 7 + ["running"]
    assert {row.try_number for row in rows} == {1}
    assert only(request_store).state == "probing"
    assert [name for name, _ in events(database_server)] == ["BreakerOpened", "BreakerProbed"]


def test_the_probes_success_closes_it(
    clock: Clock, request_store: RequestStore, run_store: RunStore, database_server
):
    """Transcriptions that wait for the site are due at once."""
    early = began(request_store, "early")
    opened(request_store)
    run_store.audio_stored(early, "early", INFO, AUDIO)
    assert only(request_store).state == "open", "a download that began before proves nothing"
    clock.forward(61)
    id = began(request_store, "probe")
    submit(request_store, "waits")
    assert request_store.due(10) == []
    run_store.audio_stored(id, "probe", INFO, AUDIO)
    assert breakers(request_store.postgres) == []
    assert len(request_store.due(10)) == FAILURES + 1
    assert events(database_server)[-1] == ("BreakerClosed", {"site": "youtube.com"})


def test_the_probes_failure_opens_it_again(
    clock: Clock, request_store: RequestStore, run_store: RunStore
):
    """It opens for another 60 s; a failure of an earlier download changes nothing."""
    early = began(request_store, "early")
    opened(request_store)
    clock.forward(61)
    fail(request_store, "probe")
    first = only(request_store)
    assert (first.state, first.failures) == ("open", FAILURES + 1)
    assert first.probe_at is not None and first.opened_at is not None
    assert (first.probe_at - first.opened_at).total_seconds() == 60
    clock.forward(30)
    run_store.fail(early, "early", AWAY, "It failed.", True, 4)
    assert only(request_store).probe_at == first.probe_at


def test_a_probe_costs_its_transcription_no_attempt_for_an_hour(
    clock: Clock, request_store: RequestStore, run_store: RunStore
):
    """It tried for all who wait, so the next who tries is another; what no site ever gives fails
    in the end."""
    opened(request_store)
    clock.forward(61)
    id = fail(request_store, "probe")
    row = get_transcription(request_store.postgres, id)
    assert (row.status, row.try_number, row.error_code) == (TranscriptionStatus.QUEUED, 1, BLOCKED)
    clock.forward(61)
    due = [each.id for each in request_store.due(10)]
    assert len(due) == 1 and id not in due
    clock.forward(3600)
    run_store.claim(id, "late", row.attempt)
    run_store.begin_download(id, "late", 100)
    run_store.fail(id, "late", BLOCKED, "It failed.", True, 4)
    assert get_transcription(request_store.postgres, id).try_number == 2


@pytest.mark.parametrize("end", ["private", "canceled", "lost"])
def test_a_probe_without_a_verdict_is_followed_by_another(
    clock: Clock, request_store: RequestStore, run_store: RunStore, end: str
):
    """The next probe starts at once, since the site may be well."""
    opened(request_store)
    clock.forward(61)
    id = began(request_store, "probe")
    if end == "private":
        run_store.fail(id, "probe", "media_private", "It is private.", False, 4)
    elif end == "canceled":
        request_store.cancel(id)
    else:
        clock.forward(61)
        assert [lost.id for lost in settle_silent(request_store.postgres, 60, 4)] == [id]
    assert only(request_store).state == "open"
    assert len(request_store.due(10)) == 1
    began(request_store, "next")


def test_retry_after_holds_for_the_site_too(
    clock: Clock, request_store: RequestStore, run_store: RunStore
):
    """It is left alone as long as it says, and so is the media that was refused."""
    for number in range(FAILURES):
        id = began(request_store, f"fails-{number}")
        run_store.fail(id, f"fails-{number}", BLOCKED, "429", True, 4, 600.0)
    clock.forward(599)
    assert request_store.due(10) == []
    clock.forward(5)
    assert len(request_store.due(10)) == 1


def test_an_operator_opens_and_closes_it(
    clock: Clock, request_store: RequestStore, run_store: RunStore, database_server
):
    """It stays open or closed until they change it, whatever succeeds or fails meanwhile."""
    early = began(request_store, "early")
    open_breaker(request_store.postgres, "youtube.com", "They asked us to.", "key:abc")
    run_store.audio_stored(early, "early", INFO, AUDIO)
    clock.forward(3600)
    submit(request_store, "waits")
    assert (request_store.due(10), request_store.next_due_in_s()) == ([], None)
    found = only(request_store)
    assert (found.state, found.reason, found.opened_by) == ("open", "They asked us to.", "key:abc")
    assert found.message.startswith("An operator has stopped downloads from youtube.com")
    assert close_breaker(request_store.postgres, "youtube.com", "key:abc")
    assert not close_breaker(request_store.postgres, "youtube.com", "key:abc")
    assert len(request_store.due(10)) == 1
    by = {"site": "youtube.com", "by": "key:abc"}
    assert events(database_server) == [("BreakerOpened", by), ("BreakerClosed", by)]


def test_a_site_has_no_more_downloads_than_it_may(request_store: RequestStore, run_store: RunStore):
    """Neither are more due than there are places, nor do more begin; a place that is free is
    used."""
    for number in range(5):
        submit(request_store, f"slow-{number}")
    other = submit(request_store, "other", "vimeo.com")
    due = [each.id for each in request_store.due(10, per_site=2)]
    assert len(due) == 3 and other in due
    first = began(request_store, "slow-0", per_site=2)
    began(request_store, "slow-1", per_site=2)
    assert [each.id for each in request_store.due(10, per_site=2)] == [other]
    third = submit(request_store, "slow-2")
    run_store.claim(third, "slow-2")
    with pytest.raises(SourcePaused, match="2 downloads from"):
        run_store.begin_download(third, "slow-2", 2)
    assert get_transcription(request_store.postgres, third).try_number == 1
    run_store.audio_stored(first, "slow-0", INFO, AUDIO)
    assert len(request_store.due(10, per_site=2)) == 2
    request_store.cancel(other)
    assert request_store.next_due_in_s(per_site=1) is None


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://www.youtube.com/watch?v=x", "youtube.com"),
        ("https://m.youtube.com/watch?v=x", "youtube.com"),
        ("https://youtu.be/x", "youtube.com"),
        ("https://news.bbc.co.uk/a", "bbc.co.uk"),
        ("https://notyoutube.com/a", "notyoutube.com"),
        ("http://www.example.org/a.mp3", "example.org"),
        ("http://127.0.0.1:8080/a.mp3", "127.0.0.1:8080"),
        ("http://[2001:db8::1]/a.mp3", "[2001:db8::1]"),
    ],
)
def test_a_site_is_what_fails_as_one(database_server, url: str, site: str):
    """A site of the list by its first domain, any other by its host."""
    assert site_of(url) == site


def test_an_operator_may_name_a_site_as_they_like(database_server):
    """By host or URL; and an event names only those of the list, for ever."""
    assert site_named("youtu.be") == site_named("https://youtube.com/x") == "youtube.com"
    with pytest.raises(InvalidUrl):
        site_named("no site at all")
    assert site_code("youtube.com") == "youtube.com"
    assert "example" not in site_code("example.org")


def test_the_site_to_wait_for_follows_the_audio(
    request_store: RequestStore, run_store: RunStore, database_server
):
    """For every transcription of the media, when it is stored and when it is forgotten."""

    def sites() -> set[str | None]:
        with psycopg.connect(database_server.superuser_url) as connection:
            rows = connection.execute("select source_site from ytcaption.transcription").fetchall()
        return {row[0] for row in rows}

    id = began(request_store, "one")
    source = get_media(request_store.postgres, "url-one").source
    request_store.submit(source, TranscriptionOptions("tiny"))
    assert sites() == {"youtube.com"}
    run_store.audio_stored(id, "one", INFO, AUDIO)
    assert sites() == {None}
    request_store.submit(source, TranscriptionOptions("small"))
    assert sites() == {None}
    request_store.submit(source, TranscriptionOptions("tiny"), force=True)
    assert sites() == {"youtube.com"}
