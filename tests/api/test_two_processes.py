"""Two API processes on one database behave as one. Shared limits are in test_rate_limit.py."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from resources.transcriptions.store import RequestStore
from tests.api.conftest import RUN_ID, World
from tests.support.patience import wait_for
from tests.support.servers.live_api import (
    FakeRun,
    Reader,
    answers,
)
from tests.support.transcription_events import transcription_events
from ytcaption.settings.settings import Settings

ROUTE = "/api/v1/transcriptions"
READY_S = 30


@contextmanager
def process(settings: Settings) -> Iterator[str]:
    """Run uvicorn in a process of its own; yield its URL. Its environment is that of `settings`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--timeout-graceful-shutdown", "2"],
        env=os.environ | {"YTCAPTION_HOME": str(settings.home)},
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(url) or server.poll() is not None, READY_S)
        assert server.poll() is None
        yield url
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture
def both(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Yield the URLs of two processes, without Dagster."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with ExitStack() as stack:
        yield stack.enter_context(process(settings)), stack.enter_context(process(settings))


@pytest.mark.slow
def test_one_key_at_both_is_one_request(both: tuple[str, str], request_store: RequestStore) -> None:
    """Ten clients at each send the same request at once: one answer, one request."""

    def ask(number: int) -> dict[str, Any]:
        answer = httpx.post(
            both[number % 2] + ROUTE,
            json={"url": "https://youtu.be/dQw4w9WgXcQ"},
            headers={"Idempotency-Key": "one"},
            timeout=30,
        )
        assert answer.status_code == 202, answer.text
        return answer.json()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(20)))

    assert len({answer["request_id"] for answer in answers}) == 1
    created = [
        event
        for event in transcription_events(request_store.postgres, answers[0]["id"])
        if event.event_type == "Requested"
    ]
    assert len(created) == 1


@pytest.mark.slow
def test_events_come_from_either(both: tuple[str, str], world: World) -> None:
    """A transcription is requested at one, streamed at the other, resumed at the first: each
    segment comes once."""
    url = "https://www.youtube.com/watch?v=aaaaaaaaaaa"
    id = httpx.post(both[0] + ROUTE, json={"url": url}, timeout=30).json()["id"]
    first = Reader(both[1], id).until(lambda reader: reader.events)
    world.run_store.claim(id, RUN_ID)
    world.describe(id, title="Two")
    fake_run = FakeRun(world, id)
    fake_run.draft(0, 3)
    first.until(lambda reader: reader.indexes == [0, 1, 2])

    second = Reader(both[0], id, after=first.events[-1].id)
    fake_run.draft(3, 8)
    fake_run.store_text()
    fake_run.complete()

    assert second.to_the_end().indexes == [3, 4, 5, 6, 7]
    assert first.to_the_end().indexes == list(range(8))
    assert second.names[-1] == first.names[-1] == "completed"
