"""The cost of search by meaning: CPU of a run that embeds, in its own process and by a worker,
compared with a run that does not; and the time of the first search of a new API process.

    python -m benchmarks.embedding [--runs 5] [--clip jfk.flac] [--model tiny.en]

Whisper's model is in the worker in all arms. CPU is that of the run, its children, the worker and
its embedding process, without imports: a run is forked from a process that has done them.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.common import TEST_DATA
from benchmarks.machine import machine
from resources.embeddings.backlog import embed_waiting
from resources.embeddings.store import EmbeddingStore
from resources.models.store import ensure_model
from resources.postgres.connection import Postgres, close_pools
from resources.postgres.migrate import migrated_postgres
from resources.postgres.urls import database_urls
from resources.worker.client import worker_at, worker_socket
from resources.worker.embedder import warm_embedder_of
from tests.support.servers.media_server import MediaServer
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

ARMS = ("without", "by itself", "by a worker")
SEARCHES = ("a worker that has not loaded", "a worker", "itself")


def main() -> None:
    """Print both tables; as a child, do one run or one search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--clip", default="jfk.flac")
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--child", nargs="+")
    arguments = parser.parse_args()
    if arguments.child:
        kind, *rest = arguments.child
        result = _run(*rest) if kind == "run" else _search(*rest)
        print(json.dumps(result))
        return
    console = Console(width=120)
    for name, value in machine().items():
        console.print(f"{name}: {value}")
    models_home = load_settings().models_home
    ensure_model(arguments.model, models_home)
    with tempfile.TemporaryDirectory(prefix="ytc-embed-", dir="/tmp") as folder:
        os.environ |= {
            "YTCAPTION_HOME": folder,
            "YTCAPTION_MODEL_DIRECTORY": str(models_home),
            "YTCAPTION_MODEL": arguments.model,
            "YTCAPTION_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        settings = load_settings()
        with migrated_postgres(settings), MediaServer(TEST_DATA) as server:
            _measure(console, settings, server.url(arguments.clip), arguments)
            close_pools(database_urls(settings))


def _measure(console: Console, settings: Settings, url: str, arguments: argparse.Namespace) -> None:
    with _worker(settings) as worker:
        searches = {SEARCHES[0]: _child("search", SEARCHES[0])}
        _child("run", ARMS[2], url, arguments.model, "the models are loaded")
        cpu_s: dict[str, list[float]] = {arm: [] for arm in ARMS}
        for number in range(arguments.runs):
            for arm in ARMS:
                before = _cpu_s(worker)
                run = _child("run", arm, url, arguments.model, f"{arm} {number}")
                cpu_s[arm].append(run["cpu_s"] + _cpu_s(worker) - before)
        store = EmbeddingStore(Postgres.from_settings(settings, "admin"))
        list(embed_waiting(store, warm_embedder_of(settings)))
        searches |= {name: _child("search", name) for name in SEARCHES[1:]}
    table = Table("CPU seconds of a run that embeds", "median", "all")
    for arm, values in cpu_s.items():
        table.add_row(arm, f"{statistics.median(values):.2f}", " ".join(f"{v:.2f}" for v in values))
    console.print(table)
    table = Table("first search by meaning, model in", "ms", "CPU s", "second, ms", "MB", "status")
    for name, measured in searches.items():
        cells = (f"{value:,.2f}".rstrip("0").rstrip(".") for value in measured.values())
        table.add_row(name, *cells)
    console.print(table)


@contextmanager
def _worker(settings: Settings) -> Iterator[psutil.Process]:
    process = subprocess.Popen([sys.executable, "-m", "ytcaption_assets.cli.main", "worker"])
    try:
        while worker_at(worker_socket(settings.home, 0)).health() is None:
            time.sleep(0.2)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _cpu_s(worker: psutil.Process) -> float:
    """Return the CPU seconds of the worker and all its descendants."""
    times = [each.cpu_times() for each in (worker, *worker.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _child(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.embedding", "--child", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def _run(arm: str, url: str, model: str, hotwords: str) -> dict[str, float]:
    """Do one transcription by the job, in this process."""
    import dagster as dg

    from resources.embeddings.embedder import embedder_of
    from resources.orchestration.partitions import transcription_partitions
    from resources.transcriptions.store import RequestStore
    from ytcaption.domain.media.media import MediaSource, url_media_id
    from ytcaption.domain.request import TranscriptionOptions
    from ytcaption_assets.assets import transcript_embeddings
    from ytcaption_assets.definitions import build_definitions

    settings = load_settings()
    if arm == ARMS[1]:  # as it was before there was a worker for it
        transcript_embeddings.warm_embedder_of = lambda each: embedder_of(
            each.search.embedding_model
        )
    embeddings = "off" if arm == ARMS[0] else "on"
    changed = settings.changed(embeddings=embeddings)
    job = build_definitions(changed).resolve_job_def("transcribe")
    source = MediaSource(url_media_id(url), "direct", url=url, extractor="Generic")
    options = TranscriptionOptions(model=model, hotwords=hotwords)
    id = RequestStore.from_settings(settings, "admin").submit(source, options).transcription.id
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(transcription_partitions.name or "", [id])
        began_s = _own_cpu_s()
        result = job.execute_in_process(instance=instance, partition_key=id)
        assert result.success
        return {"cpu_s": _own_cpu_s() - began_s}


def _own_cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _search(model_in: str) -> dict[str, float]:
    """Measure the first and the second search of a new API process."""
    from fastapi.testclient import TestClient

    from api.app import create_app

    settings = load_settings()
    if model_in == SEARCHES[2]:
        settings = settings.changed(worker="off")
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as client:
        client.get("/api/v1/search", params={"q": "country"})  # all but the model is warm
        cpu_s, times, status = time.process_time(), [], 0
        for words in ("what a country expects of you", "a duty to the nation"):
            began = time.perf_counter()
            response = client.get("/api/v1/search", params={"q": words, "mode": "semantic"})
            times.append((time.perf_counter() - began) * 1_000)
            status = response.status_code
        return {
            "first_ms": times[0],
            "cpu_s": time.process_time() - cpu_s,
            "second_ms": times[1],
            "rss_mb": psutil.Process().memory_info().rss / 2**20,
            "status": status,
        }


if __name__ == "__main__":
    main()
