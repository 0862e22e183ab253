"""Embeddings for the benchmark's library: as many passages as its transcripts have.

The model embeds some passages of the text; the others are those with noise added, since embedding a
hundred thousand transcripts would take days. Queries are embedded by the model itself.
"""

import random
import time

import numpy as np
import psycopg

from resources.embeddings.embedder import Embedder
from resources.embeddings.store import vector_literal

EMBEDDED = 2_000
NOISE = 0.6
"""Length of the noise added to unit vectors: the cosine of two of one origin is 0.7."""

LINES = 7
"""Segments per passage of 30 s."""

STEP = 4
_BATCH = 20_000
_INDEX_BYTES = 1_600
"""Memory per passage while the vector index is built."""


def add_vectors(
    connection: psycopg.Connection, text: list[str], segments: int, embedder: Embedder
) -> dict[str, float]:
    """Fill the tables of an installation that has transcripts; return seconds by step."""
    seconds: dict[str, float] = {}
    began = time.perf_counter()
    random_lines = random.Random(3)
    first = [random_lines.randrange(len(text) - LINES) for _ in range(EMBEDDED)]
    embedded = embedder.embed([" ".join(text[at : at + LINES]) for at in first])
    seconds[f"{EMBEDDED:,} passages embedded"] = time.perf_counter() - began
    model = embedder.model
    row = connection.execute(
        "select ytcaption.embedding_model_of(%s, %s, %s)",
        (model.name, model.revision, model.dimensions),
    ).fetchone()
    assert row is not None
    connection.execute(
        "insert into ytcaption.embedding_done (transcription_id, model_id, document_sha256) "
        "select id, %s, '' from ytcaption.transcription",
        (row[0],),
    )
    began = time.perf_counter()
    ids = [each[0] for each in connection.execute("select id from ytcaption.transcription")]
    connection.execute(f"drop index ytcaption.embedding_of_model_{row[0]}".encode())
    passages = [(id, at) for id in ids for at in range(0, segments - LINES + 1, STEP)]
    noise = np.random.default_rng(4)
    statement = (
        "copy ytcaption.embedding (transcription_id, first_index, last_index, model_id, vector) "
        "from stdin"
    )
    for begin in range(0, len(passages), _BATCH):
        batch = passages[begin : begin + _BATCH]
        vectors = noisy(embedded, len(batch), noise)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for (id, at), vector in zip(batch, vectors, strict=True):
                copy.write_row((id, at, at + LINES - 1, row[0], vector_literal(vector)))
    seconds["vectors"] = time.perf_counter() - began
    began = time.perf_counter()
    memory_mb = index_memory_mb(len(passages))
    connection.execute(f"set maintenance_work_mem = '{memory_mb}MB'".encode())
    connection.execute(
        f"create index embedding_of_model_{row[0]} on ytcaption.embedding using hnsw "
        f"((vector::halfvec({model.dimensions})) halfvec_cosine_ops) with (ef_construction = 256) "
        f"where model_id = {row[0]}".encode()
    )
    seconds["index of vectors"] = time.perf_counter() - began
    connection.execute("vacuum analyze ytcaption.embedding")
    return seconds


def noisy(embedded: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Return `count` of these vectors with noise added, shape (count, dimensions), of length 1."""
    noise = random.normal(size=(count, embedded.shape[1]))
    noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
    vectors = embedded[random.integers(len(embedded), size=count)] + noise
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def index_memory_mb(passages: int) -> int:
    """Return the memory that the index needs: building is many times slower with less."""
    return max(256, passages * _INDEX_BYTES // 1024**2)


def semantic_queries(text: list[str]) -> list[str]:
    """Return queries: eight words of the text each, in random order."""
    random_words = random.Random(5)
    queries = []
    for line in random_words.sample(text, 200):
        words = [word.strip('"-*|') for word in line.split()]
        queries.append(" ".join(random_words.sample(words, min(8, len(words)))))
    return [each for each in queries if any(char.isalpha() for char in each)]
