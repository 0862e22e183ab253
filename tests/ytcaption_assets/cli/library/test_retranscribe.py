"""`ytcaption retranscribe`, on a real database."""

from collections.abc import Callable

import pytest
from click.testing import Result
from typer.testing import CliRunner

from resources.transcriptions.reads import get_transcription
from resources.transcriptions.store import RequestStore
from tests.resources.retranscribe.test_service import completed, everything, small
from ytcaption.domain.errors import InvalidOption, UnknownModel
from ytcaption.settings import Settings
from ytcaption_assets.cli.main import app


@pytest.fixture
def ytcaption(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command; errors come as exceptions."""
    monkeypatch.setenv("YTCAPTION_MODELS", "base,small")

    def run(*arguments: str) -> Result:
        result = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["retranscribe", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_what_an_older_model_made_is_made_anew(ytcaption, request_store: RequestStore):
    """A dry run tells it and changes nothing; the command asks for it; again, for nothing."""
    for name in ("youtube-one", "youtube-two"):
        completed(request_store, name)
    where = ("--where", "model = 'base' and created_at > '2026-01-01'", "--model", "small")
    before = everything(request_store)
    told = ytcaption(*where, "--dry-run").stdout
    assert "2 transcriptions would be made" in told and "small" in told
    assert everything(request_store) == before
    assert "1 transcriptions are queued" in ytcaption(*where, "--limit", "1").stdout
    done = ytcaption(*where).stdout
    assert "1 transcriptions are queued" in done and "1 left out: are there already" in done
    assert get_transcription(request_store.postgres, small("youtube-two")).priority == "bulk"
    assert "0 transcriptions are queued" in ytcaption(*where).stdout
    assert "0 fit" in ytcaption("--changed", "--dry-run").stdout


def test_what_is_asked_wrongly_is_one_sentence(ytcaption):
    """Wrong usage, before a database is opened."""
    with pytest.raises(InvalidOption, match="Say which"):
        ytcaption("--model", "small")
    with pytest.raises(InvalidOption, match="not a column"):
        ytcaption("--where", "colour = 'red'", "--model", "small")
    with pytest.raises(UnknownModel, match="base, small"):
        ytcaption("--where", "changed", "--model", "huge")
