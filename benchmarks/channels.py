"""Listing and queueing a channel: the real lister and yt-dlp against the tests' YouTube.

    python -m benchmarks.channels [--sizes 2000,10000]

Each size has a process and an installation of its own, without the pace of sites. Measured are: the
list alone, without storing it; a first listing, which stores and queues everything, with an
interactive request in its middle; the whole list again; a poll that finds nothing; and the same
rows by a bare COPY and by bare inserts. Neither of the later listings may write a row of `TABLES`.
Then `benchmarks.channel_fairness` follows: a podcast of that size with `ytcaption up`.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rich.console import Console
from rich.table import Table

from benchmarks.channel_fairness import measure_fairness
from benchmarks.machine import machine
from resources.channels.intake import ChannelIntake
from resources.channels.poll import (
    PAGE_SIZE,
    ChannelPoll,
    PollLimits,
)
from resources.channels.runs import ChannelRuns
from resources.channels.store import ChannelStore
from resources.postgres.connection import Postgres
from resources.postgres.migrate import migrated_postgres
from resources.postgres.urls import database_urls
from resources.transcriptions.store import RequestStore
from tests.resources.channels.listings import lister
from tests.support.channel_lists import plan
from tests.support.servers.site_tls import (
    certificate_of,
    lead_to_loopback,
    tls_of,
)
from tests.support.servers.youtube_host import (
    HOSTS,
    YouTubeHost,
    videos,
)
from ytcaption.domain.media.media import MediaSource
from ytcaption.settings.settings import Settings

CHANNEL = "https://www.youtube.com/@AChannel/videos"
TABLES = ("media", "transcription", "request", "event", "channel_item")
NO_END = PollLimits(slice_s=1e9, relist_days=7)
TIMEOUT_S = 3600.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="2000,10000")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.one)))
        return
    machine_info = machine()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    columns = [_in_a_process(size) for size in sizes]
    console = Console(width=140)
    console.print("; ".join(f"{name}: {value}" for name, value in machine_info.items()))
    table = Table("", *(f"{size:,} items" for size in sizes))
    for name in columns[0]:
        table.add_row(name, *(str(column[name]) for column in columns))
    console.print(table)


def _in_a_process(size: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.channels", "--one", str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measured(size: int) -> dict[str, Any]:
    """Return the measurements of one size by name."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ytc-ch-")))
        settings = Settings(home=folder / "home", _env_file=None)  # pyright: ignore[reportCallIssue]
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        certificate = certificate_of(HOSTS, folder)
        host = stack.enter_context(YouTubeHost(tls=tls_of(certificate)))
        lead_to_loopback(patch, HOSTS, host.port, certificate)
        host.lists.videos = videos(size)
        host.lists.feed = videos(size)[:15]
        stack.enter_context(migrated_postgres(settings))
        result = _Bench(settings, size).all()
    return result | measure_fairness(size)


class _Bench:
    def __init__(self, settings: Settings, size: int) -> None:
        self.size = size
        self.store = ChannelStore.from_settings(settings, "admin")
        self.requests = RequestStore.from_settings(settings, "dagster")
        self.postgres: Postgres = self.requests.postgres
        self.runs = ChannelRuns(postgres=self.postgres)
        self.intake = ChannelIntake(postgres=self.postgres)
        self.lister = lister(listing_timeout_s=TIMEOUT_S)
        self.admin = database_urls(settings).admin
        self.id = self.store.create(self.lister.source_of(CHANNEL), plan())[0].id
        self.interactive: dict[str, Any] = {}

    def all(self) -> dict[str, Any]:
        """Return all measurements, in the order of the table."""
        listed_s = self._list_alone()
        before_mib = _peak_mib()
        requester = threading.Thread(target=self._request_in_the_middle, daemon=True)
        requester.start()
        first_s, first_wal = self._poll("first")
        requester.join()
        peak_mib, child_mib = _peak_mib(), _peak_mib(resource.RUSAGE_CHILDREN)
        rows = {table: self._count(table) for table in TABLES}
        self._vacuum()
        written = {table: self._versions(table) for table in TABLES}
        with self.store.postgres.transaction() as connection:
            connection.execute(
                "update ytcaption.channel set history_done_at = now() - interval '9 days'"
            )
        again_s, again_wal = self._poll("again")
        poll_s, poll_wal = self._poll("poll")
        assert written == {table: self._versions(table) for table in TABLES}
        copy_s, insert_s = self._bare()
        return {
            "the list alone, by yt-dlp, s": round(listed_s, 1),
            "first listing: listed and queued, s": round(first_s, 1),
            "items per second": round(self.size / first_s),
            "first listing / the list alone": f"{first_s / listed_s:.2f}",
            "its own part (first listing - list) / bare inserts": (
                f"{max(0.0, first_s - listed_s) / insert_s:.2f}"
            ),
            "bare inserts of the same rows, s": round(insert_s, 1),
            "bare COPY of the same rows, s": round(copy_s, 1),
            "rows": ", ".join(f"{name} {number:,}" for name, number in rows.items()),
            "WAL of the first listing, MB": round(first_wal / 1e6, 1),
            "whole list again, s": round(again_s, 1),
            "WAL of it, kB": round(again_wal / 1e3),
            "poll that finds nothing, s": round(poll_s, 1),
            "WAL of that, kB": round(poll_wal / 1e3, 1),
            "peak memory of the listing run, MiB": f"{peak_mib} (before it {before_mib})",
            "memory of the listing process, MiB": child_mib,
            **self.interactive,
        }

    def _list_alone(self) -> float:
        began = time.perf_counter()
        source = self.lister.source_of(CHANNEL)
        count = sum(len(page.items) for page in self.lister.pages(source, 0, PAGE_SIZE))
        assert count == self.size
        return time.perf_counter() - began

    def _poll(self, run_id: str) -> tuple[float, float]:
        """Return seconds and bytes of WAL."""
        channel = self.runs.claim(self.id, run_id)
        wal, began = self._wal(), time.perf_counter()
        ChannelPoll(channel, run_id, self.lister, self.intake, NO_END).run()
        self.runs.complete(self.id, run_id)
        return time.perf_counter() - began, self._wal() - wal

    def _request_in_the_middle(self) -> None:
        """Make an interactive request once half of the channel is queued; record its rank."""
        while self._count("channel_item") < self.size / 2:
            time.sleep(0.2)
        began = time.perf_counter()
        media = MediaSource(
            "youtube-urgent00000", "site", "https://www.youtube.com/watch?v=urgent00000", "Youtube"
        )
        id = self.requests.submit(media, plan().options).transcription.id
        submit_ms = 1000 * (time.perf_counter() - began)
        began = time.perf_counter()
        due = [each.id for each in self.requests.due(16)]
        due_ms = 1000 * (time.perf_counter() - began)
        self.interactive = {
            "interactive request in its middle: rank in the queue": due.index(id) + 1,
            "bulk transcriptions queued then": self._count("transcription") - 1,
            "time to submit it, ms": round(submit_ms),
            "time to read the head of the queue, ms": round(due_ms),
        }

    def _bare(self) -> tuple[float, float]:
        """Return seconds of the same rows by COPY and by inserts, into equally indexed tables."""
        with psycopg.connect(self.admin) as connection:
            times_s = []
            for method in ("copy", "insert"):
                data = {table: self._data(connection, method, table) for table in TABLES}
                connection.execute("create schema bare")
                for table in TABLES:
                    connection.execute(
                        f"create table bare.{table} (like ytcaption.{table} "  # pyright: ignore
                        "including all excluding identity)"
                    )
                connection.commit()
                began = time.perf_counter()
                for table in TABLES:
                    self._put(connection, method, table, data[table])
                connection.commit()
                times_s.append(time.perf_counter() - began)
                connection.execute("drop schema bare cascade")
            return times_s[0], times_s[1]

    def _data(self, connection: psycopg.Connection[Any], method: str, table: str) -> Any:
        if method == "copy":
            with connection.cursor().copy(f"copy ytcaption.{table} to stdout") as copy:  # pyright: ignore
                return b"".join(bytes(block) for block in copy)
        return connection.execute(f"select t::text from ytcaption.{table} as t").fetchall()  # pyright: ignore

    def _put(self, connection: psycopg.Connection[Any], method: str, table: str, data: Any) -> None:
        if method == "copy":
            with connection.cursor().copy(f"copy bare.{table} from stdin") as copy:  # pyright: ignore
                copy.write(data)
            return
        connection.cursor().executemany(
            f"insert into bare.{table} select (%s::ytcaption.{table}).*",  # pyright: ignore
            data,
        )

    def _count(self, table: str) -> int:
        [row] = self.store.postgres.rows(f"select count(*) as number from ytcaption.{table}", {})  # pyright: ignore
        return row["number"]

    def _vacuum(self) -> None:
        """Vacuum now, so that autovacuum does not add its WAL to the next listing."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute("vacuum (analyze)")

    def _versions(self, table: str) -> set[str]:
        """Return each row's position and writing transaction: an update changes both."""
        rows = self.store.postgres.rows(
            f"select ctid || ' ' || xmin as version from ytcaption.{table}",  # pyright: ignore
            {},
        )
        return {row["version"] for row in rows}

    def _wal(self) -> float:
        [row] = self.store.postgres.rows(
            "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as bytes", {}
        )
        return float(row["bytes"])


def _peak_mib(whose: int = resource.RUSAGE_SELF) -> int:
    return round(resource.getrusage(whose).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
