"""Vectors by a worker: the same as in this process, whatever happens to the worker."""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from pydantic import SecretStr

from resources.embeddings import embedder as embedder_module
from resources.embeddings.embedder import AT_ONCE, DEFAULT_MODEL, embedder_of
from resources.worker import embedder as worker_embedder
from resources.worker import embedding_process
from resources.worker.auth import Authenticator
from resources.worker.client import Worker
from resources.worker.embedder import WorkerEmbedder, warm_embedder_of
from resources.worker.embedding_protocol import MOST_BYTES, Texts, encode_vectors, vectors_of
from tests.support.embedding import TOY, ToyEmbedder, needs_model
from tests.support.embedding_child import COMMAND, TOPICS
from tests.support.servers.embedding_worker import (
    CountedToy,
    EmbeddingWorker,
    embedding_worker,
)
from tests.support.workers import TOKEN, WorkerHome, wait_for
from ytcaption.domain.errors import ModelUnavailable
from ytcaption.settings import Settings


@pytest.fixture(scope="module")
def settings() -> Settings:
    """No database is needed."""
    return Settings(_env_file=None)  # pyright: ignore[reportCallIssue]


@pytest.fixture(scope="module")
def warm(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddingWorker]:
    """A worker that most tests share."""
    with embedding_worker(settings, tmp_path_factory.mktemp("warm")) as found:
        yield found


def local_of(embedder: WorkerEmbedder) -> CountedToy:
    assert isinstance(embedder._local, CountedToy)
    return embedder._local


def test_the_vectors_are_those_of_this_process(warm: EmbeddingWorker) -> None:
    """All of many texts, in their order; here nothing is loaded. What a library prints is no
    answer."""
    embedder = warm.embedder()
    texts = ["print", *(f"dog puppy {number}" for number in range(2 * AT_ONCE)), "sea"]
    vectors = embedder.embed(texts)
    assert np.array_equal(vectors, ToyEmbedder(TOPICS).embed(texts))
    assert embedder.model == TOY
    assert embedder.query("sea")[0] == TOY
    assert np.array_equal(embedder.query("sea")[1], vectors[-1])
    assert embedder.embed([]).shape == (0, 3)
    assert local_of(embedder).asked == 0
    assert warm.health.is_loaded and warm.health.memory_bytes > 1 << 20


def test_the_process_is_there_while_it_is_asked(settings: Settings, tmp_path: Path) -> None:
    """Not before, and no more when nobody has asked for long; then it starts anew."""
    with embedding_worker(settings, tmp_path, idle_s=1.0) as worker:
        assert (worker.health.is_loaded, worker.health.memory_bytes) == (False, 0)
        embedder = worker.embedder()
        embedder.query("dog")
        first = worker.pid
        assert worker.health.is_loaded
        wait_for(lambda: not psutil.pid_exists(first))
        assert (worker.health.is_loaded, worker.health.memory_bytes) == (False, 0)
        assert np.array_equal(embedder.query("puppy")[1], ToyEmbedder(TOPICS).embed(["puppy"])[0])
        assert worker.pid != first
        assert local_of(embedder).asked == 0


@pytest.mark.parametrize("fault", ["die", "hang", "break"])
def test_what_fails_there_is_done_here(
    warm: EmbeddingWorker, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A process that dies or hangs is replaced; the worker rests a while, and is asked again."""
    embedder = warm.embedder()
    embedder.query("dog")
    if fault == "hang":  # what is started takes its time
        monkeypatch.setattr(embedding_process, "STALL_S", 1.0)
    assert np.array_equal(embedder.embed([fault, "sea"]), ToyEmbedder(TOPICS).embed([fault, "sea"]))
    assert local_of(embedder).asked == 1
    embedder.query("puppy")
    assert local_of(embedder).asked == 2
    monkeypatch.undo()
    embedder._rests_until.clear()
    embedder.query("sea")
    assert local_of(embedder).asked == 2


def test_a_worker_that_is_killed_is_followed_by_this_process(
    settings: Settings, tmp_path: Path
) -> None:
    """Its socket is left."""
    with embedding_worker(settings, tmp_path) as worker:
        embedder = worker.embedder()
        embedder.query("dog")
        ended = worker.pid
    assert (tmp_path / "worker-0.sock").exists()
    assert not psutil.pid_exists(ended)
    assert np.array_equal(embedder.query("sea")[1], ToyEmbedder(TOPICS).embed(["sea"])[0])
    assert local_of(embedder).asked == 1


def test_an_error_of_the_model_is_one_here(warm: EmbeddingWorker) -> None:
    """In its words; this process would have the same."""
    embedder = warm.embedder()
    with pytest.raises(ModelUnavailable, match=r"The hub has no such model\."):
        embedder.embed(["refuse"])
    assert local_of(embedder).asked == 0
    assert len(embedder.embed(["dog"])) == 1


def test_who_has_gone_takes_nobody_elses_answer(warm: EmbeddingWorker) -> None:
    """Its own comes all the same, and is nobody's."""
    order = Texts(TOY.name, ["slow"]).line()
    transport = httpx.HTTPTransport(uds=str(warm.worker.socket))
    with httpx.Client(transport=transport) as client, pytest.raises(httpx.ReadTimeout):
        client.post("http://worker/embeddings", content=order, timeout=0.3)
    embedder = warm.embedder()
    assert np.array_equal(embedder.query("sea")[1], ToyEmbedder(TOPICS).embed(["sea"])[0])
    assert local_of(embedder).asked == 0


def test_where_too_many_wait_others_ask_again(
    warm: EmbeddingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at a time; a search waits only so long."""
    monkeypatch.setattr(embedding_process, "MOST_WAITING", 1)
    first, second = warm.embedder(), warm.embedder()
    first.query("dog")
    thread = threading.Thread(target=first.encode, args=(["slow"],))
    thread.start()
    wait_for(lambda: warm.process and warm.process._answers)
    monkeypatch.setattr(embedder_module, "_LOADING_S", 0.2)
    with pytest.raises(ModelUnavailable, match="Ask again"):
        second.query("dog")
    assert np.array_equal(second.embed(["dog"]), first.embed(["dog"]))
    thread.join()
    assert local_of(second).asked == local_of(first).asked == 0


def test_another_model_is_never_mixed_in(
    warm: EmbeddingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two batches, or since somebody has looked which it is, the worker goes, and this
    process has other files: an error. Searches that were embedded before are embedded anew."""
    embedder = WorkerEmbedder(CountedToy("b2"), lambda: [warm.worker])
    before = embedder.query("dog")
    embed, calls = Worker.embed, []

    def lost(self, *arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise worker_embedder.WorkerLost("it has gone")
        return embed(self, *arguments)

    monkeypatch.setattr(Worker, "embed", lost)
    with pytest.raises(ModelUnavailable, match="differ from machine to machine"):
        embedder.embed(["dog"] * (AT_ONCE + 1))
    assert embedder.model.revision == "b2"
    assert before[0].revision == TOY.revision
    assert embedder.query("dog")[0].revision == "b2"
    assert len(embedder.embed(["dog"] * (AT_ONCE + 1))) == AT_ONCE + 1
    embedder._made_by = before[0]
    with pytest.raises(ModelUnavailable, match="differ from machine to machine"):
        embedder.embed(["dog"])


def test_what_is_no_order_is_refused(warm: EmbeddingWorker) -> None:
    """Too many texts, too many bytes, something else, another model; the worker goes on."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(warm.worker.socket))) as client:

        def status(content: bytes) -> int:
            return client.post("http://worker/embeddings", content=content).status_code

        assert status(Texts(TOY.name, ["dog"] * AT_ONCE).line()) == 200
        assert status(Texts(TOY.name, ["dog"] * (AT_ONCE + 1)).line()) == 400
        assert status(Texts(TOY.name, ["d" * MOST_BYTES]).line()) == 400
        assert status(b"{}\n") == status(b"[]\n") == status(b"x\n") == 400
        assert status(Texts(TOY.name, ["dog"]).line()[:-1]) == 400
        assert status(Texts("another", ["dog"]).line()) == 409
        assert client.get("http://worker/embeddings").status_code == 405


def test_a_worker_that_cannot_is_passed_over(
    settings: Settings, tmp_path: Path, warm: EmbeddingWorker, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the extra, and with another model: its health says so, and so does its answer."""
    with embedding_worker(settings, tmp_path, process=None) as worker:
        health = worker.worker.health()
        assert health is not None and health.embedding is None
        embedder = worker.embedder()
        assert len(embedder.embed(["dog"])) == 1
        assert local_of(embedder).asked == 2
        transport = httpx.HTTPTransport(uds=str(worker.worker.socket))
        with httpx.Client(transport=transport) as client:
            order = Texts(TOY.name, ["dog"]).line()
            answer = client.post("http://worker/embeddings", content=order)
        assert answer.status_code == 501
        assert "ytcaption[semantic]" in answer.text
    other = CountedToy()
    other.name = "another"
    assert len(WorkerEmbedder(other, lambda: [warm.worker]).embed(["dog"])) == 1
    assert other.asked == 2
    assert "is lost" not in caplog.text


def test_over_a_port_the_token_opens(settings: Settings, tmp_path: Path) -> None:
    """Without it, or with a wrong one, nothing is embedded there."""
    door = Authenticator(is_local=False, token=SecretStr(TOKEN))
    with embedding_worker(settings, tmp_path, door=door) as worker:
        embedder = worker.embedder()
        assert len(embedder.embed(["dog"])) == 1
        assert local_of(embedder).asked == 0
        url, order = f"{worker.worker.url}/embeddings", Texts(TOY.name, ["dog"]).line()
        for header in ({}, {"Authorization": f"Bearer {TOKEN}x"}):
            assert httpx.post(url, content=order, headers=header).status_code == 401


def test_the_process_ends_with_its_worker() -> None:
    """In the middle of an embedding, too: it may be of one that was killed."""
    child = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(Texts(TOY.name, ["dog"]).line())
    child.stdin.flush()
    assert "vectors" in json.loads(child.stdout.readline())
    child.stdin.write(Texts(TOY.name, ["hang"]).line())
    child.stdin.flush()
    time.sleep(0.2)
    child.stdin.close()
    assert child.wait(10) == 0
    child.stdout.close()


def test_vectors_are_the_same_behind_the_line() -> None:
    """Every float; of another number of texts they are none."""
    vectors = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
    said = encode_vectors(TOY, vectors)
    model, found = vectors_of(said, ["a", "b"])
    assert (model, found.tobytes()) == (TOY, vectors.tobytes())
    for wrong in (said | {"model": {}}, {"vectors": ""}, said | {"vectors": "x"}):
        with pytest.raises(ValueError):
            vectors_of(wrong, ["a", "b"])
    with pytest.raises(ValueError):
        vectors_of(said, ["a"])


@pytest.mark.model
@needs_model
def test_a_real_worker_has_the_real_model(model_home: Path) -> None:
    """Bit for bit what this process makes; killed, its process that embeds goes, too."""
    home = WorkerHome(model_home)
    try:
        home.ensure()
        embedder = warm_embedder_of(home.settings)
        assert isinstance(embedder, WorkerEmbedder)
        texts = [f"Ask not what your country can do for you, {number}." for number in range(20)]
        vectors = embedder.embed(texts)
        health = home.health().embedding
        assert health is not None and health.is_loaded
        assert np.array_equal(vectors, embedder_of(DEFAULT_MODEL).embed(texts))
        assert embedder.model == embedder_of(DEFAULT_MODEL).model
        assert "loaded in" in home.log and "Traceback" not in home.log
        home.signal(signal.SIGKILL)
        assert len(embedder.query("country")[1]) == 384
    finally:
        home.remove()
