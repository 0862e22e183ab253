"""Queries of the lake, compared with the same SQL over plain Parquet files in a bare DuckDB.

    python -m benchmarks.lake [--transcripts 1000 10000] [--clients 1 4] [--seconds 2] [--fresh 100]

Ours works as `GET /api/v1/analytics/{view}` and `POST /api/v1/analytics/query` do: files from the
catalog, then a sandboxed process per query, with one thread and the memory of the settings. It may
take longer than `YTCAPTION_QUERY_TIMEOUT_S` here, so that a busy machine can be measured, too. The
peer is `benchmarks/lake_peer.py`, the rows are those of `benchmarks/lake_library.py`. Exit status 1
if one of our queries is refused.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from benchmarks.lake_library import append, fill, transcription_id
from benchmarks.lake_load import timed
from benchmarks.lake_peer import PlainParquet
from benchmarks.lake_report import Measurements, fresh_table, growth_table, size_table
from benchmarks.machine import machine
from benchmarks.search_library import SEGMENTS, lines
from resources.lake.catalog import TranscriptCatalog
from resources.lake.connection import LakeConnection
from resources.lake.files import list_files
from resources.lake.query import QueryResult
from resources.lake.views import VIEWS, LakeView
from resources.postgres.connection import close_pools
from resources.postgres.migrate import migrated_postgres
from resources.postgres.urls import database_urls
from ytcaption.settings.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_FOLDER = Path("build/search")
TIMEOUT_S = 120.0
ROWS = 10_000
"""Maximum rows of a result, the API's default."""


class BenchmarkQuery(NamedTuple):
    """A view with its parameters, or a SELECT with its values."""

    view: LakeView | None
    sql: str
    values: Mapping[str, Any]

    def ours(self, catalog: TranscriptCatalog) -> QueryResult:
        """Run it as the API does."""
        if self.view is not None:
            return catalog.view(self.view.name, self.values, limit=ROWS)
        return catalog.query(self.sql, parameters=self.values, limit=ROWS)

    def plain(self, peer: PlainParquet) -> "pa.Table":
        """Run the same SQL over plain files."""
        values = self.view.values(self.values, ROWS) if self.view else self.values
        return peer.rows(self.sql, values)


def benchmark_queries() -> dict[str, BenchmarkQuery]:
    """Return typical queries by their label in the tables."""
    arguments = {
        "term_trend": {"terms": "lord,good king,the son of"},
        "first_mentions": {"term": "jerusalem"},
    }
    view_queries = [(name, name, arguments.get(name, {})) for name in VIEWS]
    position = 1 + [name for name, _, _ in view_queries].index("top_terms")
    view_queries[position:position] = [
        ("top_terms, n=2", "top_terms", {"n": "2"}),
        ("top_terms, n=3", "top_terms", {"n": "3"}),
        ("top_terms, n=2, a channel", "top_terms", {"n": "2", "channel": "UC50"}),
    ]
    selects = {
        "select 1": ("select 1", {}),
        "one transcript": (
            "select start_s, text from segments where transcription_id = $id "
            "order by segment_index",
            {"id": transcription_id(500)},
        ),
        "one day": (
            "select count(*), sum(word_count) from segments "
            "where made_at >= $day::timestamptz and made_at < $day::timestamptz + interval 1 day",
            {"day": "2026-03-15"},
        ),
        "word count": (
            "select word, count(*) as times from words group by word "
            "order by times desc, word limit 20",
            {},
        ),
    }
    queries = {label: BenchmarkQuery(None, *select) for label, select in selects.items()}
    for label, name, values in view_queries:
        queries[label] = BenchmarkQuery(VIEWS[name], VIEWS[name].sql, values)
    return queries


FRESH = ("select 1", "one transcript", "word count", "speaking_rate", "term_trend", "top_terms")
"""Queries that are also measured on a lake with small files."""


def main() -> None:
    """Print tables per size, and how each query's time grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transcripts", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4])
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="minimum duration of each measurement"
    )
    parser.add_argument(
        "--fresh", type=int, default=100, help="transcripts appended one by one at the end"
    )
    arguments = parser.parse_args()
    console = Console(width=150)
    for name, value in machine().items():
        console.print(f"{name}: {value}")
    text = lines(TEXT_FOLDER)
    by_size = {}
    for count in arguments.transcripts:
        console.rule(f"{count:,} transcripts, {count * SEGMENTS:,} segments")
        with tempfile.TemporaryDirectory(prefix="ytc-lake-", dir="/tmp") as folder:
            settings = Settings(
                home=Path(folder) / "home",
                query_timeout_s=TIMEOUT_S,
                _env_file=None,  # pyright: ignore[reportCallIssue]
            )
            with migrated_postgres(settings):
                by_size[count] = _measure(console, settings, text, count, arguments)
                close_pools(database_urls(settings))
    if len(by_size) > 1:
        console.print(growth_table(by_size, arguments.clients[0]))
    timings = [
        timing
        for size in by_size.values()
        for by_clients in size.ours.values()
        for timing in by_clients.values()
    ]
    sys.exit(1 if any(timing.refused for timing in timings) else 0)


def _measure(
    console: Console,
    settings: Settings,
    text: list[str],
    count: int,
    arguments: argparse.Namespace,
) -> Measurements:
    lake, catalog = LakeConnection(settings), TranscriptCatalog.from_settings(settings)
    console.print(f"built in {fill(lake, text, count):.0f} s; {_size(lake)}")
    began = time.perf_counter()
    peer = PlainParquet(lake, settings.home / "plain")
    duration_s, size_mb = time.perf_counter() - began, peer.size_bytes / 1024**2
    console.print(f"plain Parquet: {duration_s:.0f} s, {size_mb:,.0f} MB, a file a table")
    measured, queries = Measurements(), benchmark_queries()
    for label, query in queries.items():
        measured.ours[label] = {}
        measured.plain[label] = {}
        for clients in arguments.clients:
            run = partial(query.ours, catalog)
            measured.ours[label][clients] = timed(run, clients, arguments.seconds)
            run = partial(query.plain, peer)
            measured.plain[label][clients] = timed(run, clients, arguments.seconds)
    console.print(size_table(measured, arguments.clients))
    for label, by_clients in measured.ours.items():
        for refusal in {timing.refused for timing in by_clients.values() if timing.refused}:
            console.print(f"{label}: {refusal}")
    if arguments.fresh:
        _measure_small_files(console, lake, catalog, measured, arguments)
    return measured


def _measure_small_files(
    console: Console,
    lake: LakeConnection,
    catalog: TranscriptCatalog,
    measured: Measurements,
    arguments: argparse.Namespace,
) -> None:
    each_s = append(catalog, arguments.fresh)
    console.print(f"{arguments.fresh} appended in {each_s:.2f} s each; {_size(lake)}")
    runs = {label: partial(benchmark_queries()[label].ours, catalog) for label in FRESH}
    before = {label: timed(run, 1, arguments.seconds) for label, run in runs.items()}
    began = time.perf_counter()
    catalog.compact()
    console.print(f"lake_maintenance: {time.perf_counter() - began:.1f} s; {_size(lake)}")
    for label, run in runs.items():
        measured.fresh[label] = before[label], timed(run, 1, arguments.seconds)
    console.print(fresh_table(measured, arguments.fresh))


def _size(lake: LakeConnection) -> str:
    files = [file for table_files in list_files(lake).values() for file in table_files]
    size_mb = sum(size for file in files for _, size in file.parts) / 1024**2
    return f"{size_mb:,.0f} MB in {len(files):,} files"


if __name__ == "__main__":
    main()
