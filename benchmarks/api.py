"""The API under a hundred clients, beside a bare FastAPI route and a bare insert, in one run.

    python -m benchmarks.api [--clients 100] [--seconds 60] [--think 1.0] [--workers 2]

Every client asks for a new transcription, looks at it, reads a result, and thinks a second in
between. Then a few ask without a pause, which shows what the machine holds. The API's processes and
their Postgres are real and Dagster's storage is there; its daemon is not, so that no run takes the
cores. Exit status 1 where a request failed.
"""

import argparse
import asyncio
import random
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from psycopg_pool import AsyncConnectionPool
from rich.console import Console
from rich.table import Table

from benchmarks.api_load import LoadResults, SendRequest, paced, without_pause
from benchmarks.installation import free_port
from resources.object_store.store import ObjectStore, document_key
from resources.postgres.connection import close_pools
from resources.postgres.migrate import migrated_postgres
from resources.postgres.urls import database_urls
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.support.transcripts import transcript_of
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_environment, dagster_instance

BASE = "/api/v1"
COMPLETED = 50
GOALS_MS = {"POST": 50.0, "GET status": 20.0, "GET result": 20.0}
UNPACED_CLIENTS, UNPACED_S = 16, 10.0
SETTLE_S = 3
"""Until every worker is there and has opened what it opens beside requests."""


def main() -> None:
    """Print latencies under load, and the throughput without pauses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--think", type=float, default=1.0, help="seconds between two requests")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    load = {"clients": arguments.clients, "seconds": arguments.seconds, "think_s": arguments.think}
    with tempfile.TemporaryDirectory(prefix="ytc-api-") as folder:
        settings = Settings(home=Path(folder) / "home", requests_per_minute=1_000_000)
        with migrated_postgres(settings):
            with dagster_instance(settings):
                done = _completed(settings)
            paced_runs: dict[str, LoadResults] = {}
            unpaced_runs: dict[str, LoadResults] = {}
            with _served("benchmarks.bare_route:app", 1, settings) as url:
                paced_runs["bare FastAPI route"] = asyncio.run(paced(_requests(url, done), **load))
                unpaced_runs["bare FastAPI route"] = asyncio.run(_unpaced(url, done))
            paced_runs["bare insert"] = asyncio.run(_bare_inserts(settings, **load))
            for workers in dict.fromkeys((1, arguments.workers)):
                name = f"ytcaption, {workers} process" + ("es" if workers > 1 else "")
                with _served("api.app:create_app", workers, settings) as url:
                    paced_runs[name] = asyncio.run(paced(_requests(url + BASE, done), **load))
                    unpaced_runs[name] = asyncio.run(_unpaced(url + BASE, done))
            close_pools(database_urls(settings))
    console = Console()
    _print_paced(console, paced_runs, arguments.clients)
    _print_unpaced(console, unpaced_runs)
    errors = [
        f"{name}: {error}" for name, results in paced_runs.items() for error in results.errors
    ]
    console.print(f"{len(errors)} errors", *sorted(set(errors))[:10])
    sys.exit(1 if errors else 0)


def _completed(settings: Settings) -> list[str]:
    """Transcriptions with a result, made by the store that runs use."""
    store = RequestStore.from_settings(settings, role="admin")
    objects = ObjectStore.from_settings(settings)
    ids = []
    for number in range(COMPLETED):
        source = MediaSource(f"url-{number}", "direct", f"https://example.org/{number}.mp3")
        id = store.submit(source, TranscriptionOptions("base")).transcription.id
        RunStore(postgres=store.postgres).claim(id, "bench")
        transcript = transcript_of(id)
        key = document_key(id)
        written = objects.write_bytes(key, transcript.to_json())
        RunStore(postgres=store.postgres).transcript_stored(
            id, "bench", transcript, key, written.sha256
        )
        RunStore(postgres=store.postgres).complete(id, "bench")
        ids.append(id)
    return ids


def _requests(url: str, done: Sequence[str]) -> list[tuple[str, SendRequest]]:
    async def post(session: aiohttp.ClientSession, number: int) -> int:
        body = {"url": f"https://example.org/{uuid.uuid4()}.mp3", "model": "base"}
        async with session.post(f"{url}/transcriptions", json=body) as answer:
            await answer.read()
            return answer.status

    async def get(session: aiohttp.ClientSession, path: str) -> int:
        async with session.get(f"{url}/transcriptions/{path}") as answer:
            await answer.read()
            return answer.status

    return [
        ("POST", post),
        ("GET status", lambda session, _: get(session, random.choice(done))),
        ("GET result", lambda session, _: get(session, f"{random.choice(done)}/result?format=srt")),
    ]


async def _unpaced(url: str, done: Sequence[str]) -> LoadResults:
    kind, send = _requests(url, done)[1]
    return await without_pause(kind, send, clients=UNPACED_CLIENTS, seconds=UNPACED_S)


async def _bare_inserts(
    settings: Settings, *, clients: int, seconds: float, think_s: float
) -> LoadResults:
    """One row a request, committed, at the pace of the API's POSTs."""
    async with AsyncConnectionPool(
        database_urls(settings).admin, min_size=10, max_size=10, open=False
    ) as pool:
        async with pool.connection() as connection:
            await connection.execute("create table bare (id uuid primary key, body text)")

        async def insert(session: aiohttp.ClientSession, number: int) -> int:
            async with pool.connection() as connection:
                await connection.execute(
                    "insert into bare values (%s, %s)", (uuid.uuid4(), "x" * 200)
                )
            return 200

        return await paced(
            [("POST", insert)], clients=clients, seconds=seconds, think_s=3 * think_s
        )


@contextmanager
def _served(app: str, workers: int, settings: Settings) -> Iterator[str]:
    """uvicorn in processes of its own; its address."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--no-access-log"]
    command += ["--workers", str(workers), "--log-level", "warning"]
    if app.endswith("create_app"):
        protocol = "resources.http_server.uvicorn_protocol:BoundedHttp"
        command += ["--factory", "--http", protocol]
    environment = dagster_environment(settings) | {"PYTHONPATH": str(Path.cwd())}
    log = settings.home / "api.log"
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        _wait_for(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            time.sleep(SETTLE_S)
            return
    raise RuntimeError(f"the server did not start:\n{log.read_text()[-3000:]}")


def _print_paced(console: Console, runs: dict[str, LoadResults], clients: int) -> None:
    table = Table(
        "arm", "request", "count", "p50", "p95", "p99", "goal", "p95 relative to bare route"
    )
    table.title = f"{clients} clients, with think time; milliseconds"
    bare = runs["bare FastAPI route"]
    for name, results in runs.items():
        for kind, seconds in results.latencies_s.items():
            p50, p95, p99 = (results.quantile_ms(kind, q) for q in (0.5, 0.95, 0.99))
            ours = name.startswith("ytcaption")
            table.add_row(
                name,
                kind,
                str(len(seconds)),
                *(f"{value:.1f}" for value in (p50, p95, p99)),
                f"{GOALS_MS[kind]:.0f}" if ours else "",
                f"{p95 / bare.quantile_ms(kind, 0.95):.1f} x",
            )
    console.print(table)


def _print_unpaced(console: Console, runs: dict[str, LoadResults]) -> None:
    table = Table("arm", "requests / s", "relative to bare route")
    table.title = f"GET status, {UNPACED_CLIENTS} clients without a pause"
    bare = runs["bare FastAPI route"].requests_per_s
    for name, results in runs.items():
        table.add_row(
            name, f"{results.requests_per_s:.0f}", f"{results.requests_per_s / bare:.2f} x"
        )
    console.print(table)


if __name__ == "__main__":
    main()
