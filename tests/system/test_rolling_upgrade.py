"""The previous version's code and today's work on one database, and nothing is lost."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.support.history import extract, need_history
from tests.support.paths import DATA
from tests.support.patience import patience
from tests.support.previous_version import PreviousUp, previous_commit
from tests.ytcaption_assets.cli.up.test_up import Up, environment

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(1200)]

RECORDING = (DATA / "fleurs-en-004.ogg").read_bytes()


@dataclass
class Load:
    """Clients of one API, each in a thread, until `stop`.

    Attributes:
        accepted: ids of transcriptions that were answered with 202.
        statuses: how often each status was answered, by method and path.
        failures: answers that no client should see, and connections that broke.
    """

    base_url: str
    name: str
    accepted: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin with two clients."""
        for number in range(2):
            thread = threading.Thread(target=self._work, args=(number,))
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End the clients."""
        self._ended.set()
        for thread in self._threads:
            thread.join(60)

    def _work(self, client: int) -> None:
        with httpx.Client(base_url=self.base_url, timeout=30) as http:
            number = 0
            while not self._ended.is_set():
                number += 1
                self._round(http, f"{self.name}-{client}-{number}", uploads=number % 60 == 1)

    def _round(self, http: httpx.Client, name: str, *, uploads: bool) -> None:
        # Bulk work for links that nothing downloads during the test: it waits in the queue.
        link = {"url": f"https://example.org/{name}.mp3", "priority": "bulk"}
        created = self._ask(http, "POST", "/api/v1/transcriptions", 202, json=link)
        if created is not None:
            id = created["id"]
            self._ask(http, "GET", f"/api/v1/transcriptions/{id}", 200)
            self._ask(http, "POST", f"/api/v1/transcriptions/{id}/cancel", 200)
        if uploads:
            parameters = {"filename": f"{name}.ogg", "language": "en", "hotwords": name}
            created = self._ask(
                http, "POST", "/api/v1/uploads", 202, params=parameters, content=RECORDING
            )
            if created is not None:
                self.accepted.append(created["id"])
        self._ask(http, "GET", "/api/v1/transcriptions?limit=5", 200)
        self._ask(http, "GET", "/api/v1/search?q=dinosaurs", 200)
        time.sleep(0.2)  # two clients of each version are a load, not an attack

    def _ask(self, http: httpx.Client, method: str, path: str, status: int, **body):
        try:
            response = http.request(method, path, **body)
        except httpx.HTTPError as error:
            self.failures.append(f"{method} {path}: {error!r}")
            return None
        kind = f"{method} {path.partition('?')[0].rpartition('/')[2][:20]}"
        self.statuses[f"{kind} {response.status_code}"] += 1
        if response.status_code != status:
            self.failures.append(f"{method} {path}: {response.status_code} {response.text[:300]}")
            return None
        return response.json()


@contextmanager
def api_of_today(up: PreviousUp) -> Iterator[str]:
    """Run an API of today's code beside; yield its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        cwd=up.home.parent,
        env=environment(up.home, **up.todays_settings) | {"YTCAPTION_API_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60 * patience()
        while True:
            assert process.poll() is None and time.monotonic() < deadline
            try:
                if httpx.get(f"{url}/healthz").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def previous(model_home: Path) -> Iterator[PreviousUp]:
    """An installation of the previous version, running."""
    need_history()
    root = Path(tempfile.mkdtemp(prefix="ytcold", dir="/tmp"))  # short, as socket paths must be
    extract(previous_commit(), root / "checkout")
    up = PreviousUp(
        root / "home",
        root / "checkout",
        PYTHONPATH=str(root / "checkout"),
        YTCAPTION_MODEL_DIRECTORY=str(model_home),
        YTCAPTION_MODEL="tiny.en",
        YTCAPTION_EMBEDDINGS="off",
        YTCAPTION_REQUESTS_PER_MINUTE="100000",
    )
    try:
        up.start()
        yield up
    finally:
        up.end()
        shutil.rmtree(root)


def states(url: str, ids: list[str]) -> Counter[str]:
    """How many transcriptions are in each state."""
    found: Counter[str] = Counter()
    for id in ids:
        response = httpx.get(f"{url}/api/v1/transcriptions/{id}", timeout=30)
        assert response.status_code == 200, response.text
        found[response.json()["status"]] += 1
    return found


def test_the_previous_version_and_this_one_work_side_by_side(previous: PreviousUp):
    """While the database is migrated and afterwards, requests to both are answered; what either
    accepted is completed, by the previous version's runs and then by today's."""
    state = json.loads((previous.home / "up.json").read_text())
    old_url = f"http://127.0.0.1:{state['api_port']}"
    before = Load(old_url, "before")
    before.start()
    time.sleep(3)
    migrated = previous.run_today("migrate")
    assert migrated.returncode == 0, migrated.stderr
    with api_of_today(previous) as new_url:
        after = Load(new_url, "after")
        after.start()
        time.sleep(15)
        before.stop()
        after.stop()
        assert before.failures == [] and after.failures == []
        assert sum(before.statuses.values()) > 100 and sum(after.statuses.values()) > 100
        ids = before.accepted + after.accepted
        assert before.accepted and after.accepted
        # Each version answers for what the other one has accepted; some is completed by the
        # previous version's runs.
        previous.wait_for(lambda: states(new_url, ids)["completed"] >= 2, 120)
        assert set(states(old_url, ids)) <= {"queued", "running", "completed"}
    previous.stop()

    today = Up(previous.home, previous.home.parent, **previous.todays_settings)
    today.start()
    try:
        state = json.loads((today.home / "up.json").read_text())
        url = f"http://127.0.0.1:{state['api_port']}"
        today.wait_for(lambda: states(url, ids) == {"completed": len(ids)}, 300)
        for id in ids:  # each has hotwords of its own, which change some words
            text = httpx.get(f"{url}/api/v1/transcriptions/{id}/result?format=txt").text
            assert "dinosaurs" in text
        for command in (("doctor",), ("replay", "--check")):
            result = today.run(*command)
            assert result.returncode == 0, result.stdout
    finally:
        today.stop()
