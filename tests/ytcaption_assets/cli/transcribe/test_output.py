"""The output of `ytcaption transcribe` on a terminal and elsewhere."""

import io
import sys

import pytest
from rich.console import Console

from tests.support.transcripts import transcript_of
from ytcaption_assets.cli.progress import Bars
from ytcaption_assets.cli.transcribe.output import SourceResult, print_failure, print_transcript

pytestmark = pytest.mark.unit

ID = "youtube-a.aaaaaaaaaaaaaaaaaaaaaaaaaa"
HOSTILE = "ctl\x1b[31mname\n[bold]2.mp3"
SHOWN = "ctl\ufffd[31mname\ufffd[bold]2.mp3"
TEXT = "One\x1b]0;owned\x07 two."


class Terminal(io.StringIO):
    """Keeps what is written to a terminal."""

    def isatty(self) -> bool:
        return True


def test_names_take_over_no_terminal() -> None:
    """Control characters of titles, names and errors are replaced, line breaks of names, too."""
    stderr = io.StringIO()
    console = Console(file=stderr, highlight=False)
    result = SourceResult(HOSTILE, error=f"There is no file {HOSTILE}")
    print_failure(result, console)
    print_transcript(result, transcript_of(ID), HOSTILE, console)
    with Bars(console) as bars, bars.reading(HOSTILE) as on_progress:
        on_progress(1, 2)
    lines = stderr.getvalue().splitlines()
    assert lines[0] == f"failed {SHOWN}"
    assert lines[-2].startswith(f"done {SHOWN}")
    assert lines[-1] == f"reading: {SHOWN}"
    assert "\x1b" not in stderr.getvalue()


def test_bars_show_no_control_characters() -> None:
    """Nor the beginning of a long name."""
    terminal = Terminal()
    console = Console(file=terminal, force_terminal=True, color_system=None, width=120)
    with Bars(console) as bars, bars.reading("a\x1b]0;owned\x07") as on_progress:
        on_progress(1, 2)
    assert "a\ufffd]0;owned\ufffd" in terminal.getvalue()


@pytest.mark.parametrize(
    ("stdout", "shown"),
    [(Terminal(), "One\ufffd]0;owned\ufffd two."), (io.StringIO(), TEXT)],
    ids=["terminal", "file"],
)
def test_a_transcript_is_changed_on_a_terminal_only(
    stdout: io.StringIO, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file or another program receives it as it is."""
    monkeypatch.setattr(sys, "stdout", stdout)
    console = Console(file=io.StringIO())
    print_transcript(SourceResult("a"), transcript_of(ID, [TEXT]), "a", console)
    assert stdout.getvalue() == f"{shown}\n"
