"""A server that is told to stop ends streams and long polls at once, and completely."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.api.conftest import World
from tests.support.patience import patience, wait_for
from tests.support.servers.live_api import (
    FakeRun,
    Reader,
    answers,
)
from ytcaption.settings.settings import Settings


@contextmanager
def uvicorn_process(settings: Settings) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run the server as `ytcaption up` does; yield it and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--timeout-graceful-shutdown", "2"],
        env=os.environ | {"YTCAPTION_HOME": str(settings.home)},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: answers(url) or server.poll() is not None)
        assert server.poll() is None
        yield server, url
    finally:
        if server.poll() is None:
            server.kill()
        server.wait()


@pytest.mark.long
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_ends_streams_and_long_polls_at_once(
    settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Responses are complete before the server would cut them off after two seconds, and event ids
    stay valid."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    id = world.running()
    fake_run = FakeRun(world, id)
    fake_run.draft(0, 2)
    polled: list[httpx.Response] = []

    with uvicorn_process(settings) as (server, url):
        status_url = f"{url}/api/v1/transcriptions/{id}"
        poll = threading.Thread(
            target=lambda: polled.append(httpx.get(f"{status_url}?wait=60", timeout=70))
        )
        poll.start()
        readers = [Reader(url, id).until(lambda it: it.indexes == [0, 1]) for _ in range(5)]
        time.sleep(0.3)
        stopped_at = time.monotonic()
        server.send_signal(number)
        for reader in readers:
            assert reader.to_the_end(2).error is None
        poll.join(2 * patience())
        assert time.monotonic() - stopped_at < 1.5 * patience()
        assert polled and polled[0].json()["status"] == "running"
        server.wait(10 * patience())
        assert time.monotonic() - stopped_at < 5 * patience()

    fake_run.draft(2, 3)
    with uvicorn_process(settings) as (_, url):
        resumed = Reader(url, id, after=readers[0].events[-1].id).until(lambda it: it.indexes)
        assert resumed.indexes == [2]
