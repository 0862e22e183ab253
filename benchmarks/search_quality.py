"""Recall of the first ten media of a search, on a small judged set.

    python -m benchmarks.search_quality [--others 300]

The media are the clips of `tests/data` with their reference texts, among transcripts of other text
(`benchmarks/search_library.py`). `search_queries.csv` has queries and the clips that match.
Semantic search is measured as in a small library, where all passages are compared, and as in a
large one, by the vector index.
"""

import argparse
import csv
import tempfile
import textwrap
import time
from pathlib import Path
from unittest.mock import patch

import psycopg
from rich.console import Console

from benchmarks.common import TEST_DATA, Clip, clips
from benchmarks.search_library import LINE, build, lines
from resources.embeddings.backlog import embed_waiting
from resources.embeddings.embedder import embedder_of, is_installed
from resources.embeddings.store import EmbeddingStore
from resources.postgres.connection import Postgres, close_pools
from resources.postgres.migrate import migrated_postgres
from resources.postgres.urls import database_urls
from resources.search import semantic as search_semantic
from resources.search.retriever import Mode
from resources.search.service import Search
from resources.transcriptions.store import RequestStore
from tests.support.library import add_said
from ytcaption.domain.languages import CJK_LANGUAGES
from ytcaption.settings.settings import Settings

OTHERS = 300
FIRST = 10


def main() -> None:
    """Print recall and mean reciprocal rank, and each query that missed a clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--others", type=int, default=OTHERS, help="transcripts of other text")
    others = parser.parse_args().others
    console = Console()
    queries = judged()
    with tempfile.TemporaryDirectory(prefix="ytc-search-", dir="/tmp") as folder:
        settings = Settings(home=Path(folder) / "home", _env_file=None)  # pyright: ignore
        with migrated_postgres(settings):
            with psycopg.connect(database_urls(settings).admin, autocommit=True) as connection:
                build(connection, lines(Path("build/search")), others)
            store = RequestStore.from_settings(settings, "admin")
            for number, clip in enumerate(clips(TEST_DATA)):
                if clip.reference:
                    _add(store, clip, number)
            embedder = embedder_of(settings.search.embedding_model)
            search = Search(Postgres.from_settings(settings, "api"), embedder)
            _measure(console, search, "keyword", queries)
            if is_installed():
                began = time.perf_counter()
                embedded = list(embed_waiting(EmbeddingStore(store.postgres), embedder))
                count = sum(each.passage_count or 0 for each in embedded)
                duration_s = time.perf_counter() - began
                console.print(f"{count:,} passages embedded in {duration_s:.0f} s")
                _measure(console, search, "semantic", queries)
                _measure(console, search, "hybrid", queries)
                with patch.multiple(
                    search_semantic, MIN_COMPARED=0, COMPARISON_FACTOR=0, MAX_DOCUMENTS=0
                ):
                    _measure(console, search, "semantic", queries, " by the index")
                    _measure(console, search, "hybrid", queries, " by the index")
            else:
                console.print("semantic, hybrid: not measured, the extra is not installed")
            close_pools(database_urls(settings))


def _measure(
    console: Console,
    search: Search,
    mode: Mode,
    queries: list[tuple[str, list[str]]],
    suffix: str = "",
) -> None:
    recall = reciprocal = 0.0
    for query, relevant in queries:
        page = search.page(query, mode=mode, limit=FIRST)
        titles = [result.media.name for result in page.items]
        ranks = [titles.index(name) + 1 for name in relevant if name in titles]
        recall += len(ranks) / len(relevant)
        reciprocal += 1 / min(ranks) if ranks else 0.0
        if len(ranks) < len(relevant):
            console.print(f"{mode}{suffix} missed: {query} ({', '.join(relevant)})", markup=False)
    console.print(
        f"{mode}{suffix}: recall@{FIRST} {recall / len(queries):.3f}, "
        f"mean reciprocal rank {reciprocal / len(queries):.3f}, {len(queries)} searches"
    )


def judged() -> list[tuple[str, list[str]]]:
    """Return the queries, each with the clips that match."""
    path = Path(__file__).with_name("search_queries.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return [
            (row["query"], [Path(name).stem for name in row["relevant"].split()])
            for row in csv.DictReader(file)
        ]


def _add(store: RequestStore, clip: Clip, number: int) -> None:
    width = LINE // 2 if clip.language in CJK_LANGUAGES else LINE
    add_said(
        store,
        clip.path.stem,
        *textwrap.wrap(clip.reference, width),
        language=clip.language,
        published=f"2020-01-{number % 28 + 1:02}",
    )


if __name__ == "__main__":
    main()
