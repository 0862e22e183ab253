"""`ytcaption retranscribe` on a real database."""

from collections.abc import Callable

import pytest
from click.testing import Result
from typer.testing import CliRunner

from resources.transcriptions.reads import get_transcription
from resources.transcriptions.store import RequestStore
from tests.resources.retranscribe.test_service import completed, everything, small
from ytcaption.domain.errors import InvalidOption, UnknownModel
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.main import app


@pytest.fixture
def ytcaption(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Return a function that runs the command and raises its errors."""
    monkeypatch.setenv("YTCAPTION_MODELS", "base,small")

    def run(*arguments: str) -> Result:
        result = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["retranscribe", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.mark.long
def test_transcriptions_of_an_older_model_are_queued_again(ytcaption, request_store: RequestStore):
    """A dry run changes nothing; the command queues them; repeated, it queues nothing."""
    for name in ("youtube-one", "youtube-two"):
        completed(request_store, name)
    where = ("--where", "model = 'base' and created_at > '2026-01-01'", "--model", "small")
    before = everything(request_store)
    trial = ytcaption(*where, "--dry-run").stdout
    assert "2 transcriptions would be queued" in trial and "small" in trial
    assert everything(request_store) == before
    assert "1 transcriptions are queued" in ytcaption(*where, "--limit", "1").stdout
    second = ytcaption(*where).stdout
    assert "1 transcriptions are queued" in second and "1 excluded: are there already" in second
    assert get_transcription(request_store.postgres, small("youtube-two")).priority == "bulk"
    assert "0 transcriptions are queued" in ytcaption(*where).stdout
    assert "0 match" in ytcaption("--changed", "--dry-run").stdout


def test_wrong_usage_is_one_sentence(ytcaption):
    """It is reported before a database is opened."""
    with pytest.raises(InvalidOption, match="Say which"):
        ytcaption("--model", "small")
    with pytest.raises(InvalidOption, match="not a column"):
        ytcaption("--where", "colour = 'red'", "--model", "small")
    with pytest.raises(UnknownModel, match="base, small"):
        ytcaption("--where", "changed", "--model", "huge")
