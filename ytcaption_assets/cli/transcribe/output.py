"""Output of `ytcaption transcribe`: transcripts on standard output, the rest on standard error."""

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption_assets.cli.terminal_text import one_line, printable, printable_on_terminal


@dataclass
class SourceResult:
    """One source from the command line and its result.

    Attributes:
        name: as given on the command line.
        id: of its transcription.
        is_from_store: it was completed before.
        files: caption files written.
    """

    name: str
    id: str | None = None
    error: str | None = None
    is_from_store: bool = False
    files: list[Path] = field(default_factory=list)


def print_transcript(
    result: SourceResult, transcript: Transcript, title: str, console: Console
) -> None:
    """Print the text and the paths of its files."""
    origin = " (from the store)" if result.is_from_store else ""
    language = transcript.language or "no speech"
    console.print(
        f"[green]done[/green] {escape(one_line(title))} · {language}{origin}", soft_wrap=True
    )
    print(printable_on_terminal(transcript.text or "(no speech)"))  # noqa: T201 - the result itself
    for path in result.files:
        console.print(f"  {escape(one_line(path))}", soft_wrap=True)


def print_failure(result: SourceResult, console: Console) -> None:
    """Print the source that failed, and why."""
    console.print(f"[red]failed[/red] {escape(one_line(result.name))}", soft_wrap=True)
    console.print(f"  {escape(printable(result.error))}", soft_wrap=True)
