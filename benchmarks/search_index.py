"""How many of the nearest passages the index of vectors finds, beside comparing all of them.

    python -m benchmarks.search_index [--passages 100000] [--construction 64 256]
                                      [--candidates 100 1000] [--embedded 15000]

The passages are of the text of `benchmarks/search_library.py`: so many are embedded by the model,
the others are those with noise added. Between them, anywhere, lie the clips of `tests/data`, which
are like nothing else there. Asked are the searches of `search_queries.csv`. It takes the extra
`semantic`, and 1.6 kB of memory a passage.
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
from resources.embeddings.store import as_text
from resources.postgres.connection import close_pools
from resources.postgres.migrate import migrated_postgres
from resources.postgres.urls import database_urls
from ytcaption.settings import Settings

NEAREST = 10
_BATCH = 20_000
_NEAREST: LiteralString = "select id from passage order by vector <=> %s::halfvec({}) limit {}"


def main() -> None:
    """Prints a table, a row for each index and number of candidates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--construction", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--candidates", type=int, nargs="+", default=[100, 1_000])
    parser.add_argument("--embedded", type=int, default=15_000)
    arguments = parser.parse_args()
    console = Console(width=120)
    if not is_installed():
        console.print("the index of vectors: not measured, the extra `semantic` is not installed")
        return
    for name, value in machine().items():
        console.print(f"{name}: {value}")
    with tempfile.TemporaryDirectory(prefix="ytc-index-", dir="/tmp") as folder:
        settings = Settings(home=Path(folder) / "home", _env_file=None)  # pyright: ignore
        embedder = embedder_of(settings.embedding_model)
        text = lines(Path("build/search"))
        draw = np.random.default_rng(4)
        begins = draw.integers(len(text) - LINES, size=arguments.embedded)
        real = embedder.embed([" ".join(text[at : at + LINES]) for at in begins])
        said = [clip.reference for clip in clips(TEST_DATA) if clip.reference]
        apart = embedder.embed(said)
        asked = [embedder.query(query)[1] for query, _ in judged()]
        with (
            migrated_postgres(settings),
            psycopg.connect(database_urls(settings).admin, autocommit=True) as connection,
        ):
            dimensions = real.shape[1]
            connection.execute("set search_path = ytcaption, public")
            connection.execute(
                sql.SQL("create table passage (id integer, vector halfvec({}))").format(dimensions)
            )
            _fill(connection, real, apart, arguments.passages, draw)
            console.print(_measured(connection, arguments, asked, dimensions))
        close_pools(database_urls(settings))


def _fill(
    connection: psycopg.Connection,
    real: np.ndarray,
    apart: np.ndarray,
    passages: int,
    draw: np.random.Generator,
) -> None:
    """Those apart have ids below 0."""
    places = dict(
        zip(draw.integers(passages, size=len(apart)).tolist(), range(len(apart)), strict=True)
    )

    def rows() -> Iterator[tuple[int, np.ndarray]]:
        for begin in range(0, passages, _BATCH):
            for id, vector in enumerate(noisy(real, min(_BATCH, passages - begin), draw), begin):
                if id in places:
                    yield -1 - places[id], apart[places[id]]
                yield id, vector

    with connection.cursor() as cursor, cursor.copy("copy passage from stdin") as copy:
        for id, vector in rows():
            copy.write_row((id, as_text(vector)))


def _measured(
    connection: psycopg.Connection,
    arguments: argparse.Namespace,
    asked: Sequence[np.ndarray],
    dimensions: int,
) -> Table:
    exact, took_ms = _found(connection, asked, dimensions, NEAREST)
    first = [ids[0] for ids in exact]
    are_apart = sum(id < 0 for id in first)
    table = Table(f"of {len(asked)} searches", title=f"{arguments.passages:,} passages")
    for name in (
        "made in s",
        f"first found, of {are_apart} clips",
        f"of {NEAREST} nearest",
        "p50 ms",
    ):
        table.add_column(name, justify="right")
    table.add_row("all compared", "", str(are_apart), "1.000", f"{took_ms:.1f}")
    connection.execute("set enable_seqscan = off")
    connection.execute(f"set maintenance_work_mem = '{index_memory_mb(arguments.passages)}MB'")
    for construction in arguments.construction:
        began = time.perf_counter()
        connection.execute("drop index if exists passage_vector")
        connection.execute(
            "create index passage_vector on passage using hnsw (vector halfvec_cosine_ops) "
            f"with (ef_construction = {int(construction)})"
        )
        made_s = time.perf_counter() - began
        for candidates in arguments.candidates:
            connection.execute(f"set hnsw.ef_search = {int(candidates)}")
            found, took_ms = _found(connection, asked, dimensions, 100)
            firsts = sum(id < 0 and id in ids for id, ids in zip(first, found, strict=True))
            shares = [len({*all_} & {*ids}) for all_, ids in zip(exact, found, strict=True)]
            table.add_row(
                f"ef_construction {construction}, ef_search {candidates}",
                f"{made_s:.0f}",
                str(firsts),
                f"{np.mean(shares) / NEAREST:.3f}",
                f"{took_ms:.1f}",
            )
    return table


def _found(
    connection: psycopg.Connection, asked: Sequence[np.ndarray], dimensions: int, most: int
) -> tuple[list[list[int]], float]:
    """Ids by search, and the median of ms."""
    statement = sql.SQL(_NEAREST).format(dimensions, most)
    found, took = [], []
    for vector in asked:
        began = time.perf_counter()
        rows = connection.execute(statement, (as_text(vector),), prepare=False).fetchall()
        took.append((time.perf_counter() - began) * 1e3)
        found.append([row[0] for row in rows])
    return found, float(np.median(took))


if __name__ == "__main__":
    main()
