"""What is asked of a worker that makes vectors of texts, and what it answers, as lines of JSON.

A client sends one line, its texts. The answer has a line `{}` each half a second, and at the end
one with `vectors`, or with `error`. The worker and the process that holds the model say the same to
each other.
"""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Self, cast

from pydantic import Field, TypeAdapter, ValidationError

from resources.embeddings.embedder import AT_ONCE, EmbeddingModel
from resources.worker.protocol import Said, line

if TYPE_CHECKING:
    import numpy as np

MOST_BYTES = 1 << 20
"""Of a line of texts: a passage has some 500 characters."""

LONGEST_ANSWER = 4 << 20
"""Bytes: the vectors of as many texts as there may be have a third of it."""


@dataclass(frozen=True)
class Texts:
    """What is to be embedded.

    Attributes:
        model: whose vectors are wanted; a worker with another one refuses.
        texts: none: what the model is.
    """

    model: str
    texts: Annotated[list[str], Field(max_length=AT_ONCE)]

    def line(self) -> bytes:
        """Ends with the line's end."""
        return line(asdict(self))

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The inverse of `line`.

        Raises:
            ValueError: something else, or too many texts.
        """
        try:
            return cast("Self", _TEXTS.validate_json(data))
        except ValidationError as error:
            raise ValueError(
                f"no texts to embed: {error.error_count()} things are wrong with it"
            ) from None


_TEXTS: TypeAdapter[Texts] = TypeAdapter(Texts)


def encode_vectors(model: EmbeddingModel, vectors: "np.ndarray") -> Said:
    """The last line of an answer.

    Args:
        vectors: float32, shape (n_texts, model.dimensions).
    """
    data = base64.b64encode(vectors.astype("<f4").tobytes()).decode()
    return {"model": asdict(model), "vectors": data}


def vectors_of(said: Said, texts: Sequence[str]) -> tuple[EmbeddingModel, "np.ndarray"]:
    """The inverse of `encode_vectors`.

    Raises:
        ValueError: no vectors of these texts.
    """
    import numpy as np

    try:
        model = EmbeddingModel(**said["model"])
        numbers = np.frombuffer(base64.b64decode(said["vectors"]), "<f4")
        return model, numbers.reshape(len(texts), model.dimensions)
    except (KeyError, TypeError) as error:
        raise ValueError("no vectors") from error
