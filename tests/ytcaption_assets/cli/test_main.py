"""The command as a whole: its version and the order of its help."""

import re
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from ytcaption_assets.cli.main import app

pytestmark = pytest.mark.unit


def test_version_is_that_of_the_installed_package() -> None:
    """`--version` prints one line and succeeds."""
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"ytcaption {version('ytcaption')}\n")


def test_help_begins_with_what_most_people_need() -> None:
    """Commands stand under headings, `transcribe` first, and none is left out."""
    output = CliRunner().invoke(app, ["--help"]).output
    headings = re.findall(r"╭─ (.*?) ─", output)
    assert headings == [
        "Options",
        "Transcribe",
        "Use the library",
        "Operate",
        "Models and processes",
    ]
    commands = re.findall(r"^│ ([a-z][a-z-]*) ", output, re.MULTILINE)
    assert commands[:2] == ["transcribe", "up"]
    registered = len(app.registered_commands) + len(app.registered_groups)
    assert len(commands) == registered
