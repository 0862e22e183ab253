"""`ytcaption status` with a real database and real processes."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from io import StringIO

import pytest
from pydantic import SecretStr
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from resources.admin.queue_report import queue_report
from resources.embeddings.store import EmbeddingCounts, EmbeddingStore
from resources.network.proxy_health import record_failed
from resources.sites.pacing import record_bytes
from tests.support.embedding import TOY
from tests.support.library import add_said
from tests.support.servers.postgres_servers import embedded_server
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.media.pacing import UNPACED, Pacing, PerSite
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.orphans import MARK
from ytcaption_assets.cli.up.state import ProcessState, UpState, created_at, write_state
from ytcaption_assets.cli.up.status import duration, print_status, status, status_json
from ytcaption_assets.cli.up.status_report import read_status

HEALTHY = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""


def submit(request_store, name: str) -> str:
    source = MediaSource(f"youtube-{name}", "site", f"https://youtu.be/{name}", "youtube", None)
    return request_store.submit(source, TranscriptionOptions(model="base")).transcription.id


def text_of(report) -> str:
    text = StringIO()
    print_status(report, Console(file=text, width=200))
    return text.getvalue()


def test_reasons_for_waiting_and_health_of_proxies(settings, request_store, monkeypatch):
    """Both outputs have them, without a proxy's password."""
    proxies = "http://me:hunter2@a.example:3128,socks5://b.example"
    settings = settings.changed(proxies=SecretStr(proxies))
    source = MediaSource("youtube-x", "site", "https://youtu.be/x", "youtube", None)
    request_store.submit(source, TranscriptionOptions(model="base"), priority="bulk")
    record_failed(request_store.postgres, "socks5://b.example:1080", "it does not answer")
    record_bytes(request_store.postgres, "youtube.com", UNPACED, 100)
    request_store.due(10, pacing=Pacing(bytes_per_day=PerSite(100.0)))
    report = read_status(settings)
    text = text_of(report)
    assert "1 waiting. The bytes allowed from youtube.com today are used up: bulk work" in text
    assert "http://a.example:3128" in text and "cooling down until" in text
    assert "it does not answer" in text
    queue = json.loads(status_json(report))["queue"]
    assert queue["throttled_sites"][0]["code"] == "bytes_a_day"
    assert queue["resting"] == queue["throttled_sites"]
    assert [each["rests_until"] for each in queue["proxies"]] == [
        each["cooling_until"] for each in queue["proxies"]
    ]
    assert [each["failures"] for each in queue["proxies"]] == [0, 1]
    assert "hunter2" not in text + status_json(report)


def test_counts_waiting_time_and_failures(settings, request_store, run_store):
    """The report has the number in each state, the longest wait, and recent failures by code."""
    waiting, failing = submit(request_store, "waiting0001"), submit(request_store, "failing0001")
    run_store.claim(failing, "run-1", None)
    run_store.fail(failing, "run-1", "media_private", "It is [b]private[/b].", False, 4)
    report = read_status(settings)
    assert {state.value: number for state, number in report.counts.items()} == {
        "queued": 1,
        "running": 0,
        "completed": 0,
        "failed": 1,
        "canceled": 0,
    }
    assert 0 <= report.queue.oldest_waiting_s < 60
    assert [(each.code, each.number) for each in report.queue.failures] == [("media_private", 1)]
    text = text_of(report)
    assert "It is [b]private[/b]." in text
    assert "The longest wait is" in text
    document = json.loads(status_json(report))
    assert document["counts"]["queued"] == 1
    assert document["queue"]["failures"][0]["code"] == "media_private"
    assert not document["runs"]
    assert waiting != failing


def test_transcriptions_without_embeddings_are_counted(settings, request_store):
    """The count appears if embeddings are on; no model is loaded for it."""
    settings = settings.changed(embedding_model=TOY.name)
    id = add_said(request_store, "a", "a puppy")
    add_said(request_store, "b", "the sea")
    store = EmbeddingStore(request_store.postgres)
    store.record_failed(id, store.model_id(TOY))
    assert read_status(settings).embeddings is None
    report = read_status(settings.changed(embeddings="on"))
    assert report.embeddings == EmbeddingCounts(waiting=1, failed=1)
    message = "1 completed transcriptions wait for embeddings; 1 could not be embedded."
    assert message in text_of(report)
    assert json.loads(status_json(report))["embeddings"] == {"waiting": 1, "failed": 1}


def test_an_empty_queue_has_no_longest_wait(postgres):
    """Nothing waits and nothing failed."""
    report = queue_report(postgres)
    assert report.oldest_waiting_s is None
    assert report.failures == ()


@pytest.mark.long
def test_processes_that_answer_that_hang_and_that_died(settings):
    """Each of an `up`'s processes is checked; a reused pid counts as another process."""
    with ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as hanging:
        api = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", HEALTHY], stdout=subprocess.PIPE, text=True)
        )
        stack.callback(api.kill)
        state = UpState(
            up=ProcessState("up", os.getpid(), created_at(os.getpid())),
            processes=(
                ProcessState("api", api.pid, created_at(api.pid), restarts=2),
                ProcessState("webserver", os.getpid(), created_at(os.getpid())),
                ProcessState("daemon", os.getpid(), created_at(os.getpid()) - 3600),
            ),
            api_host="127.0.0.1",
            api_port=int(api.stdout.readline()),
            webserver_port=hanging.getsockname()[1],
        )
        settings.home.mkdir()
        write_state(settings.home, state)
        report = read_status(settings)
    assert {each.name: each.health for each in report.processes} == {
        "up": "ok",
        "code": "not running",
        "runs": "not running",
        "children": "not running",
        "daemon": "not running",
        "webserver": "no answer",
        "api": "ok",
        "notifier": "not running",
    }
    assert {each.name: each.restarts for each in report.processes}["api"] == 2
    assert report.runs
    assert not report.is_healthy
    assert "no answer" in text_of(report)


def test_orphans_of_a_killed_up_are_counted(settings):
    """The JSON has the number under its old name, `leftovers`, too."""
    orphan = subprocess.Popen(
        [sys.executable, "-c", "print('started', flush=True); import time; time.sleep(60)"],
        env={**os.environ, MARK: str(settings.home)},
        stdout=subprocess.PIPE,
    )
    try:
        assert orphan.stdout.readline()
        report = read_status(settings)
        assert "1 processes are left from an `up` that was killed" in text_of(report)
        document = json.loads(status_json(report))
        assert (document["orphans"], document["leftovers"]) == (1, 1)
    finally:
        orphan.kill()
        orphan.communicate()


@pytest.fixture
def run_status(monkeypatch):
    def run(home, *arguments: str):
        monkeypatch.setenv("YTCAPTION_HOME", str(home))
        monkeypatch.delenv("YTCAPTION_DATABASE_URL", raising=False)
        app = Typer()
        app.command()(status)
        return CliRunner().invoke(app, arguments)

    return run


def test_an_unused_home_is_not_created(tmp_path, run_status):
    """The exit status is 3 with a sentence."""
    result = run_status(tmp_path / "home")
    assert result.exit_code == 3
    assert "Nothing has been transcribed on this home yet." in result.output
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_a_stopped_database_is_read_and_stopped_again(tmp_path, run_status):
    """The counts are reported although nothing runs, and nothing runs afterwards."""
    with embedded_server(tmp_path):
        pass
    result = run_status(tmp_path, "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert document["counts"]["queued"] == 0
    assert not document["postgres_runs"]
    assert not read_status(Settings(home=tmp_path)).postgres_runs


def test_an_unavailable_database_is_reported(tmp_path):
    """The report has everything else."""
    report = read_status(
        Settings(home=tmp_path, database_url="postgresql://u:secret@127.0.0.1:9/ytcaption")
    )
    assert report.counts is None
    assert "does not answer" in report.problem
    assert "secret" not in text_of(report)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.4, "0 s"), (42, "42 s"), (185, "3 min 5 s"), (7620, "2 h 7 min"), (442_800, "5 d 3 h")],
)
def test_durations_are_short(seconds, expected):
    """They have at most two units."""
    assert duration(seconds) == expected
