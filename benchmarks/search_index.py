"""Recall of the vector index, compared with comparing all passages.

    python -m benchmarks.search_index [--passages 100000] [--construction 64 256]
                                      [--candidates 100 1000] [--embedded 15000]

The passages are of the text of `benchmarks/search_library.py`: some are embedded by the model, the
others are those with noise added. Among them, at random positions, are the clips of `tests/data`,
which resemble nothing else there. The queries are those of `search_queries.csv`. It needs the extra
`semantic`, and 1.6 kB of memory per passage.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import LiteralString

import numpy as np
import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from benchmarks.common import TEST_DATA, clips
from benchmarks.machine import machine
from benchmarks.search_library import lines
from benchmarks.search_quality import judged
from benchmarks.search_vectors import LINES, index_memory_mb, noisy
from resources.embeddings.embedder import embedder_of, is_installed
from resources.embeddings.store import vector_literal
from resources.postgres.connection import close_pools
from resources.postgres.migrate import migrated_postgres
from resources.postgres.urls import database_urls
from ytcaption.settings.settings import Settings

NEAREST = 10
_BATCH = 20_000
_NEAREST: LiteralString = "select id from passage order by vector <=> %s::halfvec({}) limit {}"


def main() -> None:
    """Print a table with a row for each index and number of candidates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--construction", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--candidates", type=int, nargs="+", default=[100, 1_000])
    parser.add_argument("--embedded", type=int, default=15_000)
    arguments = parser.parse_args()
    console = Console(width=120)
    if not is_installed():
        console.print("vector index: not measured, the extra `semantic` is not installed")
        return
    for name, value in machine().items():
        console.print(f"{name}: {value}")
    with tempfile.TemporaryDirectory(prefix="ytc-index-", dir="/tmp") as folder:
        settings = Settings(home=Path(folder) / "home", _env_file=None)  # pyright: ignore
        embedder = embedder_of(settings.search.embedding_model)
        text = lines(Path("build/search"))
        random = np.random.default_rng(4)
        begins = random.integers(len(text) - LINES, size=arguments.embedded)
        embedded = embedder.embed([" ".join(text[at : at + LINES]) for at in begins])
        references = [clip.reference for clip in clips(TEST_DATA) if clip.reference]
        isolated = embedder.embed(references)
        queries = [embedder.query(query)[1] for query, _ in judged()]
        with (
            migrated_postgres(settings),
            psycopg.connect(database_urls(settings).admin, autocommit=True) as connection,
        ):
            dimensions = embedded.shape[1]
            connection.execute("set search_path = ytcaption, public")
            connection.execute(
                sql.SQL("create table passage (id integer, vector halfvec({}))").format(dimensions)
            )
            _fill(connection, embedded, isolated, arguments.passages, random)
            console.print(_recall_table(connection, arguments, queries, dimensions))
        close_pools(database_urls(settings))


def _fill(
    connection: psycopg.Connection,
    embedded: np.ndarray,
    isolated: np.ndarray,
    passages: int,
    random: np.random.Generator,
) -> None:
    """Insert the passages; isolated ones have ids below 0."""
    positions = dict(
        zip(
            random.integers(passages, size=len(isolated)).tolist(),
            range(len(isolated)),
            strict=True,
        )
    )

    def rows() -> Iterator[tuple[int, np.ndarray]]:
        for begin in range(0, passages, _BATCH):
            for id, vector in enumerate(
                noisy(embedded, min(_BATCH, passages - begin), random), begin
            ):
                if id in positions:
                    yield -1 - positions[id], isolated[positions[id]]
                yield id, vector

    with connection.cursor() as cursor, cursor.copy("copy passage from stdin") as copy:
        for id, vector in rows():
            copy.write_row((id, vector_literal(vector)))


def _recall_table(
    connection: psycopg.Connection,
    arguments: argparse.Namespace,
    queries: Sequence[np.ndarray],
    dimensions: int,
) -> Table:
    exact, median_ms = _search(connection, queries, dimensions, NEAREST)
    first = [ids[0] for ids in exact]
    isolated_count = sum(id < 0 for id in first)
    table = Table(f"of {len(queries)} searches", title=f"{arguments.passages:,} passages")
    for name in (
        "built in s",
        f"first result found, of {isolated_count} clips",
        f"of {NEAREST} nearest",
        "p50 ms",
    ):
        table.add_column(name, justify="right")
    table.add_row("all compared", "", str(isolated_count), "1.000", f"{median_ms:.1f}")
    connection.execute("set enable_seqscan = off")
    memory_mb = index_memory_mb(arguments.passages)
    connection.execute(f"set maintenance_work_mem = '{memory_mb}MB'".encode())
    for construction in arguments.construction:
        began = time.perf_counter()
        connection.execute("drop index if exists passage_vector")
        connection.execute(
            "create index passage_vector on passage using hnsw (vector halfvec_cosine_ops) "
            f"with (ef_construction = {int(construction)})".encode()
        )
        build_s = time.perf_counter() - began
        for candidates in arguments.candidates:
            connection.execute(f"set hnsw.ef_search = {int(candidates)}".encode())
            results, median_ms = _search(connection, queries, dimensions, 100)
            firsts = sum(id < 0 and id in ids for id, ids in zip(first, results, strict=True))
            shares = [len({*all_} & {*ids}) for all_, ids in zip(exact, results, strict=True)]
            table.add_row(
                f"ef_construction {construction}, ef_search {candidates}",
                f"{build_s:.0f}",
                str(firsts),
                f"{np.mean(shares) / NEAREST:.3f}",
                f"{median_ms:.1f}",
            )
    return table


def _search(
    connection: psycopg.Connection, queries: Sequence[np.ndarray], dimensions: int, limit: int
) -> tuple[list[list[int]], float]:
    """Return the ids of each query's results, and the median time in ms."""
    statement = sql.SQL(_NEAREST).format(dimensions, limit)
    results, times_ms = [], []
    for vector in queries:
        began = time.perf_counter()
        rows = connection.execute(statement, (vector_literal(vector),), prepare=False).fetchall()
        times_ms.append((time.perf_counter() - began) * 1e3)
        results.append([row[0] for row in rows])
    return results, float(np.median(times_ms))


if __name__ == "__main__":
    main()
