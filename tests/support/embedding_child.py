"""What a worker starts in tests instead of the process that holds a model: a toy, which needs no
extra and has the faults that it is asked for. `python -m tests.support.embedding_child`."""

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
    """What it does is said by the first text."""

    def encode(
        self, texts: Sequence[str], wait_s: float = -1.0
    ) -> tuple[EmbeddingModel, np.ndarray]:
        """As the toy does."""
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
