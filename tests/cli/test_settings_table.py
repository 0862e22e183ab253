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
