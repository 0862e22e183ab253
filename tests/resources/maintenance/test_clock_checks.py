"""Times that were noted by a clock which was ahead, and the waits that they would cause."""

from collections.abc import Iterator

import dagster as dg
import pytest

from resources.maintenance.check import Installation, examine
from resources.maintenance.clock_checks import CLOCK_CHECKS
from resources.maintenance.lost_runs import end_lost_runs
from resources.postgres.connection import Postgres
from resources.postgres.database_clock import DatabaseClock
from resources.sites.circuit_breaker import record_failure
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from resources.transcriptions.time_limits import TimeLimits
from tests.support.clock import Clock, clock  # noqa: F401 - a fixture
from ytcaption.domain.errors import TookTooLong
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings

pytestmark = pytest.mark.postgres

DAY_S = 86_400.0
SOURCE = MediaSource("youtube-abc", "site", "https://www.youtube.com/watch?v=abc", "Youtube")
LIMITS = TimeLimits(transcription_s=600, job_s=600)


@pytest.fixture
def installation(clock: Clock, settings: Settings) -> Iterator[Installation]:
    with dg.instance_for_test() as instance:
        yield Installation.of(settings, instance)


@pytest.fixture
def store(clock: Clock, settings: Settings) -> RequestStore:
    return RequestStore.from_settings(settings, "admin")


@pytest.fixture
def runs(clock: Clock, settings: Settings) -> RunStore:
    return RunStore.from_settings(settings, "admin")


def repair(installation: Installation) -> list[str]:
    [check] = CLOCK_CHECKS
    finding = examine(installation, check, repair=True)
    assert finding.problem is None
    assert examine(installation, check, repair=False).found == ()
    return list(finding.found)


@pytest.mark.long
def test_a_retry_keeps_its_wait(clock, installation, store, runs):
    """It was to wait seconds, and would have waited for a day."""
    clock.forward(DAY_S)
    id = store.submit(SOURCE, TranscriptionOptions("base")).transcription.id
    runs.claim(id, "run-1")
    runs.fail(id, "run-1", "source_unavailable", "It is down.", True, 4, retry_after_s=100.0)
    clock.forward(-DAY_S)
    assert (store.next_due_in_s() or 0) > 80_000

    assert repair(installation) == [f"transcription {id}"]

    assert 90 < (store.next_due_in_s() or 0) <= 101


@pytest.mark.long
def test_a_run_that_died_ahead_of_time_is_lost(clock, installation, store, runs, settings):
    """Its last heartbeat is not younger than everything for a day."""
    clock.forward(DAY_S)
    id = store.submit(SOURCE, TranscriptionOptions("base")).transcription.id
    runs.claim(id, "run-1")
    clock.forward(-DAY_S)
    clock.forward(120)
    assert end_lost_runs(installation.instance, installation.postgres, 4) == []

    assert repair(installation) == [f"transcription {id}"]
    clock.forward(120)

    assert len(end_lost_runs(installation.instance, installation.postgres, 4)) == 1
    assert get_transcription(installation.postgres, id).status == "queued"


@pytest.mark.long
def test_a_breaker_is_probed_after_its_cool_down(clock, installation, settings):
    """Counted from now."""
    clock.forward(DAY_S)
    postgres = Postgres.from_settings(settings, "admin")
    with postgres.transaction() as connection:
        for run in range(6):
            record_failure(connection, "site.example", f"run-{run}", "source_blocked", None, "x")
    clock.forward(-DAY_S)
    assert "breaker site.example" in repair(installation)
    [row] = postgres.rows(
        "select extract(epoch from probe_at - now())::float8 as s from ytcaption.breaker", {}
    )
    assert 0 < row["s"] < 3_600


@pytest.mark.long
def test_nothing_is_found_by_a_clock_that_is_right(installation, store, runs):
    """Neither waiting, running nor future times that are meant."""
    for name in ("tiny", "base"):
        store.submit(SOURCE, TranscriptionOptions(name))
    id = store.submit(SOURCE, TranscriptionOptions("base")).transcription.id
    runs.claim(id, "run-1")
    assert repair(installation) == []


@pytest.mark.parametrize("seconds", [8 * 3_600.0, -3_600.0])
def test_the_time_that_a_machine_slept_is_no_work(clock, store, runs, seconds):
    """A run's limits go by what its process has seen pass; what it worked before still counts."""
    id = store.submit(SOURCE, TranscriptionOptions("base")).transcription.id
    runs.claim(id, "run-1", 1)
    process = DatabaseClock()
    runs.heartbeat(id, "run-1", LIMITS, process)

    clock.forward(seconds)
    runs.heartbeat(id, "run-1", LIMITS, process)

    clock.forward(590)
    runs.heartbeat(id, "run-1", LIMITS)
    clock.forward(20)
    with pytest.raises(TookTooLong):
        runs.heartbeat(id, "run-1", LIMITS)


def test_without_a_step_the_limits_hold(clock, store, runs):
    """The same time, that has passed."""
    id = store.submit(SOURCE, TranscriptionOptions("base")).transcription.id
    runs.claim(id, "run-1", 1)
    clock.forward(8 * 3_600.0)
    with pytest.raises(TookTooLong):
        runs.heartbeat(id, "run-1", LIMITS)
