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
    folder: Annotated[Path, typer.Argument(help="Folder to create, new or empty.")],
    webhook_key: Annotated[
        bool,
        typer.Option(
            "--webhook-key/--no-webhook-key",
            help="Include the key that encrypts the webhooks' secrets.",
        ),
    ] = True,
) -> None:
    """Copy the databases, the stored files and the lake into a folder while work continues.

    Nothing is erased while it runs. Repeat the command to continue an interrupted backup. Exit
    status: 0 done, 1 failed, or some stored files differ from what the database says.
    """
    from resources.backup.create import make_backup
    from ytcaption_assets.cli.database import opened_database

    console = error_console()
    with opened_database() as (settings, _), StepBars(console) as bars:
        manifest = make_backup(settings, folder, bars, with_key=webhook_key)
    _print_backup(manifest, folder, console)
    raise typer.Exit(1 if manifest.wrong else 0)


def restore(
    folder: Annotated[Path, typer.Argument(help="Folder of the backup.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete existing data of this installation first.")
    ] = False,
) -> None:
    """Restore this installation from a backup; stop `up` and everything else that uses it first.

    The backup is restored beside the existing data, verified, then put in its place. A restore that
    is cut short changes nothing, or is completed by the next command. What the backup contains is
    checked first: SQL in it is never run.
    """
    from resources.backup.restore import restore_backup
    from resources.maintenance.lost_runs import end_lost_runs
    from resources.postgres.connection import Postgres
    from resources.postgres.embedded import running_postgres
    from ytcaption.settings.settings import load_settings
    from ytcaption_assets.cli.up.dagster_home import dagster_instance
    from ytcaption_assets.cli.up.home_lock import home_lock

    settings = load_settings()
    console = error_console()
    with (
        home_lock(settings.home),
        running_postgres(settings, in_restore=True),
        StepBars(console) as bars,
    ):
        restored = restore_backup(settings, folder, bars, replace=replace)
        bars.step("Ending lost runs")
        with dagster_instance(settings) as instance:
            postgres = Postgres.from_settings(settings, "dagster")
            lost = end_lost_runs(instance, postgres, settings.runs.max_attempts, silent_s=0.0)
    _print_restored(restored, len(lost), console)
    raise typer.Exit(0 if restored.lake.is_sound else 1)


class StepBars:
    """One progress bar per step; several threads may report progress."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "StepBars":
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
        """Finish the current step and start the next."""
        assert self._progress is not None
        if not self._console.is_terminal:
            self._console.print(what, markup=False, soft_wrap=True)
        with self._lock:
            self._end()
            self._task = self._progress.add_task(what, total=total_bytes)

    def advance(self, size_bytes: int) -> None:
        """Add to the bytes that the current step has processed."""
        assert self._progress is not None
        with self._lock:
            if self._task is not None:
                self._progress.advance(self._task, size_bytes)

    def _end(self) -> None:
        assert self._progress is not None
        if self._task is not None and self._progress.tasks[self._task].total is None:
            self._progress.update(self._task, total=1, completed=1)


def _print_backup(manifest: "Manifest", folder: Path, console: "Console") -> None:
    from rich.filesize import decimal

    size = decimal(manifest.size_bytes)
    console.print(
        f"{len(manifest.files):,} files, {size}, in {folder}", markup=False, soft_wrap=True
    )
    if manifest.wrong:
        key, problem = next(iter(manifest.wrong.items()))
        console.print(
            f"{len(manifest.wrong):,} stored files are not what the database says, such as {key} "
            f"({problem}). Run `ytcaption doctor --repair`, then make another backup.",
            markup=False,
            soft_wrap=True,
        )


def _print_restored(restored: "RestoreResult", lost: int, console: "Console") -> None:
    made_at = restored.manifest.made_at
    console.print(f"Restored {restored.transcriptions:,} transcriptions as of {made_at}.")
    if restored.is_signed:
        console.print("The signature of the backup is that of YTCAPTION_BACKUP_KEY.")
    if lost:
        console.print(f"{lost:,} that were running then are queued again.")
    if restored.lake_problem:
        console.print(
            f"The backup's catalog of the lake was not used: {restored.lake_problem}. The lake was "
            "built again from the documents."
        )
    lake = restored.lake
    if restored.lake_problem is None and (lake.different or lake.orphaned or lake.damaged_files):
        number = len(lake.different) + len(lake.orphaned) + len(lake.damaged_files)
        console.print(f"Repaired {number:,} differences between the lake and the documents.")
    if lake.unreadable:
        console.print(
            f"{len(lake.unreadable):,} documents cannot be read. Run `ytcaption doctor --repair`."
        )


def error_console() -> "Console":
    """Return a console on standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)
