"""Embeddings for the benchmark's library: as many passages as its transcripts have.

The model embeds some passages of the text; the others are those with noise added, since a hundred
thousand transcripts would take the model days. Searches are embedded by the model itself.
"""

import random
import time

import numpy as np
import psycopg

from resources.embeddings.embedder import Embedder
from resources.embeddings.store import vector_literal

EMBEDDED = 2_000
NOISE = 0.6
"""Length of what is added to a vector of length 1: the cosine of two of the same origin is 0.7."""

LINES = 7
"""Segments of a passage of 30 s."""

STEP = 4
_BATCH = 20_000
_INDEX_BYTES = 1_600
"""Of a passage, while the index of vectors is made."""


def add_vectors(
    connection: psycopg.Connection, text: list[str], segments: int, embedder: Embedder
) -> dict[str, float]:
    """Fills the tables of an installation that has transcripts: seconds by step."""
    seconds: dict[str, float] = {}
    began = time.perf_counter()
    draw = random.Random(3)
    first = [draw.randrange(len(text) - LINES) for _ in range(EMBEDDED)]
    real = embedder.embed([" ".join(text[at : at + LINES]) for at in first])
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
    connection.execute(f"drop index ytcaption.embedding_of_model_{row[0]}")
    places = [(id, at) for id in ids for at in range(0, segments - LINES + 1, STEP)]
    noise = np.random.default_rng(4)
    statement = (
        "copy ytcaption.embedding (transcription_id, first_index, last_index, model_id, vector) "
        "from stdin"
    )
    for begin in range(0, len(places), _BATCH):
        batch = places[begin : begin + _BATCH]
        vectors = noisy(real, len(batch), noise)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for (id, at), vector in zip(batch, vectors, strict=True):
                copy.write_row((id, at, at + LINES - 1, row[0], vector_literal(vector)))
    seconds["vectors"] = time.perf_counter() - began
    began = time.perf_counter()
    connection.execute(f"set maintenance_work_mem = '{index_memory_mb(len(places))}MB'")
    connection.execute(
        f"create index embedding_of_model_{row[0]} on ytcaption.embedding using hnsw "
        f"((vector::halfvec({model.dimensions})) halfvec_cosine_ops) with (ef_construction = 256) "
        f"where model_id = {row[0]}"
    )
    seconds["index of vectors"] = time.perf_counter() - began
    connection.execute("vacuum analyze ytcaption.embedding")
    return seconds


def noisy(real: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    """So many of these vectors with noise added, shape (count, dimensions), each of length 1."""
    added = draw.normal(size=(count, real.shape[1]))
    added *= NOISE / np.linalg.norm(added, axis=1, keepdims=True)
    vectors = real[draw.integers(len(real), size=count)] + added
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def index_memory_mb(passages: int) -> int:
    """Where the index does not fit while it is made, that takes many times as long."""
    return max(256, passages * _INDEX_BYTES // 1024**2)


def questions(text: list[str]) -> list[str]:
    """What somebody might look for: eight words of the text, in no order."""
    draw = random.Random(5)
    asked = []
    for line in draw.sample(text, 200):
        words = [word.strip('"-*|') for word in line.split()]
        asked.append(" ".join(draw.sample(words, min(8, len(words)))))
    return [each for each in asked if any(char.isalpha() for char in each)]
