"""The documented settings are the real ones."""

from pathlib import Path

import pytest
from rich.console import Console

from ytcaption_assets.cli.settings_table import print_settings, settings_markdown
from ytcaption_assets.domain.errors import SetupError
from ytcaption_assets.settings import Settings, load_settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_documentation_is_current():
    """docs/settings.md is what `ytcaption settings --markdown` prints."""
    assert DOCUMENT.read_text(encoding="utf-8") == settings_markdown()


def test_secrets_are_hidden(capsys):
    """A password in a database URL is never shown."""
    settings = Settings(database_url="postgresql://u:hunter2@db/x")  # pyright: ignore[reportArgumentType]
    print_settings(settings, Console(width=300))
    shown = capsys.readouterr().out
    assert "hunter2" not in shown and "(hidden)" in shown


def test_a_wrong_setting_is_named(monkeypatch):
    """One sentence says which variable is wrong, and what is."""
    monkeypatch.setenv("YTCAPTION_API_PORT", "eighty")
    monkeypatch.setenv("YTCAPTION_ALLOWED_NETWORKS", "10.0.0.0/99")
    monkeypatch.setenv("YTCAPTION_OTLP_ENDPOINT", "localhost:4318")
    with pytest.raises(SetupError) as error:
        load_settings()
    assert "YTCAPTION_API_PORT" in error.value.message
    assert "YTCAPTION_ALLOWED_NETWORKS: '10.0.0.0/99' does not appear" in error.value.message
    assert "YTCAPTION_OTLP_ENDPOINT: write http://host:4318" in error.value.message


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("JOB_TIMEOUT_S", "60", "60 is less than YTCAPTION_TRANSCRIPTION_TIMEOUT_S, which is 3600"),
        ("MAX_RUNTIME_S", "60", "60 is less than YTCAPTION_JOB_TIMEOUT_S, which is 10800"),
        ("TRANSCRIPTION_TIMEOUT_S", "0", "Input should be greater than 0"),
    ],
)
def test_a_limit_is_no_shorter_than_what_it_holds(monkeypatch, name: str, value: str, said: str):
    """One sentence names both."""
    monkeypatch.setenv(f"YTCAPTION_{name}", value)
    with pytest.raises(SetupError) as error:
        load_settings()
    assert f"YTCAPTION_{name}: {said}" in error.value.message


def test_settings_are_read_once_and_anew_where_something_has_changed(monkeypatch, tmp_path):
    """The environment, the folder or its `.env`; in between the very same come back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("YTCAPTION_BEAM_SIZE", raising=False)
    assert load_settings() is load_settings()
    monkeypatch.setenv("YTCAPTION_BEAM_SIZE", "3")
    assert load_settings().beam_size == 3
    monkeypatch.delenv("YTCAPTION_BEAM_SIZE")
    for beam_size in (4, 10):
        (tmp_path / ".env").write_text(f"YTCAPTION_BEAM_SIZE={beam_size}\n")
        assert load_settings().beam_size == beam_size
    (tmp_path / ".env").unlink()
    assert load_settings().beam_size == 5


def test_settings_are_read_in_a_folder_that_was_removed(monkeypatch, tmp_path):
    """As before it was."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    monkeypatch.setenv("YTCAPTION_HOME", str(tmp_path))
    assert load_settings().home == tmp_path
