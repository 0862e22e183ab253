"""An installation for a benchmark: a home of its own with `ytcaption up`; a worker alone."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources.processes.forked_child import child_server_socket
from resources.processes.runtime_directory import make_runtime_directory
from resources.worker.client import worker_at, worker_socket
from ytcaption_assets.cli.up.health import child_server_answers

READY_S = 180
POLL_S = 0.5


@dataclass(frozen=True)
class Installation:
    """A running `ytcaption up`."""

    home: Path
    api_url: str
    environment: dict[str, str]

    def submit(self, url: str, model: str) -> str:
        """Asks for a transcription; its id."""
        return self.request("POST", "/api/v1/transcriptions", {"url": url, "model": model})["id"]

    def wait(self, ids: list[str], limit_s: float) -> dict[str, str]:
        """The status of each, once all are final or the limit has passed."""
        give_up_at = time.monotonic() + limit_s
        while True:
            statuses = {
                key: self.request("GET", f"/api/v1/transcriptions/{key}")["status"] for key in ids
            }
            waiting = sum(status in ("queued", "running") for status in statuses.values())
            if not waiting or time.monotonic() > give_up_at:
                return statuses
            time.sleep(POLL_S)

    def text(self, key: str) -> str:
        """The transcript as text."""
        return self.request("GET", f"/api/v1/transcriptions/{key}/result?format=txt")

    def sql(self, query: str) -> str:
        """`ytcaption sql --csv`."""
        command = [sys.executable, "-m", "ytcaption_assets.cli.main", "sql", "--csv", query]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=self.environment
        ).stdout

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The API's answer: parsed JSON, or text."""
        request = urllib.request.Request(
            self.api_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            data = answer.read()
            is_json = "json" in answer.headers.get_content_type()
            return json.loads(data) if is_json else data.decode()


@contextmanager
def installation(model_directory: Path, **settings: str) -> Iterator[Installation]:
    """Runs `ytcaption up` in a temporary home until the block ends; models are shared with it.

    Args:
        settings: further variables of its environment.
    """
    with tempfile.TemporaryDirectory(prefix="ytc-bench-") as folder:
        home, port = Path(folder) / "home", free_port()
        environment = os.environ | {
            "YTCAPTION_HOME": str(home),
            "YTCAPTION_MODEL_DIRECTORY": str(model_directory),
            "YTCAPTION_ALLOWED_NETWORKS": "127.0.0.0/8",
            "YTCAPTION_API_PORT": str(port),
            **settings,
        }
        with (Path(folder) / "up.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ytcaption_assets.cli.main", "up", "--no-webserver"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
            running = Installation(home, f"http://127.0.0.1:{port}", environment)
            try:
                _wait_until_ready(running, process, Path(log.name))
                yield running
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)


@contextmanager
def local_servers(home: Path) -> Iterator[None]:
    """Runs what runs of this home are helped by, as the environment's settings say: a worker, and
    the child server."""
    make_runtime_directory(home)
    worker, children = worker_at(worker_socket(home, 0)), child_server_socket(home)
    with (
        _running(
            lambda: worker.health() is not None,
            *("ytcaption_assets.cli.main", "worker", "--number", "0"),
        ),
        _running(lambda: child_server_answers(children), "resources.child_server", str(children)),
    ):
        yield


@contextmanager
def _running(is_ready: Callable[[], bool], *module: str) -> Iterator[None]:
    command = [sys.executable, "-P", "-m", *module]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    give_up_at = time.monotonic() + READY_S
    try:
        while not is_ready():
            if time.monotonic() > give_up_at or process.poll() is not None:
                raise RuntimeError(f"{module[0]} did not start")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(running: Installation, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + READY_S
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            break
        try:
            running.request("GET", "/readyz")
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
        else:
            return
    raise RuntimeError(f"`ytcaption up` did not become ready:\n{log.read_text()[-3000:]}")


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
