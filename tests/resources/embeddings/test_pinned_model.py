"""A model of the hub is one commit and one hash, as the weights of Whisper are."""

from pathlib import Path

import huggingface_hub
import pytest

from resources.embeddings import embedder as module
from resources.embeddings.embedder import DEFAULT_MODEL, Embedder, EmbeddingModel
from ytcaption.domain.errors import ModelCorrupt, ModelUnavailable

pytestmark = pytest.mark.unit

COMMIT = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
NAME = f"someone/a-model@{COMMIT}"


class Hub:
    """The hub: a folder for each repository and commit, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.requests = folder, []
        (folder / "config.json").write_text("{}")

    def snapshot_download(self, repository: str, *, revision: str, **_: object) -> str:
        """Return the folder, as huggingface_hub does."""
        self.requests.append((repository, revision))
        return str(self.folder)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Replace the network and the library that loads the files."""
    hub = Hub(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    monkeypatch.setattr(module, "is_installed", lambda: True)
    monkeypatch.setattr(
        Embedder, "_read", lambda self, _, revision: (None, EmbeddingModel(self.name, revision, 3))
    )
    return hub


def test_a_name_without_a_commit_is_refused(hub: Hub):
    """Nothing is fetched: what `main` leads to may be another model tomorrow."""
    for name in ("all-mpnet-base-v2", "someone/a-model", "someone/a-model@main", f"{NAME}:abc"):
        with pytest.raises(ModelUnavailable, match="named with its commit and the hash"):
            Embedder(name).encode(())
    assert not hub.requests


def test_a_commit_without_a_hash_says_the_hash(hub: Hub):
    """Put into the setting, it is loaded; with other files it is not."""
    with pytest.raises(ModelUnavailable, match=f"set YTCAPTION_EMBEDDING_MODEL={NAME}:") as error:
        Embedder(NAME).encode(())
    pinned = error.value.message.rpartition("YTCAPTION_EMBEDDING_MODEL=")[2]
    assert Embedder(pinned).model.name == pinned
    assert set(hub.requests) == {("someone/a-model", COMMIT)}
    (hub.folder / "tokenizer.json").write_text("another one")
    with pytest.raises(ModelCorrupt, match="differ from the expected ones"):
        Embedder(pinned).encode(())


def test_the_default_model_is_pinned_wherever_it_comes_from(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
):
    """Without its package it is fetched at one commit, and its files are compared all the same."""
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelCorrupt, match="differ from the expected ones"):
        Embedder(DEFAULT_MODEL).encode(())
    assert hub.requests == [("sentence-transformers/all-MiniLM-L6-v2", COMMIT)]


def test_a_folder_is_the_operators_own(hub: Hub):
    """It is loaded as it is, and known by the hash of its files."""
    model = Embedder(str(hub.folder)).model
    assert len(model.revision) == 64 and not hub.requests
