"""`ytcaption up` with its real processes."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest

from resources.postgres.urls import database_urls
from resources.worker.client import worker_at, worker_socket
from tests.support.patience import patience, wait_for
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli import main
from ytcaption_assets.cli.up.orphans import orphan_processes
from ytcaption_assets.cli.up.state import ProcessState, UpState, read_state

SECRETS = {
    "YTCAPTION_API_KEY": "ytc_secret_of_a_client",
    "YTCAPTION_BACKUP_KEY": "secret-of-the-backups-" * 2,
    "YTCAPTION_NOTIFY_URLS": "json://secret@127.0.0.1:9/",
    "YTCAPTION_PROXIES": "http://me:secret@127.0.0.1:9",
    "YTCAPTION_WEBHOOK_KEY": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=",
    "YTCAPTION_WORKER_TOKEN": "secret" * 8,
    "AWS_SECRET_ACCESS_KEY": "secret-of-s3",
    "HF_TOKEN": "hf_secret",
}
"""Secrets that an operator may set; none of them changes what these tests do."""

NEEDED_BY = {
    "YTCAPTION_API_KEY": set(),
    "YTCAPTION_BACKUP_KEY": set(),
    "YTCAPTION_NOTIFY_URLS": {"notifier"},
    "YTCAPTION_PROXIES": {"api", "code", "runs"},
    "YTCAPTION_WEBHOOK_KEY": {"api", "notifier"},
    "YTCAPTION_WORKER_TOKEN": {"api", "code", "runs"},
    "YTCAPTION_DAGSTER_STORAGE_URL": {"api", "code", "daemon", "notifier", "runs", "webserver"},
    "AWS_SECRET_ACCESS_KEY": {"api", "code", "runs"},
    "HF_TOKEN": {"api", "code", "runs", "worker-0"},
}
"""Secret -> processes whose environment holds it."""

COMMAND = (sys.executable, "-m", "ytcaption_assets.cli.main")


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Return the environment without the tester's own settings."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("YTCAPTION_")}
    ports = {"YTCAPTION_API_PORT": "0", "YTCAPTION_WEBSERVER_PORT": "0"}
    return {**usual, **ports, "YTCAPTION_HOME": str(home), **settings}


class Up:
    """An `up` on its own home with its own settings, which can be restarted.

    Attributes:
        options: options of the command.
    """

    options: tuple[str, ...] = ()

    def __init__(self, home: Path, directory: Path, **more: str) -> None:
        self.home = home
        self.more = more
        self.settings = Settings(home=home, _env_file=None)  # pyright: ignore[reportCallIssue]
        self.directory = directory
        self.lines: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.lines.clear()
        self.process = subprocess.Popen(
            [*COMMAND, "up", *self.options],
            cwd=self.directory,
            env=environment(self.home, **self.more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        self.wait_for(lambda: any("everything is ready" in line for line in self.lines), 240)

    def stop(self) -> None:
        """Stop it as Ctrl-C does, if it runs."""
        if self.process is not None and self.alive:
            self.process.send_signal(signal.SIGINT)
            assert self.process.wait(30 * patience()) == 0

    def end(self) -> None:
        """End it and whatever of it is left, at the end of a test."""
        if self.process is not None and self.alive:
            self.process.terminate()
            self.process.wait(60)
        self.kill()

    def kill(self) -> None:
        """Kill it and whatever of it is left."""
        if self.process is not None and self.alive:
            self.process.kill()
            self.process.wait()
        for process in self.processes():
            process.kill()

    def _read(self, pipe) -> None:
        self.lines.extend(iter(pipe.readline, ""))

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def state(self) -> UpState:
        state = read_state(self.home)
        assert state is not None
        return state

    def child(self, name: str) -> ProcessState:
        return next(each for each in self.state.processes if each.name == name)

    def wait_for(self, condition: Callable[[], object], seconds: float = 60) -> None:
        def holds() -> object:
            held = condition()
            assert held or self.alive, "".join(self.lines)
            return held

        wait_for(holds, seconds, lambda: "".join(self.lines))

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run another command on the same home."""
        return subprocess.run(
            [*COMMAND, *arguments],
            env=environment(self.home, **self.more, **settings),
            capture_output=True,
            text=True,
        )

    def processes(self) -> list[psutil.Process]:
        """Return all processes of this home, found by their environment or command line."""
        processes = set(orphan_processes(self.home))
        for process in psutil.process_iter():
            try:
                if str(self.home) in " ".join(process.cmdline()):
                    processes.add(process)
            except psutil.Error:
                continue
        return sorted(processes, key=lambda process: process.pid)


@pytest.fixture(scope="module")
def installation() -> Iterator[Up]:
    # Short, since a socket's path has room for 107 bytes.
    root = Path(tempfile.mkdtemp(prefix="ytcup", dir="/tmp"))
    directory = root / "elsewhere"
    (directory / "api").mkdir(parents=True)
    (directory / "api" / "__init__.py").write_text("raise ImportError('not ours')")
    (directory / ".env").write_text("YTCAPTION_SITES=any\nYTCAPTION_API_HOST=0.0.0.0\n")
    installation = Up(root / "home", directory, **SECRETS)
    try:
        yield installation
    finally:
        installation.end()
        shutil.rmtree(root)


@pytest.fixture
def up(installation: Up) -> Up:
    """A running `up`, started again if an earlier test has ended it."""
    if not installation.alive:
        installation.start()
    return installation


def get(host: str, port: int | None, path: str, headers: dict[str, str] | None = None) -> int:
    assert port is not None
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.long
def test_all_processes_answer_and_status_reports_it(up: Up):
    """Postgres runs, too; each line of output has its process as prefix."""
    assert get(up.state.api_host, up.state.api_port, "/healthz") == 200
    assert get(up.state.api_host, up.state.api_port, "/readyz") == 200
    assert get("127.0.0.1", up.state.webserver_port, "/server_info") == 200
    prefixes = {line.partition(" │ ")[0].strip() for line in up.lines}
    assert {"up", "code", "api"} <= prefixes
    result = up.run("status", "--json")
    report = json.loads(result.stdout)
    assert {each["name"]: each["health"] for each in report["processes"]} == dict.fromkeys(
        ("up", "code", "runs", "children", "daemon", "webserver", "api", "notifier", "worker-0"),
        "ok",
    )
    assert (report["workers"]["worker-0"]["jobs"], report["workers"]["worker-0"]["slots"]) == (0, 8)
    assert report["postgres_runs"]
    assert report["counts"] == dict.fromkeys(
        ("queued", "running", "completed", "failed", "canceled"), 0
    )
    assert result.returncode == 0


def test_dagsters_page_is_guarded(up: Up):
    """By GET nothing is executed, and a name that leads to this machine is not answered."""
    port = up.state.webserver_port
    mutation = "mutation%20%7BsetNuxSeen%7D"
    assert get("127.0.0.1", port, f"/graphql?query={mutation}") == 405
    for path in ("/", "/server_info", "/healthz"):
        assert get("127.0.0.1", port, path) == 200
        assert get("127.0.0.1", port, path, {"Host": "evil.example"}) == 421


def test_nothing_listens_beyond_this_machine(up: Up):
    """Neither page requires authentication (rules 21 and 47)."""
    listening = [
        connection
        for process in orphan_processes(up.home)
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    ports = {up.state.api_port, up.state.webserver_port}
    assert {(each.laddr.ip, each.laddr.port) for each in listening} == {
        ("127.0.0.1", port) for port in ports
    }


@pytest.mark.long
def test_each_process_has_the_secrets_that_it_needs(up: Up):
    """By the environment of each real process, Postgres' and children's children included."""
    assert up.process is not None
    postgres = int((up.home / "postgres/data/postmaster.pid").read_text().split()[0])
    names = {each.pid: each.name for each in up.state.processes} | {postgres: "postgres"}
    assert set(names.values()) >= {"code", "runs", "children", "daemon", "webserver", "worker-0"}
    checked = set()
    for process in [
        *psutil.Process(up.process.pid).children(recursive=True),
        *psutil.Process(postgres).children(),
        psutil.Process(postgres),
    ]:
        try:
            line = [process.pid, *(parent.pid for parent in process.parents())]
            environ = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        except (OSError, psutil.Error):
            continue  # it has ended
        name = next(names[pid] for pid in line if pid in names)
        held = {entry.partition(b"=")[0].decode() for entry in environ} & set(NEEDED_BY)
        assert held == {each for each, names in NEEDED_BY.items() if name in names}, name
        checked.add(name)
    assert checked >= set(names.values()) - {"up"}


@pytest.mark.long
def test_no_process_reads_a_file_of_the_current_folder(up: Up):
    """Neither for our settings nor for Dagster, which would take every variable in it."""
    said = "\n".join(up.lines)
    assert "Loaded environment variables from .env file" not in said
    assert f"settings: the environment; there is no {up.home}/.env." in said
    assert f"{up.directory}/.env is not read, since the current folder may be anybody's" in said
    assert up.state.api_host == "127.0.0.1"
    folders = {
        process.name: Path(f"/proc/{process.pid}/cwd").readlink()
        for process in up.state.processes
        if process.name != "up"
    }
    assert up.directory not in folders.values(), folders


@pytest.mark.slow
def test_a_second_up_on_the_home_is_refused(up: Up):
    """It prints one sentence with exit status 1, and the first is not disturbed."""
    assert up.process is not None
    result = up.run("up")
    assert result.returncode == 1
    assert f"already runs on {up.home} as process {up.process.pid}" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert up.alive


@pytest.mark.slow
def test_a_killed_daemon_is_restarted(up: Up):
    """A new one sends heartbeats within seconds; the others continue."""
    before, code = up.child("daemon"), up.child("code")
    os.kill(before.pid, signal.SIGKILL)
    up.wait_for(lambda: any("daemon was ended by SIGKILL" in line for line in up.lines))
    up.wait_for(lambda: sum("daemon is ready" in line for line in up.lines) == 2)
    assert up.child("daemon").pid != before.pid
    assert up.child("daemon").restarts == 1
    assert up.child("code") == code


@pytest.mark.long
def test_a_killed_worker_is_restarted(up: Up):
    """Its socket answers again; the others continue."""
    before, code = up.child("worker-0"), up.child("code")
    os.kill(before.pid, signal.SIGKILL)
    up.wait_for(lambda: sum("worker-0 is ready" in line for line in up.lines) == 2)
    assert worker_at(worker_socket(up.home, 0)).health() is not None
    assert up.child("worker-0").restarts == 1
    assert up.child("code") == code
    assert "worker-0: 0 of 8 slots, " in up.run("status").stdout


@pytest.mark.slow
def test_a_killed_postgres_is_restarted(up: Up):
    """It answers soon, and so does the API."""
    pid_file = up.home / "postgres" / "data" / "postmaster.pid"
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)

    def answers() -> bool:
        try:
            psycopg.connect(database_urls(up.settings).admin, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return get(up.state.api_host, up.state.api_port, "/readyz") == 200

    up.wait_for(lambda: not answers(), 5)
    up.wait_for(answers)


@pytest.mark.slow
def test_the_next_up_ends_orphans_of_a_killed_one(up: Up):
    """A suspended process does not handle SIGTERM, so it survives until the next start."""
    assert up.process is not None
    orphan = psutil.Process(up.child("daemon").pid)
    orphan.suspend()
    up.process.kill()
    up.process.wait()
    time.sleep(1)
    assert orphan.is_running()
    assert "left from an `up` that was killed" in up.run("status").stdout
    up.start()
    assert any("left by an earlier `ytcaption up`" in line for line in up.lines)
    assert not orphan.is_running()
    assert up.run("status").returncode == 0


@pytest.mark.long
def test_ctrl_c_leaves_no_process(up: Up):
    """All end in about 5 s, or 15 s on a busy machine; the exit status is 0."""
    assert up.process is not None
    assert len(up.processes()) >= 5
    began = time.monotonic()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(30) == 0
    assert time.monotonic() - began < 20 * patience()
    assert up.processes() == []
    assert read_state(up.home) is None
    assert any(line == "up        │ stopped\n" for line in up.lines)


@pytest.mark.slow
def test_with_a_key_the_api_answers_other_machines(installation: Up):
    """Only requests with the key are answered; it was created while nothing ran."""
    installation.stop()
    key = installation.run("keys", "create", "laptop").stdout.strip()
    installation.more = {"YTCAPTION_API_HOST": "0.0.0.0"}
    installation.start()
    port = installation.state.api_port
    assert get("127.0.0.1", port, "/healthz") == 200
    assert get("127.0.0.1", port, "/api/v1/options") == 401
    assert get("127.0.0.1", port, "/api/v1/options", {"Authorization": f"Bearer {key}"}) == 200
    assert not any(key.split("_")[2] in line for line in installation.lines)
    installation.stop()
    installation.more = {}


@dataclass
class Refused:
    """Starts `up` with settings that it must not accept, in this process: importing Dagster and
    yt-dlp again takes seconds."""

    tmp_path: Path
    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]

    def message(self, *arguments: str, asks_database: bool = False, **settings: str) -> str:
        """Return the one sentence that the command prints."""
        home = Path(settings.setdefault("YTCAPTION_HOME", str(self.tmp_path / "home")))
        for name in [each for each in os.environ if each.startswith("YTCAPTION_")]:
            self.monkeypatch.delenv(name)
        for name, value in environment(home, **settings).items():
            self.monkeypatch.setenv(name, value)
        self.monkeypatch.setattr(sys, "argv", ["ytcaption", "up", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.run()
        assert ended.value.code == 1
        message = self.capfd.readouterr().err
        assert len(message.splitlines()) == 1
        assert not orphan_processes(home)
        assert (home / "postgres").exists() is asks_database
        return message


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return the one sentence of an `up` that does not start."""
    return Refused(tmp_path, monkeypatch, capfd).message


@pytest.mark.long
def test_a_port_in_use_is_one_sentence(refused):
    """It names the process and the setting before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        message = refused("--port", str(port))
    assert f"Port {port} is in use by process {os.getpid()}" in message
    assert "YTCAPTION_API_PORT" in message


@pytest.mark.slow
def test_an_address_beyond_this_machine_needs_keys(refused):
    """The sentence says how to create one (rule 21)."""
    message = refused("--host", "0.0.0.0", asks_database=True)
    assert "does not bind to 0.0.0.0: no API keys exist" in message
    assert "`ytcaption keys create NAME`" in message


@pytest.mark.long
def test_invalid_jwt_settings_are_one_sentence(refused):
    """A short secret could be guessed."""
    message = refused(
        YTCAPTION_JWT_SECRET="short",
        YTCAPTION_JWT_ISSUER="i",
        YTCAPTION_JWT_AUDIENCE="a",
    )
    assert "YTCAPTION_JWT_SECRET is shorter than 32 characters" in message


@pytest.mark.long
def test_an_unknown_site_is_one_sentence(refused):
    """Otherwise the API would fail repeatedly after everything else has started."""
    message = refused(YTCAPTION_SITES="youtube,yuotube")
    assert "YTCAPTION_SITES names sites that yt-dlp does not know: yuotube" in message


@pytest.mark.long
def test_a_home_that_cannot_be_written_is_one_sentence(refused):
    """It names the setting to change."""
    assert "Set YTCAPTION_HOME" in refused(YTCAPTION_HOME="/proc/self/ytcaption")


@pytest.mark.long
def test_a_database_that_does_not_answer_is_one_sentence(refused):
    """It has neither the address nor the password."""
    url = "postgresql://captioner:secret@127.0.0.1:9/ytcaption"
    message = refused(YTCAPTION_DATABASE_URL=url)
    assert "does not answer" in message
    assert "secret" not in message
