"""The messages of embedding, as lines of JSON.

A client sends one line, its texts. The response has a line `{}` every half a second, and in the
last line `vectors` or `error`. The worker and its embedding process exchange the same messages.
"""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Self, cast

from pydantic import Field, TypeAdapter, ValidationError

from resources.embeddings.embedder import BATCH_SIZE, EmbeddingModel
from resources.worker.protocol import Message, encode_line

if TYPE_CHECKING:
    import numpy as np

MAX_REQUEST_BYTES = 1 << 20
"""A passage has about 500 characters."""

MAX_RESPONSE_BYTES = 4 << 20
"""Three times the vectors of the most texts."""


@dataclass(frozen=True)
class EmbedRequest:
    """Texts to embed.

    Attributes:
        model: name of the model; a worker with another one refuses.
        texts: if empty, only the model is returned.
    """

    model: str
    texts: Annotated[list[str], Field(max_length=BATCH_SIZE)]

    def to_line(self) -> bytes:
        """Return the request as one line."""
        return encode_line(asdict(self))

    @classmethod
    def from_line(cls, data: bytes) -> Self:
        """Parse a line made by `to_line`.

        Raises:
            ValueError: it is not a valid request, or has too many texts.
        """
        try:
            return cast("Self", _EMBED_REQUEST.validate_json(data))
        except ValidationError as error:
            raise ValueError(f"not a valid request: {error.error_count()} errors in it") from None


_EMBED_REQUEST: TypeAdapter[EmbedRequest] = TypeAdapter(EmbedRequest)


def encode_vectors(model: EmbeddingModel, vectors: "np.ndarray") -> Message:
    """Return the last message of a successful request.

    Args:
        vectors: float32, shape (n_texts, model.dimensions).
    """
    data = base64.b64encode(vectors.astype("<f4").tobytes()).decode()
    return {"model": asdict(model), "vectors": data}


def decode_vectors(message: Message, texts: Sequence[str]) -> tuple[EmbeddingModel, "np.ndarray"]:
    """Decode a message of `encode_vectors`.

    Raises:
        ValueError: it does not hold vectors of these texts.
    """
    import numpy as np

    try:
        model = EmbeddingModel(**message["model"])
        numbers = np.frombuffer(base64.b64decode(message["vectors"]), "<f4")
        return model, numbers.reshape(len(texts), model.dimensions)
    except (KeyError, TypeError) as error:
        raise ValueError("not vectors") from error
