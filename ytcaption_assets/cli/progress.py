"""Progress bars: bytes downloaded, seconds of audio transcribed, and the time remaining."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ytcaption.domain.request import TranscriptionStatus
from ytcaption_assets.cli.terminal_text import one_line

TITLE_WIDTH = 32

_STAGES = {
    None: ("waiting", None),
    "audio_download": ("downloading", "bytes"),
    "transcription": ("transcribing", "seconds"),
    "transcript_parquet": ("storing", None),
}


class _AmountColumn(ProgressColumn):
    """Shows progress as `3.1 of 11.0 MB` or `0:42 of 9:58`."""

    def render(self, task: Task) -> Text:
        unit = task.fields.get("unit")
        if unit is None or not task.completed:
            return Text("")
        show = decimal if unit == "bytes" else clock
        amount = show(int(task.completed))
        return Text(f"{amount} of {show(int(task.total))}" if task.total else amount)


class _TranscriptionState(Protocol):
    """State of a transcription, read from the database or from a server's response."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> TranscriptionStatus: ...
    @property
    def stage(self) -> str | None: ...
    @property
    def try_number(self) -> int: ...
    @property
    def progress_done(self) -> float | None: ...
    @property
    def progress_total(self) -> float | None: ...


class Bars:
    """One progress bar per source, on standard error.

    Where standard error is not a terminal, each change of stage is printed as a line.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[stage]}", style="cyan", markup=False),
            BarColumn(),
            _AmountColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._stages: dict[str, str] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove the bars."""
        self._progress.stop()

    @contextmanager
    def reading(self, name: str) -> Iterator[Callable[[int, int | None], None]]:
        """Show a bar of the bytes read from a local file."""
        with self._amount(name, "reading", "bytes") as on_progress:
            yield on_progress

    @contextmanager
    def uploading(self, name: str) -> Iterator[Callable[[int, int | None], None]]:
        """Show a bar of the bytes uploaded to a server."""
        with self._amount(name, "uploading", "bytes") as on_progress:
            yield on_progress

    @contextmanager
    def downloading(self, name: str) -> Iterator[Callable[[int, int | None], None]]:
        """Show a bar of the bytes of a model, from its first byte on."""
        with self._amount(name, "downloading", "bytes") as on_progress:
            yield on_progress

    @contextmanager
    def transcribing(self, name: str) -> Iterator[Callable[[float, float | None], None]]:
        """Show a bar of the seconds of audio transcribed."""
        with self._amount(name, "transcribing", "seconds") as on_progress:
            yield on_progress

    def show(self, row: _TranscriptionState, title: str, waiting: str | None = None) -> None:
        """Show the state of a transcription.

        Args:
            waiting: why it waits, unless it only waits for a free slot.
        """
        stage, unit = _STAGES.get(row.stage, ("working", None))
        if row.status is TranscriptionStatus.QUEUED and waiting:
            stage, unit = f"waiting ({one_line(waiting)})", None
        elif row.status is TranscriptionStatus.QUEUED:
            stage, unit = ("waiting to retry" if row.try_number > 1 else "starting"), None
        elif row.status.is_final:
            stage, unit = row.status.value, None
        if row.id not in self._tasks:
            self._tasks[row.id] = self._progress.add_task(
                _short(title), total=None, stage=stage, unit=unit
            )
        task = self._tasks[row.id]
        if self._stages.get(row.id) != stage:
            self._stages[row.id] = stage
            self._progress.reset(task, total=None, stage=stage, unit=unit)
            if not self._console.is_terminal:
                self._console.print(f"{stage}: {one_line(title)}", markup=False, soft_wrap=True)
        done, total = (row.progress_done or 0, row.progress_total) if unit else (0, None)
        if row.status is TranscriptionStatus.COMPLETED:
            done, total = 1, 1
        self._progress.update(task, description=_short(title), completed=done, total=total)

    @contextmanager
    def _amount(
        self, name: str, stage: str, unit: str
    ) -> Iterator[Callable[[float, float | None], None]]:
        task: TaskID | None = None

        def on_progress(done: float, total: float | None) -> None:
            nonlocal task
            if task is None:
                task = self._progress.add_task(_short(name), total=total, stage=stage, unit=unit)
                if not self._console.is_terminal:
                    self._console.print(f"{stage}: {one_line(name)}", markup=False, soft_wrap=True)
            self._progress.update(task, completed=done, total=total)

        try:
            yield on_progress
        finally:
            if task is not None:
                self._progress.remove_task(task)


def _short(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= TITLE_WIDTH else f"{text[: TITLE_WIDTH - 1]}…"


def clock(seconds: int) -> str:
    """Return a duration as 4:05 or 1:02:03."""
    hours, minutes = seconds // 3600, seconds // 60 % 60
    tail = f"{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
    return f"{hours}:{tail}" if hours else tail
