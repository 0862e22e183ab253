"""Real runs that are canceled or take too long, whatever code they are stuck in."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import dagster as dg
import psutil
import pytest

from resources.orchestration.orchestrator import Orchestrator
from resources.orchestration.runs import kill_run
from resources.processes.process_identity import RUN_PROCESS_TAG
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.rows import TranscriptionRow
from resources.transcriptions.store import RequestStore
from sensors.run_end_sensor import end_runs
from tests.support.code_location import LAUNCHERS, CodeLocation, code_location
from tests.support.hanging import HANGS
from tests.support.patience import patience, wait_for
from tests.support.servers.media_server import DATA
from ytcaption.domain.request import TranscriptionStatus

CANCELED, FAILURE = dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE
CANCEL_S = 5.0
MINUTES = 30
"""Of the recording that is stopped in; some fifty times as fast as it is, in each stage."""

pytestmark = pytest.mark.model


@pytest.fixture(scope="module", params=LAUNCHERS)
def location(
    request: pytest.FixtureRequest, database_servers, model_home: Path
) -> Iterator[CodeLocation]:
    """With each launcher, no worker, and a long recording."""
    server = database_servers("embedded")
    server.clean()
    with code_location(
        server.url, request.param, hanging=True, model_directory=model_home
    ) as found:
        sonnet = (DATA / "sonnet-en.mp3").read_bytes()
        found.server.serve("long.mp3", sonnet * (MINUTES * 60 // 50))
        yield found


# A copy of the code is run by the run server only, and a worker does not know who asks.
only_warm = pytest.mark.parametrize("location", ["warm"], indirect=True, scope="module")


@pytest.fixture(autouse=True)
def no_run_goes_on(location: CodeLocation) -> Iterator[None]:
    """Not even after a failed test."""
    yield
    for run in location.instance.get_runs():
        kill_run(location.instance, run, "The test is over.", canceled=True)


class Watched:
    """One run and everything it must not leave behind."""

    def __init__(self, location: CodeLocation, path: str, *assets: str) -> None:
        self.location = location
        self.store = RequestStore.from_settings(location.settings, "admin")
        self.run = location.launch(*assets, path=path)
        self.key = self.run.tags["dagster/partition"]

    @property
    def row(self) -> TranscriptionRow:
        return get_transcription(self.store.postgres, self.key)

    @cached_property
    def process(self) -> psutil.Process:
        return self.location.process_of(self.run.run_id)

    def wait(self, condition: Callable[[], object], seconds: float = 60) -> None:
        try:
            wait_for(condition, seconds)
        except TimeoutError:
            raise AssertionError("\n".join(self.location.said(self.run.run_id))) from None

    @property
    def decoders(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return [
                child
                for child in self.process.children(recursive=True)
                if "decoder_child" in " ".join(child.cmdline())
            ]
        return []

    def leftovers(self) -> list[str]:
        """What there still is of it."""
        storage = self.location.instance.event_log_storage
        pools = [storage.get_concurrency_info(name) for name in ("download", "transcription")]
        run = self.location.run(self.run.run_id)
        folder = self.location.settings.home / "downloads" / self.row.media_id
        found = {
            f"the run is {run.status}": not run.is_finished,
            "slots": any(
                step.run_id == self.run.run_id
                for pool in pools
                for step in [*pool.claimed_slots, *pool.pending_steps]
            ),
            "its folder": folder.exists(),
        }
        return [what for what, is_there in found.items() if is_there]

    def cancel(self) -> None:
        """Cancel it as the API does; nothing is left within seconds."""
        assert _lives(self.process)
        began = time.monotonic()
        row = self.store.cancel(self.key)
        Orchestrator(self.location.instance).end_runs(self.key, row.attempt, row.run_id)
        while left := self.leftovers():
            assert time.monotonic() - began < CANCEL_S * patience(), left
            time.sleep(0.05)
        self.wait(lambda: not _lives(self.process))  # an interpreter takes its time to end
        assert self.row.status is TranscriptionStatus.CANCELED
        assert self.location.run(self.run.run_id).status is CANCELED


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.mark.slow
def test_in_the_middle_of_a_download(location: CodeLocation):
    """From a server that has stalled; the partial file is removed, too."""
    watched = Watched(location, "stall/sonnet-en.mp3", "audio_download")
    folder = location.settings.home / "downloads" / watched.row.media_id
    watched.wait(lambda: folder.exists() and any(folder.glob("media*")))
    watched.cancel()


@pytest.mark.slow
def test_while_it_waits_for_a_slot(location: CodeLocation):
    """Before it has claimed anything."""
    with location.no_slots():
        watched = Watched(location, "jfk.flac", "audio_download")
        watched.wait(lambda: watched.run.run_id in location.waiting_runs())
        watched.cancel()


def transcribing_run(location: CodeLocation, stage: str) -> Watched:
    """A run that decodes, detects speech, or is in the model."""
    watched = Watched(location, "long.mp3", "audio_download", "transcription")
    watched.wait(lambda: watched.decoders and watched.row.stage == "transcription")
    if stage != "decoding":
        watched.wait(lambda: not watched.decoders, 300)
        time.sleep(0.5)
        assert watched.row.progress_done == 0
    if stage == "model":
        watched.wait(lambda: (watched.row.progress_done or 0) > 0, 300)
    return watched


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["decoding", "vad", "model"])
def test_in_the_middle_of_a_transcription(location: CodeLocation, stage: str):
    """Most of the recording is still to be transcribed."""
    transcribing_run(location, stage).cancel()


@only_warm
@pytest.mark.slow
def test_a_worker_stops_a_canceled_transcription(location: CodeLocation):
    """With the run, and keeps its model for the next one."""
    worker = location.start_worker()

    def jobs() -> int | None:
        health = worker.health()
        return health.jobs if health else None

    watched = transcribing_run(location, "vad")
    watched.wait(lambda: jobs() == 1)
    watched.cancel()
    wait_for(lambda: jobs() == 0, CANCEL_S)
    watched = transcribing_run(location, "model")
    assert jobs() == 1
    watched.cancel()
    wait_for(lambda: jobs() == 0, CANCEL_S)


@only_warm
@pytest.mark.slow
@pytest.mark.parametrize("ends", ["canceled", "took_too_long"])
def test_a_run_that_holds_the_interpreter_is_ended_from_outside(
    location: CodeLocation, monkeypatch: pytest.MonkeyPatch, ends: str
):
    """It ignores signals and sends no heartbeats: native code does not return."""
    watched = Watched(location, HANGS, "audio_download", "transcription")
    watched.wait(lambda: watched.row.stage == "transcription")
    assert watched.location.run(watched.run.run_id).tags.get(RUN_PROCESS_TAG), "not forked"
    assert _lives(watched.process)
    time.sleep(2.0)  # no beat comes any more
    monkeypatch.setenv("YTCAPTION_HOME", str(location.settings.home))
    is_canceled = ends == "canceled"
    if not is_canceled:  # here; the run itself believes that it has an hour
        monkeypatch.setenv("YTCAPTION_TRANSCRIPTION_TIMEOUT_S", "1")
    began = time.monotonic()
    if is_canceled:
        row = watched.store.cancel(watched.key)
        Orchestrator(location.instance).end_runs(watched.key, row.attempt, row.run_id)
    seen: dict[str, float] = {}
    while left := watched.leftovers():
        end_runs(location.instance, watched.store.postgres, seen, time.monotonic())
        assert time.monotonic() - began < (CANCEL_S if is_canceled else 15.0), left
        time.sleep(0.1)
    wait_for(lambda: not _lives(watched.process), CANCEL_S)  # it was killed
    run = location.run(watched.run.run_id)
    assert run.status is (CANCELED if is_canceled else FAILURE)
    assert watched.row.error_code == (None if is_canceled else "timeout")
