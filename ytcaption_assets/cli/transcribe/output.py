"""What a person is given: the transcript on standard output, all else on standard error."""

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ytcaption.domain.transcripts.transcript import Transcript


@dataclass
class Asked:
    """One source that a person named, and what became of it."""

    name: str
    id: str | None = None
    error: str | None = None
    answered_from_store: bool = False
    files: list[Path] = field(default_factory=list)


def print_transcript(asked: Asked, transcript: Transcript, title: str, console: Console) -> None:
    """The text, and where its files are."""
    came = " (from the store)" if asked.answered_from_store else ""
    language = transcript.language or "no speech"
    console.print(f"[green]done[/green] {escape(title)} · {language}{came}", soft_wrap=True)
    print(transcript.text or "(nobody speaks)")  # noqa: T201 - the result itself
    for path in asked.files:
        console.print(f"  {escape(str(path))}", soft_wrap=True)


def print_failure(asked: Asked, console: Console) -> None:
    """What failed, and why."""
    console.print(f"[red]failed[/red] {escape(asked.name)}", soft_wrap=True)
    console.print(f"  {escape(asked.error or '')}", soft_wrap=True)
