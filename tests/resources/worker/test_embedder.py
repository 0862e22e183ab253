"""A worker's vectors are the same as in this process, whatever happens to the worker."""

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
from resources.embeddings.embedder import BATCH_SIZE, DEFAULT_MODEL, embedder_of
from resources.worker import embedder as worker_embedder
from resources.worker import embedding_process
from resources.worker.auth import Authenticator
from resources.worker.client import Worker
from resources.worker.embedder import WorkerEmbedder, warm_embedder_of
from resources.worker.embedding_protocol import (
    MAX_REQUEST_BYTES,
    EmbedRequest,
    decode_vectors,
    encode_vectors,
)
from tests.support.embedding import TOY, ToyEmbedder, needs_model
from tests.support.embedding_child import COMMAND, TOPICS
from tests.support.patience import wait_for
from tests.support.servers.embedding_worker import (
    CountedToy,
    EmbeddingWorker,
    embedding_worker,
)
from tests.support.workers import TOKEN, WorkerHome
from ytcaption.domain.errors import ModelUnavailable
from ytcaption.settings.settings import Settings


@pytest.fixture(scope="module")
def settings() -> Settings:
    """No database is needed."""
    return Settings(_env_file=None)  # pyright: ignore[reportCallIssue]


@pytest.fixture(scope="module")
def warm(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddingWorker]:
    """Start a worker that most tests share."""
    with embedding_worker(settings, tmp_path_factory.mktemp("warm")) as worker:
        yield worker


def local_of(embedder: WorkerEmbedder) -> CountedToy:
    assert isinstance(embedder._local, CountedToy)
    return embedder._local


@pytest.mark.long
def test_the_vectors_are_those_of_this_process(warm: EmbeddingWorker) -> None:
    """All of many texts, in order; nothing is loaded in this process. Output of libraries is not
    taken for a response."""
    embedder = warm.embedder()
    texts = ["print", *(f"dog puppy {number}" for number in range(2 * BATCH_SIZE)), "sea"]
    vectors = embedder.embed(texts)
    assert np.array_equal(vectors, ToyEmbedder(TOPICS).embed(texts))
    assert embedder.model == TOY
    assert embedder.query("sea")[0] == TOY
    assert np.array_equal(embedder.query("sea")[1], vectors[-1])
    assert embedder.embed([]).shape == (0, 3)
    assert local_of(embedder).call_count == 0
    assert warm.health.is_loaded and warm.health.memory_bytes > 1 << 20


@pytest.mark.long
def test_the_process_runs_while_it_is_used(settings: Settings, tmp_path: Path) -> None:
    """It starts with the first request, ends when idle, and is started again when needed."""
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
        assert local_of(embedder).call_count == 0


@pytest.mark.parametrize("fault", ["die", "hang", "break"])
@pytest.mark.long
def test_requests_that_fail_there_are_done_here(
    warm: EmbeddingWorker, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A process that dies or hangs is replaced; the worker is used again after a cool-down."""
    embedder = warm.embedder()
    embedder.query("dog")
    if fault == "hang":  # not before: starting a process takes longer
        monkeypatch.setattr(embedding_process, "STALL_S", 1.0)
    assert np.array_equal(embedder.embed([fault, "sea"]), ToyEmbedder(TOPICS).embed([fault, "sea"]))
    assert local_of(embedder).call_count == 1
    embedder.query("puppy")
    assert local_of(embedder).call_count == 2
    monkeypatch.undo()
    embedder._unavailable_until.clear()
    embedder.query("sea")
    assert local_of(embedder).call_count == 2


@pytest.mark.long
def test_this_process_replaces_a_killed_worker(settings: Settings, tmp_path: Path) -> None:
    """The worker's socket remains."""
    with embedding_worker(settings, tmp_path) as worker:
        embedder = worker.embedder()
        embedder.query("dog")
        ended = worker.pid
    assert (tmp_path / "worker-0.sock").exists()
    assert not psutil.pid_exists(ended)
    assert np.array_equal(embedder.query("sea")[1], ToyEmbedder(TOPICS).embed(["sea"])[0])
    assert local_of(embedder).call_count == 1


def test_an_error_of_the_model_is_raised_here(warm: EmbeddingWorker) -> None:
    """With the same message; this process would have the same error."""
    embedder = warm.embedder()
    with pytest.raises(ModelUnavailable, match=r"The hub has no such model\."):
        embedder.embed(["refuse"])
    assert local_of(embedder).call_count == 0
    assert len(embedder.embed(["dog"])) == 1


@pytest.mark.long
def test_responses_are_not_mixed_up_after_a_disconnect(warm: EmbeddingWorker) -> None:
    """The response of a disconnected client is made and dropped."""
    request = EmbedRequest(TOY.name, ["slow"]).to_line()
    transport = httpx.HTTPTransport(uds=str(warm.worker.socket))
    with httpx.Client(transport=transport) as client, pytest.raises(httpx.ReadTimeout):
        client.post("http://worker/embeddings", content=request, timeout=0.3)
    embedder = warm.embedder()
    assert np.array_equal(embedder.query("sea")[1], ToyEmbedder(TOPICS).embed(["sea"])[0])
    assert local_of(embedder).call_count == 0


@pytest.mark.long
def test_requests_beyond_the_limit_are_tried_again(
    warm: EmbeddingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests are processed one at a time; a search waits for a limited time."""
    monkeypatch.setattr(embedding_process, "MAX_WAITING", 1)
    first, second = warm.embedder(), warm.embedder()
    first.query("dog")
    thread = threading.Thread(target=first.encode, args=(["slow"],))
    thread.start()
    wait_for(lambda: warm.process and warm.process._requests)
    monkeypatch.setattr(embedder_module, "_LOADING_S", 0.2)
    with pytest.raises(ModelUnavailable, match="Try again"):
        second.query("dog")
    assert np.array_equal(second.embed(["dog"]), first.embed(["dog"]))
    thread.join()
    assert local_of(second).call_count == local_of(first).call_count == 0


def test_models_are_never_mixed(warm: EmbeddingWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the worker is lost between two batches, or after its model was read, and this process has
    other files, it is an error. Cached queries are embedded again."""
    embedder = WorkerEmbedder(CountedToy("b2"), lambda: [warm.worker])
    before = embedder.query("dog")
    embed, calls = Worker.embed, []

    def lost(self, *arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise worker_embedder.WorkerLost("it has died")
        return embed(self, *arguments)

    monkeypatch.setattr(Worker, "embed", lost)
    with pytest.raises(ModelUnavailable, match="differ from machine to machine"):
        embedder.embed(["dog"] * (BATCH_SIZE + 1))
    assert embedder.model.revision == "b2"
    assert before[0].revision == TOY.revision
    assert embedder.query("dog")[0].revision == "b2"
    assert len(embedder.embed(["dog"] * (BATCH_SIZE + 1))) == BATCH_SIZE + 1
    embedder._made_by = before[0]
    with pytest.raises(ModelUnavailable, match="differ from machine to machine"):
        embedder.embed(["dog"])


def test_invalid_requests_are_rejected(warm: EmbeddingWorker) -> None:
    """Too many texts, too many bytes, something else, another model; the worker still works."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(warm.worker.socket))) as client:

        def status(content: bytes) -> int:
            return client.post("http://worker/embeddings", content=content).status_code

        assert status(EmbedRequest(TOY.name, ["dog"] * BATCH_SIZE).to_line()) == 200
        assert status(EmbedRequest(TOY.name, ["dog"] * (BATCH_SIZE + 1)).to_line()) == 400
        assert status(EmbedRequest(TOY.name, ["d" * MAX_REQUEST_BYTES]).to_line()) == 400
        assert status(b"{}\n") == status(b"[]\n") == status(b"x\n") == 400
        assert status(EmbedRequest(TOY.name, ["dog"]).to_line()[:-1]) == 400
        assert status(EmbedRequest("another", ["dog"]).to_line()) == 409
        assert client.get("http://worker/embeddings").status_code == 405


def test_a_worker_that_cannot_embed_is_not_used(
    settings: Settings, tmp_path: Path, warm: EmbeddingWorker, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the extra, or with another model: its health and its response show it."""
    with embedding_worker(settings, tmp_path, process=None) as worker:
        health = worker.worker.health()
        assert health is not None and health.embedding is None
        embedder = worker.embedder()
        assert len(embedder.embed(["dog"])) == 1
        assert local_of(embedder).call_count == 2
        transport = httpx.HTTPTransport(uds=str(worker.worker.socket))
        with httpx.Client(transport=transport) as client:
            request = EmbedRequest(TOY.name, ["dog"]).to_line()
            response = client.post("http://worker/embeddings", content=request)
        assert response.status_code == 501
        assert "ytcaption[semantic]" in response.text
    other = CountedToy()
    other.name = "another"
    assert len(WorkerEmbedder(other, lambda: [warm.worker]).embed(["dog"])) == 1
    assert other.call_count == 2
    assert "is lost" not in caplog.text


@pytest.mark.long
def test_over_a_port_the_token_is_required(settings: Settings, tmp_path: Path) -> None:
    """Without it, or with a wrong one, nothing is embedded there."""
    authenticator = Authenticator(is_local=False, token=SecretStr(TOKEN))
    with embedding_worker(settings, tmp_path, authenticator=authenticator) as worker:
        embedder = worker.embedder()
        assert len(embedder.embed(["dog"])) == 1
        assert local_of(embedder).call_count == 0
        url, request = f"{worker.worker.url}/embeddings", EmbedRequest(TOY.name, ["dog"]).to_line()
        for header in ({}, {"Authorization": f"Bearer {TOKEN}x"}):
            assert httpx.post(url, content=request, headers=header).status_code == 401


@pytest.mark.long
def test_no_web_page_uses_a_worker(settings: Settings, tmp_path: Path) -> None:
    """Not on loopback without a token, where any page could send it requests."""
    authenticator = Authenticator(is_local=False)
    with embedding_worker(settings, tmp_path, authenticator=authenticator) as worker:
        url, request = f"{worker.worker.url}/embeddings", EmbedRequest(TOY.name, ["dog"]).to_line()
        assert httpx.post(url, content=request).status_code == 200
        for header in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Host": "evil.example"},  # a name that leads here
        ):
            assert httpx.post(url, content=request, headers=header).status_code == 401


@pytest.mark.slow
def test_the_process_ends_with_its_worker() -> None:
    """Even during an embedding: the worker may have been killed."""
    child = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(EmbedRequest(TOY.name, ["dog"]).to_line())
    child.stdin.flush()
    assert "vectors" in json.loads(child.stdout.readline())
    child.stdin.write(EmbedRequest(TOY.name, ["hang"]).to_line())
    child.stdin.flush()
    time.sleep(0.2)
    child.stdin.close()
    assert child.wait(10) == 0
    child.stdout.close()


def test_vectors_survive_encoding() -> None:
    """Every float is the same; another number of texts is an error."""
    vectors = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
    message = encode_vectors(TOY, vectors)
    model, decoded = decode_vectors(message, ["a", "b"])
    assert (model, decoded.tobytes()) == (TOY, vectors.tobytes())
    for wrong in (message | {"model": {}}, {"vectors": ""}, message | {"vectors": "x"}):
        with pytest.raises(ValueError):
            decode_vectors(wrong, ["a", "b"])
    with pytest.raises(ValueError):
        decode_vectors(message, ["a"])


@pytest.mark.model
@needs_model
def test_a_real_worker_has_the_real_model(model_home: Path) -> None:
    """Vectors are bit for bit those of this process; a killed worker's embedding process ends."""
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
