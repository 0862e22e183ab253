"""`ytcaption backup FOLDER` and `ytcaption restore FOLDER`."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from resources.backup.manifest import Manifest
    from resources.backup.restore import RestoreResult


def backup(
    folder: Annotated[Path, typer.Argument(help="Is made; must not hold anything.")],
    webhook_key: Annotated[
        bool,
        typer.Option(
            "--webhook-key/--no-webhook-key",
            help="With the key that the secrets of webhooks are encrypted by.",
        ),
    ] = True,
) -> None:
    """Copies the databases, the stored files and the lake into a folder, while work goes on.

    Nothing is erased meanwhile. One that is cut short goes on when it is repeated. Exit status: 0
    done, 1 not, or some stored files were not what the database says.
    """
    from resources.backup.create import make_backup
    from ytcaption_assets.cli.database import opened_database

    console = _console()
    with opened_database() as (settings, _), _Bars(console) as bars:
        manifest = make_backup(settings, folder, bars, with_key=webhook_key)
    _say_made(manifest, folder, console)
    raise typer.Exit(1 if manifest.wrong else 0)


def restore(
    folder: Annotated[Path, typer.Argument(help="A backup.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Even if there is something: it is gone then.")
    ] = False,
) -> None:
    """Makes this installation what the backup holds; `up` must not run, nor anything else on it.

    The backup is read and compared with its checksums before anything is touched. One that is cut
    short is begun again by the same command.
    """
    from resources.backup.restore import restore_backup
    from resources.maintenance.lost_runs import end_lost_runs
    from resources.postgres.connection import Postgres
    from resources.postgres.embedded import running_postgres
    from ytcaption.settings import load_settings
    from ytcaption_assets.cli.up.dagster_home import dagster_instance
    from ytcaption_assets.cli.up.home_lock import home_lock

    settings = load_settings()
    console = _console()
    with home_lock(settings.home), running_postgres(settings), _Bars(console) as bars:
        restored = restore_backup(settings, folder, bars, replace=replace)
        bars.step("Settling what ran")
        with dagster_instance(settings) as instance:
            postgres = Postgres.from_settings(settings, "dagster")
            lost = end_lost_runs(instance, postgres, settings.max_attempts, silent_s=0.0)
    _say_restored(restored, len(lost), console)
    raise typer.Exit(0 if restored.lake.is_sound else 1)


class _Bars:
    """A bar for each step; told by several threads."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "_Bars":
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._progress is not None
        self._progress.stop()

    def step(self, what: str, total_bytes: int | None = None) -> None:
        """The step before is done."""
        assert self._progress is not None
        if not self._console.is_terminal:
            self._console.print(what, markup=False, soft_wrap=True)
        with self._lock:
            self._end()
            self._task = self._progress.add_task(what, total=total_bytes)

    def advance(self, size_bytes: int) -> None:
        """So much more of it is done."""
        assert self._progress is not None
        with self._lock:
            if self._task is not None:
                self._progress.advance(self._task, size_bytes)

    def _end(self) -> None:
        assert self._progress is not None
        if self._task is not None and self._progress.tasks[self._task].total is None:
            self._progress.update(self._task, total=1, completed=1)


def _say_made(manifest: "Manifest", folder: Path, console: "Console") -> None:
    size = f"{manifest.size_bytes / 1e9:,.2f} GB"
    console.print(
        f"{len(manifest.files):,} files, {size}, in {folder}", markup=False, soft_wrap=True
    )
    if manifest.wrong:
        key, problem = next(iter(manifest.wrong.items()))
        console.print(
            f"{len(manifest.wrong):,} stored files are not what the database says, such as {key} "
            f"({problem}). `ytcaption doctor --repair` mends it; then take another backup.",
            markup=False,
            soft_wrap=True,
        )


def _say_restored(restored: "RestoreResult", lost: int, console: "Console") -> None:
    made = restored.manifest.made_at
    console.print(f"{restored.transcriptions:,} transcriptions as of {made} are back.")
    if lost:
        console.print(f"{lost:,} that ran then are queued again.")
    lake = restored.lake
    if lake.different or lake.orphaned or lake.damaged_files:
        number = len(lake.different) + len(lake.orphaned) + len(lake.damaged_files)
        console.print(f"{number:,} differences between lake and documents were repaired.")
    if lake.unreadable:
        console.print(
            f"{len(lake.unreadable):,} documents cannot be read. Run `ytcaption doctor --repair`."
        )


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True, highlight=False)
