"""`ytcaption embed`, and `ytcaption search` by what is meant."""

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
    """Instead of the model."""
    embedder = ToyEmbedder({"dog": (1, 0, 0), "puppy": (0.9, 0.1, 0), "sea": (0, 0, 1)})
    monkeypatch.setattr("resources.worker.embedder.warm_embedder_of", lambda settings: embedder)
    return embedder


def test_what_is_not_embedded_is(request_store: RequestStore) -> None:
    """As many as are asked for, then the rest, then nothing; and is found then."""
    for name, said in (("a", "a puppy"), ("b", "the sea"), ("c", "money")):
        add_said(request_store, name, said)
    for arguments, told in ((["--limit", "2"], "2 transcripts"), ([], "1 tr"), ([], "0 tr")):
        result = CliRunner().invoke(app, ["embed", *arguments])
        assert result.exit_code == 0
        assert told in result.stderr
    result = CliRunner().invoke(app, ["search", "dog", "--mode", "semantic", "--limit", "1"])
    assert result.exit_code == 0
    assert "a puppy" in result.stdout


def test_what_could_not_be_embedded_is_tried_again(
    request_store: RequestStore, toy: ToyEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, and the exit status says so; what the model can by now it does."""
    id = add_said(request_store, "a", "a puppy")
    add_said(request_store, "b", "the sea")
    with monkeypatch.context() as patch:
        patch.setattr(toy, "encode", lambda texts, _=0: odd(toy, texts))
        result = CliRunner().invoke(app, ["embed"])
    assert result.exit_code == 1
    assert f"{id}: ValueError: the model gives" in result.stderr
    assert "1 transcripts, 1 passages embedded." in result.stderr
    assert "1 could not be embedded." in result.stderr
    result = CliRunner().invoke(app, ["embed"])
    assert result.exit_code == 0
    assert "1 transcripts" in result.stderr


def odd(toy: ToyEmbedder, texts):
    """No numbers for puppies."""
    model, vectors = ToyEmbedder.encode(toy, texts)
    for row, text in enumerate(texts):
        vectors[row] *= np.nan if "puppy" in text else 1
    return model, vectors


def test_a_search_by_meaning_of_nothing_embedded_says_what_to_do(
    request_store: RequestStore,
) -> None:
    """As an error of usage; so does a mode that there is not."""
    result = CliRunner().invoke(app, ["search", "dog", "--mode", "hybrid"])
    assert isinstance(result.exception, SemanticUnavailable)
    result = CliRunner().invoke(app, ["search", "dog", "--mode", "magic"])
    assert isinstance(result.exception, InvalidOption)
