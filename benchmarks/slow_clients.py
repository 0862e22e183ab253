"""What a thousand slow clients cost the API: memory, descriptors, and the time of others.

    python -m benchmarks.slow_clients [--clients 1000]

Real API process and Postgres on loopback. Clients of ten addresses keep a connection open each:
half a head, nothing after a first request, half a body, a long poll, an event stream. Others ask
meanwhile. In one row all come from one address, which may have 200. Linux only: each address is
one of 127.0.0.0/8.
"""

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.installation import free_port
from resources.http_server.connections import raise_descriptor_limit
from resources.postgres.connection import close_pools
from resources.postgres.migrate import migrated_postgres
from resources.postgres.urls import database_urls
from resources.transcriptions.store import RequestStore
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_environment

ADDRESSES = 10
REQUESTS = 100
WATCH = "/api/v1/transcriptions/{id}"
HEADERS = "HTTP/1.1\r\nHost: 127.0.0.1\r\n"
SLOW = {
    "half a head": "GET / HTTP/1.1\r\nX-A: b",
    "idle after a request": f"GET /healthz {HEADERS}\r\n",
    "half a body": f"POST /api/v1/uploads {HEADERS}Content-Length: 100000\r\n\r\nx",
    "long poll": f"GET {WATCH}?wait=60 {HEADERS}\r\n",
    "event stream": f"GET {WATCH}/events {HEADERS}\r\n",
}


class Cost(NamedTuple):
    """The process as it is now."""

    memory_bytes: int
    descriptors: int
    p95_ms: float


def main() -> None:
    """Print the cost of each kind of slow client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1_000)
    clients = parser.parse_args().clients
    raise_descriptor_limit()
    table = Table("clients", "open", "KiB each", "descriptors each", "p95 of others, ms")
    table.title = f"{clients:,} slow clients of one API process"
    with tempfile.TemporaryDirectory(prefix="ytc-slow-") as folder:
        settings = Settings(
            _env_file=None,  # pyright: ignore[reportCallIssue]
            home=Path(folder),
            streams_per_caller=2 * clients,  # pyright: ignore[reportCallIssue]
            embeddings="off",  # pyright: ignore[reportCallIssue]
        )
        with migrated_postgres(settings):
            id = _queued(settings)
            close_pools(database_urls(settings))
            for name, text in SLOW.items():
                for addresses in (ADDRESSES, 1) if name == "half a head" else (ADDRESSES,):
                    head = text.replace("{id}", id).encode()
                    shown = name if addresses > 1 else f"{name}, of one address"
                    row = _measured(settings, head, clients, addresses)
                    table.add_row(shown, *row)
                    print(shown, *row, sep="; ", file=sys.stderr, flush=True)
    Console().print(table)


def _queued(settings: Settings) -> str:
    source = MediaSource("youtube-dQw4w9WgXcQ", "site", "https://youtu.be/dQw4w9WgXcQ", "Youtube")
    store = RequestStore.from_settings(settings, "admin")
    return store.submit(source, TranscriptionOptions(model="base")).transcription.id


def _measured(settings: Settings, head: bytes, clients: int, addresses: int) -> list[str]:
    port = free_port()
    command = (
        *(sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory"),
        *("--port", str(port), "--log-level", "warning", "--no-access-log"),
        *("--http", "resources.http_server.uvicorn_protocol:BoundedHttp"),
    )
    with ExitStack() as stack:
        process = subprocess.Popen(
            command,
            env=dagster_environment(settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60))
        _wait_for(client)
        before = _cost(process.pid, client)
        slow = [
            stack.enter_context(_connect(port, f"127.0.0.{2 + number % addresses}", head))
            for number in range(clients)
        ]
        time.sleep(2)  # all are accepted
        during = _cost(process.pid, client)
        still_open = sum(_is_open(each) for each in slow)
    return [
        f"{still_open:,}",
        f"{(during.memory_bytes - before.memory_bytes) / 1024 / clients:.0f}",
        f"{(during.descriptors - before.descriptors) / max(still_open, 1):.2f}",
        f"{before.p95_ms:.0f} -> {during.p95_ms:.0f}",
    ]


def _connect(port: int, source: str, head: bytes) -> socket.socket:
    connection = socket.create_connection(
        ("127.0.0.1", port), timeout=30, source_address=(source, 0)
    )
    connection.sendall(head)
    return connection


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        while data := connection.recv(65_536):
            if b"408 Request Timeout" in data:
                return False
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _cost(pid: int, client: httpx.Client) -> Cost:
    times_s = []
    for _ in range(REQUESTS):
        began_at = time.perf_counter()
        client.get("/api/v1/options").raise_for_status()
        times_s.append(time.perf_counter() - began_at)
    process = psutil.Process(pid)
    p95_s = sorted(times_s)[int(0.95 * REQUESTS)]
    return Cost(process.memory_info().rss, process.num_fds(), 1000 * p95_s)


def _wait_for(client: httpx.Client) -> None:
    give_up_at = time.monotonic() + 300
    while True:
        try:
            client.get("/healthz")
            return
        except httpx.TransportError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    main()
