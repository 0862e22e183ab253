"""Kills processes of an `up` by SIGKILL, in an order and at times that a seed determines."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import psutil
import psycopg

from resources.postgres.embedded import EmbeddedServer
from resources.postgres.urls import database_urls
from resources.processes.process_identity import RunProcess
from tests.ytcaption_assets.cli.up.test_up import Up
from ytcaption_assets.cli.up.orphans import orphan_processes
from ytcaption_assets.cli.up.state import read_state

VICTIMS = ("daemon", "code", "runs", "children", "api", "notifier", "worker-0", "postgres")
RUN = "run"
LISTING = "listing"
_RUNS_EACH = 2
"""Number of runs killed before each other process."""

_WAIT_FOR_LISTING_S = 8.0
_POLL_EVERY_S = 0.1

_PAUSE_S = (2.0, 5.0)
API_APART_S = 61.0
"""`up` ends when the API dies five times in a row within a minute of each start."""


def plan(seed: int, victims: Sequence[str] = VICTIMS) -> Iterator[tuple[float, str, float]]:
    """Yield pause, victim and choice among several (0 to 1) forever, the same for a seed."""
    choose = random.Random(seed)
    while True:
        for victim in choose.sample(victims, len(victims)):
            for each in (*[RUN] * _RUNS_EACH, victim):
                yield choose.uniform(*_PAUSE_S), each, choose.random()


class Killer:
    """A loop in a thread; a context manager that ends it.

    Attributes:
        killed: number of kills by victim.
        log: seconds since the start, victim and pid of each kill.
    """

    def __init__(
        self, up: Up, seed: int, say: Callable[[str], None], victims: Sequence[str] = VICTIMS
    ) -> None:
        self.killed: Counter[str] = Counter()
        self.log: list[tuple[float, str, int]] = []
        self._up, self._plan, self._say = up, plan(seed, victims), say
        self._paused = threading.Lock()
        self._ended = threading.Event()
        self._began = time.monotonic()
        self._api_at = -API_APART_S
        self._thread = threading.Thread(target=self._work, name="killer", daemon=True)

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def paused(self) -> threading.Lock:
        """Lock that stops the killing while it is held."""
        return self._paused

    def _work(self) -> None:
        for pause_s, victim, which in self._plan:
            if self._ended.wait(pause_s):
                return
            if victim == "api" and time.monotonic() - self._api_at < API_APART_S:
                continue
            if victim == LISTING:
                self._wait_for_listing()
            with self._paused:
                pid = self._find(victim, which)
                if pid is not None and self._kill(pid):
                    self._record(victim, pid)

    def _find(self, victim: str, which: float) -> int | None:
        if victim == RUN:
            runs = self._runs()
            return runs[int(which * len(runs))] if runs else None
        if victim == LISTING:
            return self._listing()
        if victim == "postgres":
            lock = EmbeddedServer.of(self._up.settings).data / "postmaster.pid"
            try:
                return int(lock.read_text().split("\n")[0])
            except (OSError, ValueError):
                return None  # it is starting
        return self._child(victim)

    def _runs(self) -> list[int]:
        """Return the pids of runs, forked by `runs` or started by `code`."""
        server = self._child("runs")
        pids = []
        for process in orphan_processes(self._up.home):
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            forked = "ytcaption_assets.run_server.server" in line and process.pid != server
            if forked or "execute_run" in line:
                pids.append(process.pid)
        return sorted(pids)

    def _wait_for_listing(self) -> None:
        """Wait until a run lists a channel, which is short once all items are known."""
        deadline = time.monotonic() + _WAIT_FOR_LISTING_S
        while self._listing() is None and time.monotonic() < deadline:
            if self._ended.wait(_POLL_EVERY_S):
                return

    def _listing(self) -> int | None:
        """Return the pid of the run that lists a channel now."""
        urls = database_urls(self._up.settings)
        try:
            with psycopg.connect(urls.admin, connect_timeout=5) as connection:
                row = connection.execute(
                    "select run_id from ytcaption.channel where run_id is not null"
                ).fetchone()
            if row is None:
                return None
            storage = urls.dagster_storage.replace("+psycopg2", "")
            with psycopg.connect(storage, connect_timeout=5) as connection:
                tags = connection.execute(
                    "select key, value from run_tags where run_id = %s", row
                ).fetchall()
        except psycopg.Error:
            return None  # Postgres is not available
        process = RunProcess.of_run(dict(tags))
        return process.pid if process is not None and process.is_alive else None

    def _child(self, name: str) -> int | None:
        """Return the pid of a child of `up`; None if it has just died."""
        state = read_state(self._up.home)
        children = state.processes if state is not None else ()
        return next((each.pid for each in children if each.name == name and each.is_alive), None)

    def _kill(self, pid: int) -> bool:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def _record(self, victim: str, pid: int) -> None:
        after_s = time.monotonic() - self._began
        self.killed[victim] += 1
        self.log.append((after_s, victim, pid))
        if victim == "api":
            self._api_at = time.monotonic()
        self._say(f"killed {victim} ({pid})")
