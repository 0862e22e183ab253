"""Embedding process for tests: `python -m tests.support.embedding_child`.

It has a toy model, needs no extra, and can be made to fail.
"""

import os
import sys
import time
from collections.abc import Sequence

import numpy as np

from resources.embeddings.embedder import EmbeddingModel
from resources.worker.embedding_child import serve
from tests.support.embedding import ToyEmbedder
from ytcaption.domain.errors import ModelUnavailable

COMMAND = (sys.executable, "-m", "tests.support.embedding_child")
TOPICS = {"dog": (1.0, 0.0, 0.0), "puppy": (0.9, 0.1, 0.0), "sea": (0.0, 0.0, 1.0)}


class FaultyEmbedder(ToyEmbedder):
    """A toy embedder; the first text selects a fault."""

    def encode(
        self, texts: Sequence[str], wait_s: float = -1.0
    ) -> tuple[EmbeddingModel, np.ndarray]:
        """See `ToyEmbedder.encode`."""
        match texts[0] if texts else "":
            case "die":
                os._exit(3)
            case "hang":
                time.sleep(600)
            case "slow":
                time.sleep(1.0)
            case "print":
                print("not an answer", flush=True)  # noqa: T201
            case "refuse":
                raise ModelUnavailable("The hub has no such model.")
            case "break":
                raise RuntimeError("secret")
        return super().encode(texts, wait_s)


if __name__ == "__main__":
    serve(FaultyEmbedder(TOPICS))
