"""Progress bars: bytes while downloading, seconds of audio while transcribing, and what is left."""

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

TITLE_WIDTH = 32

_STAGES = {
    None: ("waiting", None),
    "audio_download": ("downloading", "bytes"),
    "transcription": ("transcribing", "seconds"),
    "transcript_parquet": ("storing", None),
}


class _AmountColumn(ProgressColumn):
    """`3.1 of 11.0 MB`, or `0:42 of 9:58`."""

    def render(self, task: Task) -> Text:
        unit = task.fields.get("unit")
        if unit is None or not task.completed:
            return Text("")
        show = decimal if unit == "bytes" else clock
        amount = show(int(task.completed))
        return Text(f"{amount} of {show(int(task.total))}" if task.total else amount)


class _Row(Protocol):
    """A transcription's row, or what a server tells of it."""

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
    """One bar a source, on standard error; nothing but its last state where that is no terminal."""

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
        """Takes the bars away."""
        self._progress.stop()

    @contextmanager
    def reading(self, name: str) -> Iterator[Callable[[int, int | None], None]]:
        """A bar for bytes of a local file."""
        with self._amount(name, "reading", "bytes") as on_progress:
            yield on_progress

    @contextmanager
    def sending(self, name: str) -> Iterator[Callable[[int, int | None], None]]:
        """A bar for bytes of a file on their way to a server."""
        with self._amount(name, "sending", "bytes") as on_progress:
            yield on_progress

    @contextmanager
    def fetching(self, name: str) -> Iterator[Callable[[int, int | None], None]]:
        """A bar for bytes of a model, shown once the first ones come."""
        with self._amount(name, "fetching", "bytes") as on_progress:
            yield on_progress

    @contextmanager
    def hearing(self, name: str) -> Iterator[Callable[[float, float | None], None]]:
        """A bar for seconds of audio that are heard."""
        with self._amount(name, "hearing", "seconds") as on_progress:
            yield on_progress

    def show(self, row: _Row, title: str, waiting: str | None = None) -> None:
        """The row's state.

        Args:
            waiting: why it waits, where it is not for its turn alone.
        """
        stage, unit = _STAGES.get(row.stage, ("working", None))
        if row.status is TranscriptionStatus.QUEUED and waiting:
            stage, unit = f"waiting ({waiting})", None
        elif row.status is TranscriptionStatus.QUEUED:
            stage, unit = ("waiting to try again" if row.try_number > 1 else "starting"), None
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
                self._console.print(f"{stage}: {title}", markup=False, soft_wrap=True)
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
                    self._console.print(f"{stage}: {name}", markup=False, soft_wrap=True)
            self._progress.update(task, completed=done, total=total)

        try:
            yield on_progress
        finally:
            if task is not None:
                self._progress.remove_task(task)


def _short(text: str) -> str:
    return text if len(text) <= TITLE_WIDTH else f"{text[: TITLE_WIDTH - 1]}…"


def clock(seconds: int) -> str:
    """As 4:05 or 1:02:03."""
    hours, minutes = seconds // 3600, seconds // 60 % 60
    tail = f"{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
    return f"{hours}:{tail}" if hours else tail
