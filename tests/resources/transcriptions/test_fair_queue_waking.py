"""When the sensor is woken: at the first time at which something can start, and not before.

One that is early costs a look at the queue; one that is late or missing costs the user a wait.
"""

import psycopg
import pytest

from resources.network.proxy_health import record_failed
from resources.sites.circuit_breaker import FAILURES, open_breaker
from resources.transcriptions.fair_queue import next_due_in_s
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.resources.sites.test_circuit_breaker import began, fail, submit
from tests.resources.sites.test_pacing import PAUSED, begun, quiet_now
from tests.resources.transcripts import AUDIO, INFO
from tests.support.clock import Clock, clock  # noqa: F401 - a fixture
from tests.support.servers.postgres_servers import DatabaseServer
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.media.pacing import UNPACED, Pacing
from ytcaption.domain.request import TranscriptionOptions, run_key

ELSEWHERE = "vimeo.com"
PROXY = Pacing(proxies=("only",))


class Waiting:
    """Transcriptions that wait, and when the sensor is woken for them."""

    def __init__(self, store: RequestStore, server: DatabaseServer) -> None:
        self.store, self.server = store, server

    def retry(self, id: str, in_s: float) -> str:
        """Set when the transcription may be tried again; return its id."""
        with psycopg.connect(self.server.superuser_url) as connection:
            connection.execute(
                "update ytcaption.transcription "
                "set next_attempt_at = now() + make_interval(secs => %s) where id = %s",
                (in_s, id),
            )
        return id

    def upload(self, **more) -> str:
        """Submit an upload, which has no site; return its id."""
        source = MediaSource("upload-a", "upload", title="a")
        return self.store.submit(source, TranscriptionOptions("base"), **more).transcription.id

    def wakes(self, in_s: float | None, pacing: Pacing = UNPACED, per_site: int = 9, known=()):
        """Check in how many seconds the sensor is woken; None: not before a further event."""
        with self.store.postgres.transaction() as connection:
            due_in_s = next_due_in_s(connection, per_site, known, pacing)
        assert due_in_s == (pytest.approx(in_s, abs=15) if in_s else in_s)


@pytest.fixture
def waiting(
    clock: Clock,
    request_store: RequestStore,
    database_server: DatabaseServer,
) -> Waiting:
    """Nothing waits yet."""
    return Waiting(request_store, database_server)


def failed_site(store: RequestStore) -> None:
    """Open YouTube's circuit breaker, for 60 s; nothing waits for the site."""
    for number in range(FAILURES):
        store.cancel(fail(store, f"fails-{number}"))


def test_a_retry_wakes_it_while_another_has_its_run(waiting: Waiting):
    """What is due and has a run in Dagster is not waited for; the next retry is."""
    id = submit(waiting.store, "has-a-run")
    waiting.wakes(None, known=[run_key(id, 1)])
    late = waiting.retry(submit(waiting.store, "late"), 200)
    waiting.wakes(200, known=[run_key(id, 1)])
    waiting.retry(submit(waiting.store, "earlier"), 100)
    waiting.wakes(100, known=[run_key(id, 1)])
    waiting.retry(late, 0)
    waiting.wakes(0, known=[run_key(id, 1)])


def test_only_what_is_queued_wakes_it(waiting: Waiting):
    """A run that works on a transcription, or one that ended, has no retry."""
    id = submit(waiting.store, "runs")
    RunStore(postgres=waiting.store.postgres).claim(id, "run")
    waiting.retry(id, 100)
    waiting.wakes(None)


@pytest.mark.long
def test_a_site_that_failed_wakes_it_when_it_may_be_tried(waiting: Waiting):
    """Once one of its transcriptions may be tried, too. Other sites and uploads do not wait."""
    failed_site(waiting.store)
    waiting.wakes(None)
    first = waiting.retry(submit(waiting.store, "first"), 300)
    waiting.wakes(300)
    waiting.retry(submit(waiting.store, "second"), 30)
    waiting.wakes(60)
    waiting.retry(submit(waiting.store, "elsewhere", ELSEWHERE), 30)
    waiting.wakes(30)
    waiting.store.cancel(first)


def test_an_upload_does_not_wait_for_a_site(waiting: Waiting):
    """Its retry wakes the sensor while a site has failed and every proxy cools down."""
    failed_site(waiting.store)
    record_failed(waiting.store.postgres, "only", "it hangs up")
    upload = waiting.retry(waiting.upload(), 20)
    elsewhere = waiting.retry(submit(waiting.store, "elsewhere", ELSEWHERE), 100)
    waiting.wakes(20, PROXY, per_site=1)
    waiting.retry(upload, 200)
    waiting.wakes(100, PROXY)
    waiting.retry(elsewhere, 20)
    waiting.wakes(60, PROXY)


def test_a_retry_after_the_proxies_cooled_down_has_its_own_time(waiting: Waiting):
    """It is later than the proxy's."""
    record_failed(waiting.store.postgres, "only", "it hangs up")
    waiting.retry(submit(waiting.store, "late"), 200)
    waiting.wakes(200, PROXY)


def test_a_probe_in_progress_is_waited_for(clock: Clock, waiting: Waiting):
    """Its end wakes the sensor; no retry does before."""
    failed_site(waiting.store)
    clock.forward(61)
    began(waiting.store, "probe")
    waiting.retry(submit(waiting.store, "waits"), 100)
    waiting.wakes(None)


def test_a_site_that_an_operator_stopped_wakes_nobody(waiting: Waiting):
    """Until the operator lets downloads start again."""
    open_breaker(waiting.store.postgres, "youtube.com", "They asked us to.", "key:abc")
    waiting.retry(submit(waiting.store, "waits"), 100)
    waiting.wakes(None)


def test_a_site_without_a_free_place_wakes_nobody(waiting: Waiting):
    """The end of a download does. A site with a place is woken for."""
    running = began(waiting.store, "runs")
    waiting.retry(submit(waiting.store, "waits"), 100)
    waiting.wakes(None, per_site=1)
    waiting.wakes(100, per_site=2)
    elsewhere = waiting.retry(submit(waiting.store, "elsewhere", ELSEWHERE), 200)
    waiting.wakes(200, per_site=1)
    waiting.store.cancel(elsewhere)
    RunStore(postgres=waiting.store.postgres).audio_stored(running, "runs", INFO, AUDIO)
    waiting.wakes(100, per_site=1)


def test_the_end_of_quiet_hours_wakes_it_for_bulk_work(waiting: Waiting):
    """Not for a retry within them; one after them has its own time."""
    quiet = quiet_now(waiting.server)
    bulk = waiting.retry(submit(waiting.store, "bulk", priority="bulk"), 100)
    due_in_s = waiting.store.next_due_in_s(9, quiet)
    assert due_in_s is not None and 29 * 60 < due_in_s <= 30 * 60
    waiting.retry(bulk, 3000)
    waiting.wakes(3000, quiet)
    waiting.retry(waiting.upload(priority="bulk"), 200)
    waiting.wakes(200, quiet)


def test_a_bulk_download_in_progress_makes_bulk_work_of_its_site_wait(
    clock: Clock, waiting: Waiting
):
    """Its end wakes the sensor. Retries of another site, and of interactive work, do before."""
    begun(waiting.store, submit(waiting.store, "runs", priority="bulk"), "run")
    clock.forward(60)  # it takes longer than the pause
    waiting.retry(submit(waiting.store, "bulk", priority="bulk"), 100)
    waiting.wakes(None, PAUSED)
    waiting.retry(submit(waiting.store, "elsewhere", ELSEWHERE, priority="bulk"), 300)
    waiting.wakes(300, PAUSED)
    waiting.retry(submit(waiting.store, "urgent"), 200)
    waiting.wakes(200, PAUSED)
