"""`make soak`: requests at an even pace for hours, among kills and faults, and nothing may grow.

    python -m tests.chaos.soak [--seed 7] [--minutes 1440] [--every 60] [--remote]

Each transcription is compared with that of an undisturbed engine, then erased: so tables and files
have no reason to grow. The result is a table and, with `--plot FILE`, a picture.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from resources.postgres.urls import database_urls, libpq_url
from tests.chaos import verify
from tests.chaos.clips import OPTIONS, Clip, texts_and_times
from tests.chaos.disturbances import embedded, remote
from tests.chaos.killer import Killer
from tests.chaos.outcome import Outcome, print_outcome
from tests.chaos.storm import FREE_WITHIN_S, Installation, Storm
from tests.support.servers.media_server import MediaServer
from tests.ytcaption_assets.cli.up.test_up import Up
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.orphans import orphan_processes
from ytcaption_assets.cli.up.state import read_state

CLIPS = 25
SAMPLE_EVERY_S = 15.0
QUIET_S = 20.0
"""Without kills, after each disturbance: samples of that time count."""

GROWTH = 1.1
"""Most that the last third may be of the second, beside the allowances below."""

ALLOWED_MIB, ALLOWED_DESCRIPTORS, ALLOWED_FILES, ALLOWED_ROWS = 64, 16, 20, 20

GROWING_TABLES = {
    "event": "kept for ever",
    "tombstone": "kept for ever",
    "job_ticks": "Dagster removes them by their age",
}
"""Tables that grow with what is done, and why."""


@dataclass
class Sample:
    """What the installation uses at one moment.

    Attributes:
        at_s: seconds since the start.
        mib: resident memory of all processes.
        rows: of each table.
    """

    at_s: float
    mib: float
    descriptors: int
    files: int
    rows: Counter[str]


@dataclass
class Usage:
    """The samples of a soak."""

    samples: list[Sample] = field(default_factory=list)

    def take(self, up: Up, settings: Settings, began: float) -> None:
        """Add a sample, unless Postgres does not answer."""
        mib = descriptors = 0.0
        for process in orphan_processes(up.home):
            with suppress(psutil.Error):
                mib += process.memory_info().rss / 2**20
                descriptors += process.num_fds()
        with suppress(psycopg.Error):
            rows = _row_counts(settings)
            files = sum(1 for path in up.home.rglob("*") if _counts(path, up.home))
            at_s = time.monotonic() - began
            self.samples.append(Sample(at_s, mib, int(descriptors), files, rows))

    def grown(self) -> list[str]:
        """Return what grows: sentences with the medians of the second and the last third."""
        size = len(self.samples) // 3
        if size < 3:
            return ["too few samples: let it run longer"]
        second, last = self.samples[size : 2 * size], self.samples[2 * size :]
        found = []

        def compare(name: str, before: list[float], after: list[float], allowed: float) -> None:
            old, new = statistics.median(before), statistics.median(after)
            if new > old * GROWTH and new > old + allowed:
                found.append(f"{name} grew from {old:.0f} to {new:.0f}")

        for name, allowed in (
            ("mib", ALLOWED_MIB),
            ("descriptors", ALLOWED_DESCRIPTORS),
            ("files", ALLOWED_FILES),
        ):
            compare(
                name,
                [getattr(sample, name) for sample in second],
                [getattr(sample, name) for sample in last],
                allowed,
            )
        for table in sorted({name for sample in self.samples for name in sample.rows}):
            if table.rpartition(".")[2] not in GROWING_TABLES:
                before = [float(sample.rows[table]) for sample in second]
                after = [float(sample.rows[table]) for sample in last]
                compare(f"table {table}", before, after, ALLOWED_ROWS)
        return found


class Soak(Storm):
    """Requests at an even pace; each is checked and erased when it has ended."""

    every_s = 60.0

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.usage = Usage()
        self._wrong: list[str] = []
        self._counts: Counter[str] = Counter()

    @property
    def recordings(self) -> int:
        """Number of recordings; each is requested under many URLs."""
        return CLIPS

    def cause_chaos(self, stack: ExitStack, installation: Installation) -> Outcome:
        """Request, kill and disturb until the time is over."""
        server = stack.enter_context(MediaServer(installation.folder / "clips"))
        up, settings = installation.up, installation.settings
        ended = threading.Event()
        client = threading.Thread(
            target=self._request, args=(installation, server, ended), daemon=True
        )
        sampler = threading.Thread(target=self._sample, args=(up, settings, ended), daemon=True)
        killer = Killer(up, self.seed, self.say, installation.surroundings.victims)
        client.start()
        sampler.start()
        with killer:
            self._disturb(installation, killer)
        self.say("no process is killed any more")
        ended.set()
        client.join()
        sampler.join()
        held = self.until(lambda: verify.nothing_is_held(settings), FREE_WITHIN_S)
        facts = verify.Facts.read(settings)
        outcome = Outcome(counts={**self._counts, "samples": len(self.usage.samples)})
        outcome.wrong |= {
            "transcripts and erasures": self._wrong,
            "nothing done twice": verify.work_was_done_once(facts),
            "lake and Postgres agree": verify.lake_and_postgres_agree(facts),
            "slots and runs": held,
            "no orphan file": verify.no_orphan_files(facts),
            "nothing grows": self.usage.grown(),
        }
        outcome.counts |= {
            f"killed: {name}": count for name, count in sorted(killer.killed.items())
        }
        return outcome

    def _disturb(self, installation: Installation, killer: Killer) -> None:
        """Cause all disturbances, round after round, each followed by a time without kills."""
        ends_at = time.monotonic() + self.storm_s
        for number in itertools.count():
            for each in installation.surroundings.shuffled(self.seed + number):
                self.wait(installation.up, installation.settings, QUIET_S)
                if time.monotonic() > ends_at or self.is_late:
                    return
                with killer.paused if each.is_alone else nullcontext():
                    self.say(f"for {each.seconds:.0f} s: {each.name}")
                    with each.during(installation.up):
                        self.wait(installation.up, installation.settings, each.seconds)
                with killer.paused:
                    self.wait(installation.up, installation.settings, QUIET_S)

    def _sample(self, up: Up, settings: Settings, ended: threading.Event) -> None:
        while not ended.wait(SAMPLE_EVERY_S):
            self.usage.take(up, settings, self.began)

    def _request(
        self, installation: Installation, server: MediaServer, ended: threading.Event
    ) -> None:
        """Request, check and erase until the end; then wait for what is left."""
        waiting: dict[str, Clip] = {}
        next_at = time.monotonic()
        for number, clip in enumerate(itertools.cycle(installation.clips)):
            while time.monotonic() < next_at and not ended.is_set():
                self._settle(installation.up, waiting)
                ended.wait(1.0)
            if ended.is_set():
                break
            next_at += self.every_s
            body = {
                "url": server.url(clip.name, n=number),
                "model": OPTIONS.model,
                "language": OPTIONS.language,
            }
            headers = {"Idempotency-Key": f"soak-{number}"}
            while not ended.is_set():
                answer = _call(
                    installation.up, "POST", "/api/v1/transcriptions", json=body, headers=headers
                )
                if answer is not None and answer.status_code == 202:
                    waiting[answer.json()["id"]] = clip
                    self._counts["requested"] += 1
                    break
                ended.wait(1.0)
        deadline = time.monotonic() + 600
        while waiting and time.monotonic() < deadline:
            self._settle(installation.up, waiting)
            time.sleep(1.0)
        self._wrong += [f"{id} has not ended" for id in waiting]

    def _settle(self, up: Up, waiting: dict[str, Clip]) -> None:
        """Check and erase what has ended."""
        for id in list(waiting):
            path = f"/api/v1/transcriptions/{id}"
            answer = _call(up, "GET", path)
            if answer is None or answer.status_code >= 500:
                return
            if answer.status_code == 410:  # a DELETE whose answer was lost
                waiting.pop(id)
                continue
            status = answer.json()["status"]
            if status == "failed":
                self._counts[f"failed: {answer.json()['error']['code']}"] += 1
                # All attempts were killed: try it again, as a person would.
                _call(up, "POST", f"{path}/retry")
            if status != "completed":
                continue
            result = _call(up, "GET", f"{path}/result", params={"format": "json"})
            if result is None or result.status_code != 200:
                continue
            if texts_and_times(json.loads(result.text)["segments"]) != waiting[id].segments:
                self._wrong.append(f"{id} is not the transcript of {waiting[id].name}")
            erased = _call(up, "DELETE", path)
            if erased is not None and erased.status_code == 204:
                waiting.pop(id)
                self._counts["completed and erased"] += 1


def _call(up: Up, method: str, path: str, **more: Any) -> httpx.Response | None:
    """Return the API's answer; none while it does not answer."""
    state = read_state(up.home)
    if state is None:
        return None
    try:
        return httpx.request(
            method, f"http://{state.api_host}:{state.api_port}{path}", timeout=30, **more
        )
    except httpx.HTTPError:
        return None


def _row_counts(settings: Settings) -> Counter[str]:
    """Return the number of rows of each table of ours and of Dagster's."""
    urls = database_urls(settings)
    found: Counter[str] = Counter()
    for url, schema in ((urls.admin, "ytcaption"), (libpq_url(urls.dagster_storage), "public")):
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
            connection.execute("set statement_timeout = '10 s'")
            names = connection.execute(
                "select tablename from pg_tables where schemaname = %s", (schema,)
            ).fetchall()
            for (name,) in names:
                query = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name))
                row = connection.execute(query).fetchone()
                found[f"{schema}.{name}"] = row[0] if row else 0
    return found


def _counts(path: Path, home: Path) -> bool:
    """Return whether a file counts: Postgres's own files and logs are not ours to bound."""
    parts = path.relative_to(home).parts
    with suppress(OSError):
        return path.is_file() and parts[0] != "postgres"
    return False


def plot(usage: Usage, file: Path) -> None:
    """Draw what was used over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(4, 1, sharex=True, figsize=(9, 9))
    minutes = [sample.at_s / 60 for sample in usage.samples]
    rows = [
        sum(n for name, n in s.rows.items() if name.rpartition(".")[2] not in GROWING_TABLES)
        for s in usage.samples
    ]
    for axis, name, values in (
        (axes[0], "memory, MiB", [s.mib for s in usage.samples]),
        (axes[1], "descriptors", [s.descriptors for s in usage.samples]),
        (axes[2], "files", [s.files for s in usage.samples]),
        (axes[3], "rows", rows),
    ):
        axis.plot(minutes, values)
        axis.set_ylabel(name)
        axis.set_ylim(bottom=0)
    axes[3].set_xlabel("minutes")
    figure.savefig(file, bbox_inches="tight")


def _usage_table(usage: Usage) -> Iterator[tuple[str, str, str]]:
    size = max(1, len(usage.samples) // 3)
    for name in ("mib", "descriptors", "files"):
        second = [getattr(s, name) for s in usage.samples[size : 2 * size]]
        last = [getattr(s, name) for s in usage.samples[2 * size :]]
        if second and last:
            yield name, f"{statistics.median(second):.0f}", f"{statistics.median(last):.0f}"


def main() -> None:
    """Run a soak; the exit status is 1 if a check fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=24 * 60)
    parser.add_argument("--every", type=float, default=60, help="seconds between two requests")
    parser.add_argument(
        "--remote", action="store_true", help="a Postgres and an S3 elsewhere, not those of `up`"
    )
    parser.add_argument("--plot", type=Path, help="a PNG of what was used")
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir()) / "soak.log")
    arguments = parser.parse_args()
    console = Console()
    soak = Soak(
        seed=arguments.seed,
        count=CLIPS,
        storm_s=arguments.minutes * 60,
        limit_s=arguments.minutes * 60 + 900,
        console=console,
        surroundings=remote if arguments.remote else embedded,
    )
    soak.every_s = arguments.every
    outcome = soak.run(arguments.log)
    table = Table("median", "second third", "last third")
    for row in _usage_table(soak.usage):
        table.add_row(*row)
    console.print(table)
    print_outcome(outcome, arguments.log, console)
    if arguments.plot is not None:
        plot(soak.usage, arguments.plot)
        console.print(f"The picture is {arguments.plot}", soft_wrap=True)
    raise SystemExit(int(not outcome.is_sound))


if __name__ == "__main__":
    main()
