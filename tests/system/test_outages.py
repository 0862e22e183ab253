"""`ytcaption up` with two API processes, and what it does while Dagster is dead."""

import contextlib
import http.client
import itertools
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from resources.postgres.urls import database_urls
from tests.support.patience import patience
from tests.support.servers.media_server import MediaServer
from tests.ytcaption_assets.cli.up.test_up import Up
from ytcaption_assets.cli.up.orphans import orphan_processes

pytestmark = pytest.mark.model

CLIPS = itertools.count()


@pytest.fixture(scope="module")
def media_server() -> Iterator[MediaServer]:
    with MediaServer() as server:
        yield server


@pytest.fixture(scope="module")
def up(model_home: Path) -> Iterator[Up]:
    """A running `up` that downloads from loopback and transcribes with tiny.en."""
    root = Path(tempfile.mkdtemp(prefix="ytcup", dir="/tmp"))  # short, as socket paths must be
    up = Up(
        root / "home",
        root,
        YTCAPTION_API_WORKERS="2",
        YTCAPTION_ALLOWED_NETWORKS="127.0.0.0/8",
        YTCAPTION_MODEL_DIRECTORY=str(model_home),
        YTCAPTION_MODEL="tiny.en",
    )
    try:
        up.start()
        yield up
    finally:
        up.end()
        shutil.rmtree(root)


def ask(up: Up, method: str, path: str, body: object = None) -> tuple[int, str]:
    """Return status and text, from a new connection, so that any worker may answer."""
    connection = http.client.HTTPConnection(up.state.api_host, up.state.api_port, timeout=20)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def submit(up: Up, server: MediaServer) -> str:
    status, text = ask(
        up, "POST", "/api/v1/transcriptions", {"url": server.url("jfk.flac", n=next(CLIPS))}
    )
    assert status == 202, text
    return json.loads(text)["id"]


def status_of(up: Up, id: str) -> str:
    status, text = ask(up, "GET", f"/api/v1/transcriptions/{id}")
    assert status == 200, text
    assert json.loads(text)["error"] is None, text
    return json.loads(text)["status"]


def wait_until_completed(up: Up, *ids: str, seconds: float = 180) -> None:
    def done() -> bool:
        time.sleep(1)
        states = {status_of(up, id) for id in ids}
        assert states <= {"queued", "running", "completed"}, states
        return states == {"completed"}

    up.wait_for(done, seconds)


def workers(up: Up) -> list[psutil.Process]:
    """Return the API's worker processes, children of the one that `up` started."""
    processes = []
    for process in psutil.Process(up.child("api").pid).children():
        with contextlib.suppress(psutil.Error):  # it has just ended
            if "spawn_main" in " ".join(process.cmdline()):
                processes.append(process)
    return processes


def signal_group(up: Up, name: str, number: int) -> None:
    os.killpg(up.child(name).pid, number)


@pytest.mark.slow
def test_several_workers_answer_as_one(up: Up, media_server: MediaServer):
    """The metrics of each worker include the requests of all; `status` reports no problem."""
    assert len(workers(up)) == 2
    for _ in range(40):
        assert ask(up, "GET", "/healthz")[0] == 200
    count = 0.0
    for family in text_string_to_metric_families(ask(up, "GET", "/metrics")[1]):
        for sample in family.samples:
            if sample.name == "ytcaption_http_requests_total":
                count += sample.value if sample.labels["route"] == "/healthz" else 0
    assert count >= 40
    id = submit(up, media_server)
    wait_until_completed(up, id)
    assert ask(up, "GET", f"/api/v1/transcriptions/{id}/result?format=txt")[0] == 200
    result = up.run("status", "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["counts"]["completed"] == 1


@pytest.mark.slow
def test_a_killed_worker_is_replaced(up: Up):
    """The other worker answers meanwhile."""
    before = {process.pid for process in workers(up)}
    os.kill(min(before), signal.SIGKILL)
    up.wait_for(lambda: ask(up, "GET", "/healthz")[0] == 200, 10)
    up.wait_for(lambda: len(workers(up)) == 2 and min(before) not in {p.pid for p in workers(up)})


@pytest.mark.slow
def test_a_killed_api_leaves_no_worker_behind(up: Up):
    """Otherwise the next API could not use its port."""

    def starts() -> int:
        return sum("api is ready" in line for line in up.lines)

    before, ready = workers(up), starts()
    os.kill(up.child("api").pid, signal.SIGKILL)
    up.wait_for(lambda: starts() == ready + 1)
    assert not any(each in orphan_processes(up.home) for each in before)
    up.wait_for(lambda: len(workers(up)) == 2)
    assert up.run("status").returncode == 0


@pytest.mark.slow
def test_a_paused_transcription_waits_and_continues(up: Up, media_server: MediaServer):
    """No step starts while its pool has no slots; all complete once it has slots again."""
    assert ask(up, "POST", "/api/v1/admin/pause", {"part": "transcription"})[0] == 200
    ids = [submit(up, media_server) for _ in range(3)]
    time.sleep(8)
    assert "completed" not in {status_of(up, id) for id in ids}
    assert "transcription" in up.run("admin", "overview").stdout
    assert up.run("admin", "resume", "transcription").returncode == 0
    wait_until_completed(up, *ids)


@pytest.mark.slow
def test_without_dagster_requests_are_accepted_and_completed_later(
    up: Up, media_server: MediaServer
):
    """Daemon and code server hang (suspended, so that they are not restarted) and are then killed.

    Their successors find the work, and nothing is done twice.
    """
    known = submit(up, media_server)
    wait_until_completed(up, known)
    for name in ("daemon", "code"):
        signal_group(up, name, signal.SIGSTOP)
    began = time.monotonic()
    ids = [submit(up, media_server) for _ in range(3)]
    assert {status_of(up, id) for id in ids} == {"queued"}
    assert ask(up, "GET", f"/api/v1/transcriptions/{known}/result?format=srt")[0] == 200
    assert ask(up, "GET", "/readyz")[0] == 200
    assert time.monotonic() - began < 10 * patience()
    time.sleep(5)
    assert {status_of(up, id) for id in ids} == {"queued"}
    for name in ("daemon", "code"):
        signal_group(up, name, signal.SIGKILL)
    wait_until_completed(up, *ids)
    for id in ids:
        assert json.loads(ask(up, "GET", f"/api/v1/transcriptions/{id}")[1])["attempt"] == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_without_dagsters_database_requests_are_accepted_and_completed_later(
    up: Up, media_server: MediaServer
):
    """The database refuses connections, and the daemon, killed meanwhile, dies at each start.

    The API continues, and so does Dagster once its database accepts connections again.
    """
    connections = "alter database dagster allow_connections = {}"
    up.lines.clear()
    with psycopg.connect(database_urls(up.settings).admin, autocommit=True) as connection:
        connection.execute(connections.format("false"))
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'dagster'"
        )
        try:
            signal_group(up, "daemon", signal.SIGKILL)
            began = time.monotonic()
            ids = [submit(up, media_server) for _ in range(2)]
            assert time.monotonic() - began < 5 * patience()

            def has_longer_pauses() -> bool:
                time.sleep(1)
                assert {status_of(up, id) for id in ids} == {"queued"}
                return any("daemon" in line and "restarting in 30 s" in line for line in up.lines)

            up.wait_for(has_longer_pauses, 300)
            status, text = ask(up, "GET", "/readyz")
            assert status == 200, text
            dagster = json.loads(text)["dependencies"]["dagster_storage"]
            assert (dagster["ready"], dagster["required"]) == (False, False)
            assert dagster["reason"]
            assert up.run("status").returncode == 1
        finally:
            connection.execute(connections.format("true"))
    ids.append(submit(up, media_server))
    wait_until_completed(up, *ids)
    up.wait_for(lambda: up.run("status").returncode == 0)


@pytest.mark.slow
def test_ctrl_c_leaves_no_worker(up: Up):
    """All processes end, and the exit status is 0."""
    assert up.process is not None
    assert len(workers(up)) == 2
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(30) == 0
    assert up.processes() == []
