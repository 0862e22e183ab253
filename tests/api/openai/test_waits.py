"""OpenAI's clients waiting: streamed, disconnected, many, during outages."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import openai
import psutil
import pytest
from openai import OpenAI

from api.auth import lasting
from api.openai import audio as openai_audio
from resources.auth import api_key_cache
from resources.auth.api_keys import ApiKeys
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.api.conftest import RUN_ID, DatabaseSwitch, World, serving
from tests.api.keys import Keys
from tests.api.uploads.bodies import JFK
from tests.api.uploads.test_memory import server_process, store  # noqa: F401 - fixtures
from tests.api.workers import Scripted, worker
from tests.support.patience import wait_for
from tests.support.rows import recent_transcriptions
from tests.support.servers.live_api import FakeRun
from tests.support.transcripts import SPOKEN, transcript_of
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings.settings import Settings

FILE = ("speech.flac", JFK)
TEXT = " ".join(SPOKEN)


def client_of(url: str, token: str = "none") -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0, timeout=30)


@pytest.fixture
def client(server_url: str) -> OpenAI:
    return client_of(server_url)


@pytest.mark.long
def test_a_stream_sends_segments_before_the_run_ends(
    client: OpenAI, world: World, request_store: RequestStore, run_store: RunStore
) -> None:
    """The first delta arrives while the run works."""
    go_on = threading.Event()

    def slowly(id: str, _attempt: int) -> None:
        run_store.claim(id, RUN_ID)
        fake_run = FakeRun(world, id)
        fake_run.transcript = transcript_of(id)
        fake_run.draft(0, 1)
        assert go_on.wait(20)
        fake_run.store_text()
        fake_run.complete()

    with worker(request_store, slowly):
        stream = client.audio.transcriptions.create(model="base", file=FILE, stream=True)
        first = next(stream)
        (row,) = recent_transcriptions(request_store.postgres)
        assert row.status is TranscriptionStatus.RUNNING
        assert first.delta == SPOKEN[0]
        go_on.set()
        rest = list(stream)

    assert [event.type for event in rest] == ["transcript.text.delta", "transcript.text.done"]
    assert rest[0].delta == f" {SPOKEN[1]}"
    assert rest[1].text == TEXT


@pytest.mark.long
def test_a_client_that_leaves_costs_nothing(
    client: OpenAI, request_store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread waits for the text; the transcription stays queued."""
    monkeypatch.setattr(openai_audio, "RECHECK_EVERY_S", 0.2)
    threads_before = threading.active_count()
    watching: list[int] = []
    changes = openai_audio.Watcher.changes

    def counted(self, id: str):
        watching.append(1)
        return changes(self, id)

    monkeypatch.setattr(openai_audio.Watcher, "changes", counted)

    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=4).audio.transcriptions.create(model="base", file=FILE)

    assert watching
    (row,) = recent_transcriptions(request_store.postgres)
    assert row.status is TranscriptionStatus.QUEUED
    wait_for(lambda: threading.active_count() <= threads_before + 8)


@pytest.mark.slow
def test_many_wait_without_a_thread_each(
    server_url: str, settings: Settings, world: World, request_store: RequestStore
) -> None:
    """As many as a caller may have; the next one is refused before its file is read; one run
    answers all that wait."""
    client = OpenAI(base_url=f"{server_url}/v1", api_key="none", max_retries=0, timeout=60)
    texts: list[str] = []

    def ask() -> None:
        texts.append(client.audio.transcriptions.create(model="base", file=FILE).text)

    askers = [threading.Thread(target=ask) for _ in range(settings.api.streams_per_caller)]
    for asker in askers:
        asker.start()
    count = "select count(*) as n from ytcaption.request"

    def requests_stored() -> bool:
        (row,) = request_store.postgres.rows(count, {})
        return row["n"] == len(askers)

    wait_for(requests_stored, 60)
    with pytest.raises(openai.RateLimitError):
        client.audio.transcriptions.create(model="base", file=FILE)
    scripted = Scripted(world)
    with worker(request_store, scripted.complete):
        for asker in askers:
            asker.join(30)

    assert texts == [TEXT] * len(askers)
    assert len(scripted.ids) == 1
    assert client.audio.transcriptions.create(model="base", file=FILE).text == TEXT


def requests_stored(store: RequestStore, number: int) -> Callable[[], bool]:
    """Return a check that this many requests are stored."""
    count = "select count(*) as n from ytcaption.request"
    return lambda: store.postgres.rows(count, {})[0]["n"] == number


def both(client: OpenAI) -> tuple[str, str]:
    """Return the text of a response and of the end of a stream, requested at the same time."""

    def stream() -> str:
        *_, last = client.audio.transcriptions.create(model="base", file=FILE, stream=True)
        return last.text

    with ThreadPoolExecutor() as threads:
        streamed = threads.submit(stream)
        answer = client.audio.transcriptions.create(model="base", file=FILE).text
        return answer, streamed.result()


@pytest.mark.slow
def test_a_second_attempt_is_not_sent_twice(client: OpenAI, world: World) -> None:
    """Segments that a lost run had sent are not repeated; the text at the end is complete."""
    runs = world.run_store
    attempts: list[int] = []

    def lost_once(id: str, attempt: int) -> None:
        attempts.append(attempt)
        runs.claim(id, RUN_ID)
        fake_run = FakeRun(world, id)
        fake_run.transcript = transcript_of(id, ("One.", "Two.", "Three."))
        if attempt == 1:
            fake_run.draft(0, 2)
            wait_for(lambda: len(texts) >= 2)
            runs.fail(id, RUN_ID, "run_lost", "Lost.", retryable=True, max_attempts=4)
            return
        fake_run.draft(0, 1)
        fake_run.store_text()
        fake_run.complete()

    texts: list[str] = []
    with worker(world.request_store, lost_once):
        for event in client.audio.transcriptions.create(model="base", file=FILE, stream=True):
            texts.append(  # noqa: PERF401 - read meanwhile
                event.delta if event.type == "transcript.text.delta" else event.text
            )

    assert texts == ["One.", " Two.", " Three.", "One. Two. Three."]
    assert attempts == [1, 2]


@pytest.mark.slow
def test_waiting_survives_a_database_outage(
    database_switch: DatabaseSwitch, world: World, request_store: RequestStore
) -> None:
    """Waiting clients are answered afterwards."""
    with serving(database_switch.settings) as url, ThreadPoolExecutor() as threads:
        waiting = threads.submit(both, client_of(url))
        wait_for(requests_stored(request_store, 2))
        database_switch.off()
        threading.Event().wait(2.5)
        assert not waiting.done()
        database_switch.on()
        with worker(request_store, Scripted(world).complete):
            assert waiting.result(30) == (TEXT, TEXT)


@pytest.mark.slow
def test_a_revoked_key_receives_no_text(
    keys: Keys, settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is checked every 15 s; here more often. Streams end, too."""
    monkeypatch.setattr(lasting, "CHECK_EVERY_S", 0.2)
    monkeypatch.setattr(api_key_cache, "FRESH_S", 0.1)
    monkeypatch.setattr(api_key_cache, "STALE_S", 0.1)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    token = keys.header("anna")["Authorization"].split()[1]
    with serving(settings) as url, ThreadPoolExecutor() as threads:
        client = client_of(url, token)
        waiting = threads.submit(client.audio.transcriptions.create, model="base", file=FILE)
        stream = threads.submit(
            lambda: list(client.audio.transcriptions.create(model="tiny", file=FILE, stream=True))
        )
        wait_for(requests_stored(world.request_store, 2))
        ApiKeys.from_settings(settings).revoke(token.split("_")[1])
        with pytest.raises(openai.AuthenticationError, match="no longer valid"):
            waiting.result(20)
        with pytest.raises(openai.APIError, match="no longer valid"):
            stream.result(20)


@pytest.mark.long
def test_a_server_that_stops_says_so(
    server_process: tuple[str, psutil.Process],
    request_store: RequestStore,
) -> None:
    """503 at once, which the client retries; waiting clients do not delay the server."""
    url, process = server_process
    client = client_of(url)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(client.audio.transcriptions.create, model="base", file=FILE)
        stream = threads.submit(
            lambda: list(client.audio.transcriptions.create(model="tiny", file=FILE, stream=True))
        )
        wait_for(requests_stored(request_store, 2))
        process.send_signal(signal.SIGTERM)
        with pytest.raises(openai.InternalServerError, match="server stops"):
            waiting.result(10)
        # A stream's last event may be cut off with its connection: to a client it is the same.
        with pytest.raises(openai.APIError, match=r"server stops|Connection error"):
            stream.result(10)
    process.wait(10)
