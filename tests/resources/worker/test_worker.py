"""A worker of this machine gives the same result as the run's own process, whatever happens."""

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import httpx
import numpy as np
import pytest

from resources.audio.samples import mapped_path
from resources.transcribe import checkpoint as checkpoint_module
from resources.transcribe.checkpoint import Checkpoint, Part
from resources.transcribe.transcriber import Transcriber
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from resources.worker import app as worker_app
from resources.worker import jobs as worker_jobs
from resources.worker.app import Authenticator, WorkerApp
from resources.worker.client import local_workers
from resources.worker.jobs import Job, JobPool
from resources.worker.protocol import TranscribeRequest
from resources.worker.samples import map_shared_file, shared_file
from resources.worker.server import serve_here
from resources.worker.transcriber import ProgressRelay
from tests.support.clip_errors import TINY_EN, samples
from tests.support.patience import wait_for
from tests.support.workers import WorkerHome, recording
from ytcaption.domain.errors import AudioUndecodable, ClaimLost, SetupError, UnknownModel
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Recognition

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def home(model_home: Path) -> Iterator[WorkerHome]:
    """Start a worker with two slots; the sequential engine reports segments one after the other."""
    home = WorkerHome(
        model_home,
        YTCAPTION_ENGINE="sequential",
        YTCAPTION_WORKER_JOBS="2",
        YTCAPTION_WORKER_DRAIN_S="1",
    )
    home.ensure()
    yield home
    home.remove()


@pytest.fixture(scope="module")
def waveform() -> np.ndarray:
    return recording()


@pytest.fixture(scope="module")
def parts() -> list[Part]:
    """Return the parts that the reference saves."""
    return []


@pytest.fixture(scope="module")
def reference(home: WorkerHome, waveform: np.ndarray, parts: list[Part]) -> Recognition:
    """Transcribe without a worker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_module, "SAVE_INTERVAL_S", 0.0)
        checkpoint = Checkpoint([], parts.append)
        return home.local().transcribe(
            waveform, TINY_EN, lambda *_: None, lambda _: None, checkpoint
        )


def same(ours: Recognition, theirs: Recognition) -> bool:
    """Compare all but the time it took."""
    return (ours.segments, ours.dropped, ours.language, ours.speech_s, ours.duration_s) == (
        (theirs.segments, theirs.dropped, theirs.language, theirs.speech_s, theirs.duration_s)
    )


def jobs(home: WorkerHome) -> int:
    return home.health().jobs


@pytest.mark.long
def test_the_result_is_that_of_the_run_itself(home, waveform, reference):
    """All numbers are equal; segments are reported, the model stays loaded, provenance is right."""
    home.ensure()
    transcriber = home.transcriber()
    reported, seen = [], []
    result = transcriber.transcribe(
        waveform, TINY_EN, lambda done, total: seen.append((done, total)), reported.append
    )
    assert same(result, reference)
    assert len(result.segments) >= 3
    assert tuple(reported) == result.segments
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {result.duration_s}
    assert result.timings_s["model"] > 0
    assert home.health().models == ["tiny.en"]
    assert transcriber.describe("tiny.en") == home.local().describe("tiny.en")
    assert "tiny.en: 28." in home.log
    assert not list(home.home.glob(".samples-*"))


@pytest.mark.long
def test_dagster_gives_it_to_an_asset(home):
    """The engine it falls back to is a nested resource."""
    home.ensure()
    before = home.log.count("s of audio in")

    @dg.asset
    def segment_count(transcriber: dg.ResourceParam[Transcriber]) -> int:
        waveform = samples("jfk.flac")
        return len(transcriber.transcribe(waveform, TINY_EN, lambda *_: None).segments)

    result = dg.materialize([segment_count], resources={"transcriber": home.transcriber()})
    assert result.output_for_node("segment_count") == 2
    assert home.log.count("s of audio in") == before + 1


@pytest.mark.long
def test_errors_are_those_of_the_run_itself(home):
    """They have the same classes and messages."""
    home.ensure()
    for transcriber in (home.transcriber(), home.local()):
        with pytest.raises(AudioUndecodable):
            broken = np.full(16_000, np.nan, np.float32)
            transcriber.transcribe(broken, TINY_EN, lambda *_: None)
        with pytest.raises(UnknownModel, match="Unknown model 'nope'"):
            unknown = TranscriptionOptions(model="nope", language="en")
            transcriber.transcribe(samples("jfk.flac"), unknown, lambda *_: None)
    assert "a job failed with unknown_model" in home.log


@pytest.mark.long
def test_a_checkpoint_is_sent_to_the_worker(home, waveform, reference, parts):
    """The worker does not decode saved audio again, and reports its segments."""
    home.ensure()
    assert len(parts) >= 2
    reported = []
    checkpoint = Checkpoint(parts[:1], lambda _: None)
    result = home.transcriber().transcribe(
        waveform, TINY_EN, lambda *_: None, reported.append, checkpoint
    )
    assert result.resumed_s == parts[0]["done_s"]
    assert tuple(reported) == result.segments == reference.segments


async def messages_of(job: Job, waveform: np.ndarray, folder: Path) -> list[dict]:
    """Run a job and return its messages."""
    with shared_file(waveform, folder) as path:
        request = TranscribeRequest(TINY_EN, len(waveform), str(path), [])
        job.start(request, map_shared_file(str(path), len(waveform)))
    blocks = [block async for block in job.lines()]
    return [json.loads(line) for line in b"".join(blocks).splitlines()]


@pytest.mark.slow
def test_parts_of_a_checkpoint_are_returned(
    home, waveform, reference, parts, monkeypatch, tmp_path
):
    """They are those that the run itself would save, and are used after a worker is lost."""
    monkeypatch.setattr(checkpoint_module, "SAVE_INTERVAL_S", 0.0)
    jobs = JobPool(home.local(), slots=1, idle_s=0)

    async def work() -> list[dict]:
        job = jobs.acquire()
        assert job is not None
        assert jobs.acquire() is None
        return await messages_of(job, waveform, tmp_path)

    messages = asyncio.run(work())
    assert [each["part"] for each in messages if "part" in each] == parts
    assert [each["segment"]["index"] for each in messages if "segment" in each] == list(
        range(len(reference.segments))
    )
    assert "recognition" in messages[-1]
    wait_for(lambda: jobs.active == 0)
    saved = []
    relay = ProgressRelay(1.0, lambda *_: None, None, Checkpoint(parts[:1], saved.append))
    relay.receive({"part": parts[1]})
    relay.receive({"part": parts[1]})
    assert relay.parts == parts[:2]
    assert saved == [parts[1]] * 2


def test_a_job_without_progress_is_given_up(home, waveform, monkeypatch, tmp_path):
    """The response ends with an error."""
    monkeypatch.setattr(worker_jobs, "STALL_S", 0.0)
    monkeypatch.setattr(worker_jobs, "HEARTBEAT_S", 0.01)
    jobs = JobPool(home.local(), slots=1, idle_s=0)

    async def work() -> None:
        job = jobs.acquire()
        assert job is not None
        try:
            await messages_of(job, waveform, tmp_path)
        finally:
            job.cancel()

    with pytest.raises(TimeoutError):
        asyncio.run(work())
    wait_for(lambda: jobs.active == 0)


def test_a_canceled_job_that_hangs_is_detected(home, waveform, monkeypatch, tmp_path):
    """Its lines are not read any more, and it keeps its slot: the worker has to stop."""
    monkeypatch.setattr(worker_jobs, "STALL_S", 0.2)
    monkeypatch.setattr(worker_jobs, "HEARTBEAT_S", 0.01)
    jobs, may_end = JobPool(home.local(), slots=1, idle_s=0), threading.Event()

    def transcribe(*_) -> None:
        may_end.wait()
        raise worker_jobs._Canceled

    monkeypatch.setattr(WhisperTranscriber, "transcribe", transcribe)

    async def work(hangs: bool) -> None:
        job = jobs.acquire()
        assert job is not None
        job.start(TranscribeRequest(TINY_EN, len(waveform)), waveform)
        job.cancel()
        if not hangs:
            may_end.set()
        await job.wait_ended()

    with pytest.raises(TimeoutError):
        asyncio.run(work(hangs=True))
    may_end.set()
    wait_for(lambda: jobs.active == 0)
    asyncio.run(work(hangs=False))


@pytest.mark.slow
def test_a_canceled_run_frees_the_worker(home, waveform):
    """An exception of its callback also ends the work in the worker."""
    home.ensure()

    def cancel(_segment) -> None:
        raise ClaimLost("canceled")

    with pytest.raises(ClaimLost):
        home.transcriber().transcribe(waveform, TINY_EN, lambda *_: None, cancel)
    wait_for(lambda: jobs(home) == 0)
    assert "canceled after" in home.log


@pytest.mark.slow
def test_runs_beyond_the_slots_wait(home):
    """A third run waits and reports progress; it can be canceled; it runs when a slot is free."""
    home.ensure()
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(home.worker.socket))) as client:
        slots = [client.post("http://worker/slots").json()["slot"] for _ in range(2)]
        response = client.post("http://worker/slots")
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        beats = []

        def cancel(*_) -> None:
            beats.append(jobs(home))
            if len(beats) == 3:
                raise ClaimLost("canceled while it waits")

        with pytest.raises(ClaimLost, match="while it waits"):
            home.transcriber().transcribe(samples("jfk.flac"), TINY_EN, cancel)
        assert beats == [2, 2, 2]
        before = home.log.count("s of audio in")

        def free_a_slot(*_) -> None:
            if slots:  # an invalid request frees its slot
                client.post(f"http://worker/slots/{slots.pop()}", content=b"{}")

        assert home.transcriber().transcribe(samples("jfk.flac"), TINY_EN, free_a_slot).segments
        assert home.log.count("s of audio in") == before + 1
        while slots:
            free_a_slot()
    wait_for(lambda: jobs(home) == 0)


def test_invalid_files_are_rejected(home, tmp_path):
    """A link, a folder, a pipe, no file, another length, samples in the body; the worker still
    works afterwards."""
    home.ensure()
    good = tmp_path / "good"
    good.write_bytes(bytes(4 * 1600))
    (tmp_path / "link").symlink_to(good)
    os.mkfifo(tmp_path / "pipe")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(home.worker.socket))) as client:

        def sent(content: bytes) -> int:
            wait_for(lambda: jobs(home) == 0)  # a slot is freed shortly after its response ends
            slot = client.post("http://worker/slots").json()["slot"]
            return client.post(f"http://worker/slots/{slot}", content=content).status_code

        def status(path: Path | None, more: bytes = b"", count: int = 1600) -> int:
            request = TranscribeRequest(TINY_EN, count, None if path is None else str(path))
            return sent(request.to_line() + more)

        assert status(good) == 200
        assert status(tmp_path / "link") == 400
        assert status(tmp_path) == status(tmp_path / "pipe") == 400
        assert status(tmp_path / "none") == 400
        assert status(good, count=1601) == 400
        assert status(good, count=-1) == 400
        assert status(good, count=10**12) == 400
        assert status(None) == 400
        assert status(None, bytes(4 * 1600)) == 400
        assert sent(b"{}\n") == sent(b"{}") == 400
        assert client.post("http://worker/slots/none", content=b"{}").status_code == 404
    wait_for(lambda: jobs(home) == 0)
    assert "refused a request: it is not an ordinary file" in home.log


def test_mapped_samples_are_not_copied(tmp_path):
    """Their own file is used; only of other arrays, or of a slice, a copy is made, which only its
    owner can read and which is removed."""
    whole = samples("jfk.flac")
    with shared_file(whole, tmp_path) as path:
        assert path == mapped_path(whole)
        assert not list(tmp_path.iterdir())
        assert np.array_equal(map_shared_file(str(path), len(whole)), whole)
    for other in (whole[1600:], whole * 0.5):
        with shared_file(other, tmp_path) as path:
            assert path.parent == tmp_path
            assert path.stat().st_mode & 0o777 == 0o600
            mapped = map_shared_file(str(path), len(other))
        assert np.array_equal(mapped, other)
        assert not list(tmp_path.iterdir())


def test_an_unused_slot_expires(home, monkeypatch, tmp_path):
    """The run that reserved it may have died."""
    monkeypatch.setattr(worker_app, "_SLOT_S", 0.1)
    jobs = JobPool(home.local(), slots=1, idle_s=0)
    app = WorkerApp(
        jobs, Authenticator(is_local=True), engine="x", model="x", max_audio_s=60, scratch=tmp_path
    ).app()

    async def statuses() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
            before = [(await client.post("/slots")).status_code for _ in range(2)]
            await asyncio.sleep(0.2)
            return [*before, (await client.post("/slots")).status_code]

    assert asyncio.run(statuses()) == [201, 503, 201]


def test_only_its_owner_can_open_the_socket(home):
    """Group and others have no access to socket and folder; runs ignore a writable folder."""
    home.ensure()
    assert home.worker.socket is not None
    assert home.worker.socket.stat().st_mode & 0o777 == 0o600
    folder = home.worker.socket.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in local_workers(folder)] == ["worker-0"]
    folder.chmod(0o770)
    try:
        assert not local_workers(folder)
    finally:
        folder.chmod(0o700)


def test_a_second_worker_with_the_same_number_is_refused(home):
    """The first continues."""
    home.ensure()
    with pytest.raises(SetupError, match="number 0 already runs"):
        serve_here(home.settings, 0)
    assert home.process.poll() is None
    assert home.health().slots == 2


@pytest.mark.long
def test_a_worker_with_other_settings_is_not_used(home):
    """Its result would differ from that of the run itself."""
    home.ensure()
    other = home.local().model_copy(update={"beam_size": 2})
    transcriber = home.transcriber().model_copy(update={"local": other})
    before = home.log.count("s of audio in")
    assert transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None).segments
    assert home.log.count("s of audio in") == before


@pytest.mark.slow
def test_a_hanging_worker_is_given_up(home, waveform, reference):
    """If it is suspended during the work, the run does it itself; no segment is reported twice."""
    home.ensure()
    reported, at = [], []

    def suspend(segment) -> None:
        if not reported:
            home.signal(signal.SIGSTOP)
            at.append(time.monotonic())
        reported.append(segment)

    transcriber = home.transcriber().model_copy(update={"timeout_s": 3.0})
    try:
        result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None, suspend)
    finally:
        home.signal(signal.SIGCONT)
    assert time.monotonic() - at[0] >= 3.0
    assert same(result, reference)
    assert tuple(reported) == result.segments
    wait_for(lambda: jobs(home) == 0)


@pytest.mark.long
def test_without_space_for_a_copy_the_run_transcribes_itself(home):
    """It needs no copy."""
    home.ensure()
    transcriber = home.transcriber().model_copy(update={"scratch_directory": "/proc/none"})
    waveform = samples("fleurs-en-004.ogg") * 1.0
    assert transcriber.transcribe(waveform, TINY_EN, lambda *_: None).segments


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_a_worker_that_ends_loses_nothing(home, waveform, reference, parts, number, caplog):
    """If it is killed, or stopped and out of time, during the work, the run resumes itself from the
    saved parts, the result is the same, and no segment is reported twice."""
    home.ensure()
    reported = []

    def end(segment) -> None:
        reported.append(segment)
        if len(reported) == 2:  # the first is the checkpoint's
            home.signal(number)

    transcriber = home.transcriber()
    checkpoint = Checkpoint(parts[:1], lambda _: None)
    result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None, end, checkpoint)
    assert home.process is not None
    assert home.process.wait(20) == (0 if number == signal.SIGTERM else -number)
    assert [each.message for each in caplog.records if "is lost" in each.message] or (
        number == signal.SIGTERM  # it may have finished in time
    )
    assert result.resumed_s == parts[0]["done_s"]
    assert same(result, reference)
    assert tuple(reported) == result.segments


@pytest.mark.slow
def test_without_a_worker_the_run_transcribes_itself(home):
    """The socket of a killed worker remains."""
    home.end()
    assert local_workers(home.worker.socket.parent)
    assert home.transcriber().transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None).segments
