"""The log format of the processes of `up`."""

import io

import pytest
from rich.console import Console

from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_environment
from ytcaption_assets.cli.up.serve import with_log_format


@pytest.mark.parametrize(
    ("is_terminal", "setting", "expected"),
    [(True, "auto", "text"), (False, "auto", None), (True, "json", "json")],
)
def test_a_terminal_gets_text(
    settings: Settings, is_terminal: bool, setting: str, expected: str | None
) -> None:
    """The processes write to pipes and cannot tell; a service manager gets JSON; a setting wins."""
    if setting != "auto":
        settings = settings.changed(log_format=setting)
    console = Console(file=io.StringIO(), force_terminal=is_terminal)

    environment = dagster_environment(with_log_format(settings, console))
    assert environment.get("YTCAPTION_LOG_FORMAT") == expected
