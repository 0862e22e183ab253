"""`ytcaption embed`, and `ytcaption search` by meaning."""

import numpy as np
import pytest
from typer.testing import CliRunner

from resources.transcriptions.store import RequestStore
from tests.support.embedding import ToyEmbedder
from tests.support.library import add_said
from ytcaption.domain.errors import InvalidOption, SemanticUnavailable
from ytcaption_assets.cli.main import app


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> ToyEmbedder:
    """Replaces the model."""
    embedder = ToyEmbedder({"dog": (1, 0, 0), "puppy": (0.9, 0.1, 0), "sea": (0, 0, 1)})
    monkeypatch.setattr("resources.worker.embedder.warm_embedder_of", lambda settings: embedder)
    return embedder


@pytest.mark.long
def test_waiting_transcripts_are_embedded(request_store: RequestStore) -> None:
    """Up to the limit, then the others, then none; semantic search finds them."""
    for name, text in (("a", "a puppy"), ("b", "the sea"), ("c", "money")):
        add_said(request_store, name, text)
    for arguments, message in ((["--limit", "2"], "2 transcripts"), ([], "1 tr"), ([], "0 tr")):
        result = CliRunner().invoke(app, ["embed", *arguments])
        assert result.exit_code == 0
        assert message in result.stderr
    result = CliRunner().invoke(app, ["search", "dog", "--mode", "semantic", "--limit", "1"])
    assert result.exit_code == 0
    assert "a puppy" in result.stdout


def test_a_transcript_that_failed_is_retried(
    request_store: RequestStore, toy: ToyEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named and the exit status is 1; the next call embeds it."""
    id = add_said(request_store, "a", "a puppy")
    add_said(request_store, "b", "the sea")
    with monkeypatch.context() as patch:
        patch.setattr(toy, "encode", lambda texts, _=0: odd(toy, texts))
        result = CliRunner().invoke(app, ["embed"])
    assert result.exit_code == 1
    assert f"{id}: ValueError: the model returned" in result.stderr
    assert "1 transcripts, 1 passages embedded." in result.stderr
    assert "1 could not be embedded." in result.stderr
    result = CliRunner().invoke(app, ["embed"])
    assert result.exit_code == 0
    assert "1 transcripts" in result.stderr


def odd(toy: ToyEmbedder, texts):
    """Return vectors, invalid ones for puppies."""
    model, vectors = ToyEmbedder.encode(toy, texts)
    for row, text in enumerate(texts):
        vectors[row] *= np.nan if "puppy" in text else 1
    return model, vectors


def test_a_semantic_search_without_embeddings_is_refused(
    request_store: RequestStore,
) -> None:
    """So is an unknown mode."""
    result = CliRunner().invoke(app, ["search", "dog", "--mode", "hybrid"])
    assert isinstance(result.exception, SemanticUnavailable)
    result = CliRunner().invoke(app, ["search", "dog", "--mode", "magic"])
    assert isinstance(result.exception, InvalidOption)
