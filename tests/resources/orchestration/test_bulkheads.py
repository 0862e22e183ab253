"""Work that hangs uses its own slot only, and one owner does not delay another."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pytest

from resources.orchestration.orchestrator import Orchestrator
from resources.orchestration.runs import kill_run
from resources.orchestration.tags import PARTITION_TAG
from resources.transcriptions.reads import get_transcription, get_transcriptions
from resources.transcriptions.rows import TranscriptionRow
from resources.transcriptions.store import RequestStore
from tests.support.code_location import CodeLocation, code_location
from tests.support.hanging import HELD
from tests.support.patience import wait_for
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.media.media import MediaSource, url_media_id
from ytcaption.domain.request import Priority, TranscriptionOptions, TranscriptionStatus

OPTIONS = TranscriptionOptions(model="tiny.en", language="en")
RUNNING, COMPLETED = TranscriptionStatus.RUNNING, TranscriptionStatus.COMPLETED
FLOOD, FEW = "key:flood", "key:few"
DRIPS = 500
"""Bytes a second: a clip takes minutes, and no silence of the server ends it."""

LONG_S = 150.0
"""Patience with what takes seconds on an idle machine."""

pytestmark = pytest.mark.model


class System:
    """Everything that makes transcriptions, and clips whose transcription hangs until it is
    released."""

    def __init__(self, location: CodeLocation) -> None:
        self.location = location
        self.instance = location.instance
        self.store = RequestStore.from_settings(location.settings, "admin")
        self.hold = location.folder / "hold"
        self._clips = 0

    def ask(
        self,
        server: MediaServer,
        path: str = "jfk.flac",
        owner: str = FEW,
        priority: Priority = "interactive",
        **query: object,
    ) -> str:
        """Return the id of a request for a new media."""
        self._clips += 1
        url = server.url(path, n=self._clips, **query)
        source = MediaSource(url_media_id(url), "direct", url=url, extractor="Generic")
        return self.store.submit(source, OPTIONS, owner=owner, priority=priority).transcription.id

    def ask_held(self) -> str:
        """The same for a clip whose transcription hangs; it hangs when this returns."""
        self.hold.touch()
        id = self.ask(self.location.server, HELD)
        self.wait(lambda: self.row(id).stage == "transcription")
        return id

    def wait(self, condition, *, seconds: float = LONG_S) -> None:
        try:
            wait_for(condition, seconds)
        except TimeoutError:
            rows = [(row.id, row.status.value, row.stage, row.error_code) for row in self.rows()]
            runs = [(run.run_id, run.status.value) for run in self.instance.get_runs()]
            raise AssertionError(f"{rows}\n{runs}") from None

    def row(self, id: str) -> TranscriptionRow:
        return get_transcription(self.store.postgres, id)

    def rows(self) -> list[TranscriptionRow]:
        found = self.store.postgres.rows("select id from ytcaption.transcription", {})
        return list(get_transcriptions(self.store.postgres, [row["id"] for row in found]).values())

    def runs_of(self, id: str) -> Sequence[dg.DagsterRun]:
        return self.instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: id}))

    def holders(self, pool: str) -> set[str]:
        """Transcriptions that have a slot."""
        info = self.instance.event_log_storage.get_concurrency_info(pool)
        return {self._id_of(slot.run_id) for slot in info.claimed_slots}

    def waiters(self, pool: str) -> set[str]:
        """Transcriptions whose run waits for a slot."""
        info = self.instance.event_log_storage.get_concurrency_info(pool)
        steps = [step for step in info.pending_steps if step.assigned_timestamp is None]
        return {self._id_of(step.run_id) for step in steps}

    def is_queued(self, id: str) -> bool:
        """Whether its run, if there is one, has not been launched."""
        waits = {dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED}
        return all(run.status in waits for run in self.runs_of(id))

    def cancel(self, id: str) -> None:
        """Cancel it as the API does."""
        row = self.store.cancel(id)
        Orchestrator(self.instance).end_runs(id, row.attempt, row.run_id)

    def end_all(self) -> None:
        """Remove everything a test has left, failed or not."""
        self.hold.unlink(missing_ok=True)
        for row in self.rows():
            if not row.status.is_final:
                with suppress(YtcaptionError):
                    self.store.cancel(row.id)
        for run in self.instance.get_runs():
            if not run.is_finished:
                kill_run(self.instance, run, "The test is over.", canceled=True)
        self.instance.event_log_storage.set_concurrency_slots("transcription", 1)

    def _id_of(self, run_id: str) -> str:
        return self.location.run(run_id).tags[PARTITION_TAG]


@pytest.fixture(scope="module")
def running(database_servers, model_home: Path) -> Iterator[System]:
    """Four slots for downloads, two of them for one site, and one for transcriptions."""
    server = database_servers("embedded")
    server.clean()
    with code_location(
        server.url,
        "warm",
        hanging=True,
        model_directory=model_home,
        download_slots=4,
        downloads_per_site=2,
        transcription_slots=1,
    ) as location:
        found = System(location)
        location.instance.event_log_storage.set_concurrency_slots("transcription", 1)
        location.start_daemon()
        yield found


@pytest.fixture
def system(running: System) -> Iterator[System]:
    """An idle system."""
    yield running
    running.end_all()


@pytest.mark.slow
def test_downloads_that_hang_take_their_slots_and_no_others(system: System):
    """Three downloads from two sites hang: media of a third site are downloaded and transcribed.
    One more from the site that has its two waits in Postgres and uses no slot."""
    with MediaServer() as slow, MediaServer() as another:
        path = "slow/jfk.flac"
        of_one_site = [system.ask(slow, path, rate=DRIPS) for _ in range(3)]
        hung = {*of_one_site[:2], system.ask(another, path, rate=DRIPS)}
        system.wait(lambda: system.holders("download") == hung)
        system.wait(lambda: all(system.row(id).progress_done for id in hung))
        good = system.ask(system.location.server)
        system.wait(lambda: system.row(good).status is COMPLETED)
        assert system.holders("download") == hung
        assert {system.row(id).status for id in hung} == {RUNNING}
        assert not system.runs_of(of_one_site[2])


@pytest.mark.slow
def test_a_transcription_that_hangs_takes_its_slot_and_no_other(system: System):
    """Others are downloaded and transcribed meanwhile; it completes once it is released."""
    system.instance.event_log_storage.set_concurrency_slots("transcription", 2)
    held = system.ask_held()
    others = [system.ask(system.location.server) for _ in range(2)]
    for id in others:
        system.wait(lambda id=id: system.row(id).status is COMPLETED)
    assert system.row(held).status is RUNNING
    assert system.holders("transcription") == {held}
    system.hold.unlink()
    system.wait(lambda: system.row(held).status is COMPLETED)


@pytest.mark.slow
def test_interactive_ones_and_those_of_small_owners_overtake(system: System):
    """An interactive one gets the pool's next slot, whatever bulk work waits. Another key's bulk
    work starts before the rest of many earlier requests."""
    server = system.location.server
    held = system.ask_held()
    ahead = {system.ask(server, HELD, owner=FLOOD, priority="bulk") for _ in range(3)}
    system.wait(lambda: system.waiters("transcription") == ahead)
    urgent = system.ask(server, HELD)
    system.wait(lambda: system.waiters("transcription") == {*ahead, urgent})
    flood = [system.ask(server, HELD, owner=FLOOD, priority="bulk") for _ in range(4)]
    with MediaServer() as another:
        few = system.ask(another, "jfk.flac", priority="bulk")
        system.wait(lambda: all(system.runs_of(id) for id in (*flood[:2], few)))
        assert all(system.is_queued(id) for id in (*flood, few))
        system.cancel(held)
        system.wait(lambda: system.holders("transcription") == {urgent})
        system.cancel(urgent)
        system.wait(lambda: not system.is_queued(flood[0]) and not system.is_queued(few))
        assert all(system.is_queued(id) for id in flood[1:])
