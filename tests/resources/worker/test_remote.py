"""Workers on other machines: samples are sent, a token is required, the least busy one is used."""

import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from resources.worker.client import Worker
from resources.worker.protocol import (
    Health,
    TranscribeRequest,
    decode_error,
    decode_result,
    encode_error,
    encode_result,
)
from resources.worker.server import serve_others
from resources.worker.transcriber import WorkerTranscriber
from tests.support.clip_errors import TINY_EN, samples, text
from tests.support.patience import wait_for
from tests.support.workers import TIMEOUT_S, TOKEN, WorkerHome, recording
from ytcaption.domain.errors import DiskFull, ModelCorrupt, OutOfMemory, SetupError
from ytcaption.settings.settings import Settings

pytestmark = pytest.mark.model


class RemoteHome(WorkerHome):
    """A worker that listens on a port."""

    def __init__(self, models: Path, port: int, **more: str) -> None:
        super().__init__(models, "--host", "127.0.0.1", "--port", str(port), **more)
        self.url = f"http://127.0.0.1:{port}"

    @property
    def worker(self) -> Worker:
        return Worker(self.url, self.url, None, TIMEOUT_S, self.settings.worker.worker_token)

    def transcriber(self, *more: str) -> WorkerTranscriber:
        settings = self.settings.changed(
            worker="off", workers=(*more, self.url), worker_timeout_s=TIMEOUT_S
        )
        return WorkerTranscriber.from_settings(settings, self.local())


@pytest.fixture(scope="module")
def home(model_home: Path) -> Iterator[RemoteHome]:
    """Start a worker of the batched engine that unloads its models soon, with another number format
    than the run's own engine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    home = RemoteHome(
        model_home,
        port,
        YTCAPTION_ENGINE="batched",
        YTCAPTION_WORKER_TOKEN=TOKEN,
        YTCAPTION_WORKER_IDLE_S="2",
        YTCAPTION_COMPUTE_TYPE="int8_float32",
    )
    home.ensure()
    yield home
    home.remove()


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YTCAPTION_WORKER_TOKEN", TOKEN)


@pytest.mark.slow
def test_samples_are_sent(home):
    """The result is that of the same engine here, and the provenance is the worker's."""
    transcriber = home.transcriber()
    waveform, reported = recording(), []
    result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None, reported.append)
    here = home.local().transcribe(waveform, TINY_EN, lambda *_: None)
    assert (result.segments, result.dropped) == (here.segments, here.dropped)
    assert tuple(reported) == result.segments
    engine = transcriber.describe("tiny.en")
    assert (engine.engine, engine.compute_type) == ("faster-whisper-batched", "int8_float32")
    assert "s of audio in" in home.log
    assert not [path for path in home.home.iterdir() if path.name not in ("log", "run")]


@pytest.mark.slow
def test_two_runs_share_it(home):
    """They are transcribed at the same time, by one model."""
    texts, seen = {}, set()

    def transcribe(name: str) -> None:
        transcriber = home.transcriber()
        texts[name] = text(
            transcriber.transcribe(
                np.concatenate([samples(name)] * 2),
                TINY_EN,
                lambda *_: seen.add(home.health().jobs),
            )
        )

    names = ("jfk.flac", "fleurs-en-002.ogg")
    threads = [threading.Thread(target=transcribe, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2 in seen
    assert "country" in texts["jfk.flac"]
    assert len(texts["fleurs-en-002.ogg"]) > 100


@pytest.mark.slow
def test_memory_is_freed(home):
    """After a while without work; the next run works as before."""
    home.ensure()
    wait_for(lambda: not home.health().models)
    wait_for(lambda: "idle: freed" in home.log)
    freed = [int(number) for number in re.findall(r"idle: freed (\d+) MB", home.log)]
    assert sum(freed) >= 40  # the weights of tiny.en as int8
    assert "country" in text(
        home.transcriber().transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)
    )
    assert home.health().models == ["tiny.en"]


@pytest.mark.long
def test_the_least_busy_worker_is_used(home, monkeypatch):
    """Unreachable workers are not."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        unreachable = f"http://127.0.0.1:{free.getsockname()[1]}"
    before = home.log.count("s of audio in")
    transcriber = home.transcriber(unreachable)
    assert transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None).segments
    assert home.log.count("s of audio in") == before + 1
    jobs = {home.url: 5, "http://b:1": 3, "http://a:1": 4}
    monkeypatch.setattr(
        Worker, "health", lambda worker: Health("batched", 5, jobs[worker.name], 8, 0)
    )
    others = home.transcriber("http://a:1", "http://b:1")
    chosen = others._free_worker(set(), lambda: None)
    assert chosen is not None
    assert chosen.name == "http://b:1"
    assert others._free_worker({"http://b:1"}, lambda: None).name == "http://a:1"
    assert others._free_worker(set(jobs), lambda: None) is None


@pytest.mark.long
def test_the_token_is_required(home, monkeypatch, caplog):
    """Without it, or with a wrong one, the worker refuses; the run transcribes itself."""
    for header in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}):
        assert httpx.get(f"{home.url}/healthz", headers=header).status_code == 401
        for path in ("slots", "slots/any"):
            response = httpx.post(f"{home.url}/{path}", headers=header, content=b"")
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
    assert httpx.get(f"{home.url}/livez").text == "alive\n"
    before = home.log.count("s of audio in")
    monkeypatch.setenv("YTCAPTION_WORKER_TOKEN", "x" * 32)
    assert home.transcriber().transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None).segments
    assert home.log.count("s of audio in") == before
    assert "does not accept YTCAPTION_WORKER_TOKEN" in caplog.text
    assert TOKEN not in home.log + caplog.text


def test_no_file_of_the_worker_can_be_named(home, tmp_path):
    """A path is rejected, and so are fewer or more samples than stated."""
    path = tmp_path / "samples"
    path.write_bytes(bytes(6400))
    headers = {"Authorization": f"Bearer {TOKEN}"}

    def status(request: TranscribeRequest, body: bytes) -> int:
        slot = httpx.post(f"{home.url}/slots", headers=headers).json()["slot"]
        url = f"{home.url}/slots/{slot}"
        return httpx.post(url, headers=headers, content=request.to_line() + body).status_code

    assert status(TranscribeRequest(TINY_EN, 1600, str(path)), b"") == 400
    assert status(TranscribeRequest(TINY_EN, 1600), bytes(6399)) == 400
    assert status(TranscribeRequest(TINY_EN, 1600), bytes(6401)) == 400
    assert status(TranscribeRequest(TINY_EN, 1600), bytes(6400)) == 200
    assert "a path is allowed only over a Unix socket" in home.log


@pytest.mark.slow
def test_a_worker_drains(home):
    """When stopped it finishes its jobs, and exits with status 0."""
    before = home.log.count("s of audio in")
    stopped = []

    def stop(*_) -> None:
        if not stopped and home.health().jobs:
            stopped.append(True)
            home.signal(signal.SIGTERM)

    transcriber = home.transcriber()
    result = transcriber.transcribe(recording(), TINY_EN, stop)
    assert stopped
    assert len(result.segments) >= 3
    assert transcriber.describe("tiny.en").compute_type == "int8_float32"
    assert home.log.count("s of audio in") == before + 1
    assert home.process is not None
    assert home.process.wait(20) == 0


def test_listening_for_other_machines_needs_a_token(tmp_path):
    """It is checked before the worker listens."""
    settings = Settings(home=tmp_path, _env_file=None)  # pyright: ignore[reportCallIssue]
    settings = settings.changed(worker_token=None)
    for host in ("0.0.0.0", "::", ""):
        with pytest.raises(SetupError, match="YTCAPTION_WORKER_TOKEN"):
            serve_others(settings, host, 0)


def test_errors_keep_their_class(home):
    """It is found by the code; errors without a class are not sent in detail."""
    for kind in (DiskFull, ModelCorrupt, SetupError):
        error = decode_error(encode_error(kind("So it is.")))
        assert type(error) is kind
        assert error.message == "So it is."
    assert type(decode_error(encode_error(MemoryError()))) is OutOfMemory
    assert decode_error(encode_error(RuntimeError("secret"))) is None
    assert "secret" not in str(encode_error(RuntimeError("secret")))


@pytest.mark.long
def test_a_result_survives_encoding(home):
    """Every float is the same."""
    here = home.local().transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)
    engine = home.local().describe("tiny.en")
    assert decode_result(encode_result(here, engine)) == (here, engine)
