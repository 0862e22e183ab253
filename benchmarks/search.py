"""Search over a library of real text, compared with plain Postgres and DuckDB's full-text search.

    python -m benchmarks.search [--transcripts 1000 10000] [--clients 1 16] [--no-peers]
        [--semantic] [--kept FOLDER]

Ours is all of `Search.page`: rights, ranking, marks, context, counts. The peers return ten ranked
rows only. `benchmarks/search_library.py` describes the text, and `benchmarks/search_vectors.py` the
vectors. Exit status 1 if search with one client misses its goal.
"""

import argparse
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.search_library import FEW_OWNER, SEGMENTS, build, frequent, lines
from benchmarks.search_load import Timing, timed
from benchmarks.search_peers import DuckFts, PlainPostgres
from benchmarks.search_vectors import add_vectors, semantic_queries
from resources.embeddings.embedder import embedder_of
from resources.postgres.connection import Postgres, close_pools
from resources.postgres.migrate import migrated_postgres
from resources.postgres.urls import database_urls, postgres_folder
from resources.search.retriever import Mode
from resources.search.scope import SearchFilter
from resources.search.service import Search as SearchService
from ytcaption.domain.caller import LOCAL, Caller
from ytcaption.settings.settings import Settings

GOAL_MS = 50.0
SEMANTIC_GOAL_MS = 100.0
SEMANTIC_ARMS = ("semantic", "hybrid")
_READ_BYTES = 1024**2
TEXT_FOLDER = Path("build/search")
FEW = Caller(FEW_OWNER, frozenset({"read"}))

RunSearch = Callable[[str], object]
"""Runs a search with a query."""

Arms = dict[str, tuple[RunSearch, list[str]]]
"""By name: the search function and its queries."""


def main() -> None:
    """Print a table per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transcripts", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument(
        "--semantic", action="store_true", help="also semantic search; needs the extra `semantic`"
    )
    parser.add_argument(
        "--kept", type=Path, help="keep the libraries in this folder, and reuse them"
    )
    arguments = parser.parse_args()
    console = Console(width=150)
    for name, value in machine().items():
        console.print(f"{name}: {value}")
    text = lines(TEXT_FOLDER)
    is_met = True
    for count in arguments.transcripts:
        with _folder(arguments.kept, count) as folder:
            settings = Settings(home=folder / "home", _env_file=None)  # pyright: ignore
            with migrated_postgres(settings):
                is_met &= _measure(console, settings, folder, text, count, arguments)
                close_pools(database_urls(settings))
    sys.exit(0 if is_met else 1)


@contextmanager
def _folder(kept: Path | None, count: int) -> Iterator[Path]:
    if kept is not None:
        folder = kept / f"ytc-search-{count}"
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="ytc-search-", dir="/tmp") as folder:
        yield Path(folder)


def _measure(
    console: Console,
    settings: Settings,
    folder: Path,
    text: list[str],
    count: int,
    arguments: argparse.Namespace,
) -> bool:
    with psycopg.connect(database_urls(settings).admin, autocommit=True) as connection:
        steps = "earlier"
        if not _has(connection, "media"):
            seconds_by_step = build(connection, text, count)
            steps = ", ".join(
                f"{step} {seconds:.0f} s" for step, seconds in seconds_by_step.items()
            )
        console.rule(f"{count:,} transcripts, {count * SEGMENTS:,} segments")
        console.print(f"built: {steps}; {_sizes(connection)}")
        ours = _our_searches(connection, settings, text)
        if arguments.semantic:
            ours |= _semantic(console, connection, settings, text)
        # Before the peers are built, which use the machine's memory.
        is_met = _print_timings(console, ours, arguments)
        if not arguments.no_peers:
            plain = PlainPostgres(connection, database_urls(settings).admin)
            duck = DuckFts(connection, folder / "peer.duckdb")
            console.print(f"peers: {plain.description}; {duck.description}")
            words, phrases = ours["ytcaption, common word"][1], ours["ytcaption, phrase"][1]
            peers: Arms = {
                "plain tsvector, common word": (plain.by_words, words),
                "plain tsvector, phrase": (plain.by_phrase, phrases),
                "plain ILIKE, common word": (plain.by_ilike, words),
                "DuckDB FTS, common word": (duck.by_words, words),
            }
            _print_timings(console, peers, arguments)
    return is_met


def _print_timings(console: Console, arms: Arms, arguments: argparse.Namespace) -> bool:
    """Print a table; return whether each search met its goal with one client."""
    table = Table(
        "milliseconds, p50 / p95 (searches per second, CPU ms each)", *_heads(arguments.clients)
    )
    is_met = True
    for name, (search, queries) in arms.items():
        measured = [
            timed(search, queries, clients, arguments.seconds) for clients in arguments.clients
        ]
        table.add_row(name, *map(_cell, measured))
        goal_ms = SEMANTIC_GOAL_MS if name.endswith(SEMANTIC_ARMS) else GOAL_MS
        is_met &= measured[0].p95_ms <= goal_ms
    console.print(table)
    return is_met


def _our_searches(connection: psycopg.Connection, settings: Settings, text: list[str]) -> Arms:
    search = SearchService(Postgres.from_settings(settings, "api"))
    common, uncommon, rare = frequent(connection, text)
    draw = random.Random(2)
    phrases = [
        f'"{" ".join(words[2:5])}"'
        for words in (re.findall(r"[a-zA-Z]+", line) for line in draw.sample(text, 200))
        if len(words) >= 5
    ]
    pairs = [f"{one} {other}" for one, other in zip(common, uncommon, strict=False)]
    prefixes = [f"{word[:4]}*" for word in uncommon]
    in_channel = SearchFilter(channel="UC50")
    return {
        "ytcaption, common word": (search.page, common),
        "ytcaption, uncommon word": (search.page, uncommon),
        "ytcaption, rare word": (search.page, rare),
        "ytcaption, two words": (search.page, pairs),
        "ytcaption, phrase": (search.page, phrases),
        "ytcaption, word*": (search.page, prefixes),
        "ytcaption, common word in a channel": (
            lambda words: search.page(words, LOCAL, in_channel),
            common,
        ),
        "ytcaption, uncommon word, one of many owners": (
            lambda words: search.page(words, FEW),
            uncommon,
        ),
    }


def _semantic(
    console: Console, connection: psycopg.Connection, settings: Settings, text: list[str]
) -> Arms:
    embedder = embedder_of(settings.search.embedding_model)
    steps = "earlier"
    if not _has(connection, "embedding"):
        seconds_by_step = add_vectors(connection, text, SEGMENTS, embedder)
        steps = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in seconds_by_step.items())
    row = connection.execute(
        "select count(*), pg_size_pretty(pg_table_size('ytcaption.embedding')), "
        "pg_size_pretty(pg_indexes_size('ytcaption.embedding')) from ytcaption.embedding"
    ).fetchone()
    assert row is not None
    console.print(f"{row[0]:,} passages: {steps}; rows {row[1]}, indexes {row[2]}")
    search = SearchService(Postgres.from_settings(settings, "api"), embedder)
    _warm_up(connection, settings, "embedding")
    queries = semantic_queries(text)
    in_channel = SearchFilter(channel="UC50")

    def by(mode: Mode, caller: Caller, filter: SearchFilter) -> tuple[RunSearch, list[str]]:
        return (lambda words: search.page(words, caller, filter, mode=mode)), queries

    return {
        "ytcaption, semantic": by("semantic", LOCAL, SearchFilter()),
        "ytcaption, in a channel, semantic": by("semantic", LOCAL, in_channel),
        "ytcaption, one of many owners, semantic": by("semantic", FEW, SearchFilter()),
        "ytcaption, hybrid": by("hybrid", LOCAL, SearchFilter()),
    }


def _has(connection: psycopg.Connection, table: LiteralString) -> bool:
    return connection.execute(f"select from ytcaption.{table} limit 1").fetchone() is not None


def _warm_up(connection: psycopg.Connection, settings: Settings, table: str) -> None:
    """Read the files of a table and its indexes once, as after some searches on a server."""
    rows = connection.execute(
        "select pg_relation_filepath(oid) from pg_class where oid = %(table)s::regclass "
        "or oid in (select indexrelid from pg_index where indrelid = %(table)s::regclass)",
        {"table": f"ytcaption.{table}"},
    )
    for (path,) in rows:
        for part in postgres_folder(settings).joinpath("data").glob(f"{path}*"):
            with part.open("rb") as file:
                while file.read(_READ_BYTES):
                    pass


def _heads(clients: list[int]) -> list[str]:
    return [f"{number} client" + ("s" if number > 1 else "") for number in clients]


def _cell(timing: Timing) -> str:
    return f"{timing.p50_ms:,.1f} / {timing.p95_ms:,.1f} ({timing.rate:,.0f}, {timing.cpu_ms:,.1f})"


def _sizes(connection: psycopg.Connection) -> str:
    row = connection.execute(
        "select pg_size_pretty(pg_table_size('ytcaption.segment')), "
        "pg_size_pretty(pg_relation_size('ytcaption.segment_tsv_idx')), "
        "pg_size_pretty(pg_total_relation_size('ytcaption.segment'))"
    ).fetchone()
    assert row is not None
    return f"rows {row[0]}, index of words {row[1]}, total {row[2]}"


if __name__ == "__main__":
    main()
