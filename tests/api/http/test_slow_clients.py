"""Clients that send half a head, half a body, or read nothing keep nobody out of the API."""

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.support.patience import patience, wait_for
from ytcaption.settings.settings import Settings

DESCRIPTORS = 256
HALF_HEAD = b"GET / HTTP/1.1\r\nX-A: b"
HALF_BODY = b"POST /api/v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\nx"


@pytest.fixture
def port(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Serve the API as `up` does, with few descriptors; yield the port."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory"]
    command += ["--http", "resources.http_server.uvicorn_protocol:BoundedHttp"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--timeout-graceful-shutdown", "1"],
        env=os.environ | {"YTCAPTION_STALL_TIMEOUT_S": "2"},
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)),
    )
    try:
        wait_for(lambda: answers(port) or server.poll() is not None)
        yield port
    finally:
        server.terminate()
        server.wait(20)


def answers(port: int, source: str = "127.0.0.1") -> bool:
    """Return whether another client of an address is served in two seconds."""
    transport = httpx.HTTPTransport(local_address=source)
    with httpx.Client(transport=transport, timeout=2 * patience()) as client:
        try:
            return client.get(f"http://127.0.0.1:{port}/healthz").is_success
        except httpx.TransportError:
            return False


@pytest.mark.long
def test_slow_clients_keep_nobody_out(port: int) -> None:
    """300 of one address, or of five, where the process may have 256 descriptors."""
    for addresses in (1, 5):
        with ExitStack() as stack:
            for number in range(300):
                source = (f"127.0.0.{2 + number % addresses}", 0)
                slow = socket.create_connection(("127.0.0.1", port), 10, source_address=source)
                stack.enter_context(slow).sendall(HALF_HEAD)
            for source in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
                assert answers(port, source), (addresses, source)


@pytest.mark.slow
def test_half_bodies_end(port: int) -> None:
    """One address may keep its own connections busy with them for a while, and nobody else's."""
    with ExitStack() as stack:
        slow = []
        for _ in range(60):
            connection = socket.create_connection(
                ("127.0.0.1", port), 10, source_address=("127.0.0.2", 0)
            )
            slow.append(stack.enter_context(connection))
            connection.sendall(HALF_BODY)
        assert answers(port)
        began_at = time.monotonic()
        wait_for(lambda: answers(port, "127.0.0.2"), 10)
        assert time.monotonic() - began_at < 10 * patience()
        assert b" 408 " in slow[0].recv(65_536)
