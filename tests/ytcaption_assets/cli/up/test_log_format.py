"""What the processes of `up` write where a person reads."""

import io

import pytest
from rich.console import Console

from ytcaption.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_environment
from ytcaption_assets.cli.up.serve import with_log_format


@pytest.mark.parametrize(
    ("is_terminal", "asked", "written"),
    [(True, "auto", "text"), (False, "auto", None), (True, "json", "json")],
)
def test_a_terminal_gets_text(
    settings: Settings, is_terminal: bool, asked: str, written: str | None
) -> None:
    """The pipes of its processes are none; a service manager gets JSON, and the setting wins."""
    if asked != "auto":
        settings = settings.model_copy(update={"log_format": asked})
    console = Console(file=io.StringIO(), force_terminal=is_terminal)

    environment = dagster_environment(with_log_format(settings, console))
    assert environment.get("YTCAPTION_LOG_FORMAT") == written
