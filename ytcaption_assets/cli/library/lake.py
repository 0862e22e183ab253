"""`ytcaption lake verify|compact|view|attach`: maintain and read the lake."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from ytcaption_assets.cli.library.sql import (
    AsCsv,
    MaxRows,
    ParquetFile,
    chosen_output,
    write_result,
)

app = typer.Typer(help="The Parquet tables behind `ytcaption sql`.", no_args_is_help=True)


_SHOWN = 5


@app.callback()
def lake() -> None:
    """The Parquet tables behind `ytcaption sql`."""


@app.command()
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild what is wrong.")] = False,
) -> None:
    """Read every file of the lake and compare every row with the transcript documents.

    --repair rebuilds what is missing, damaged or different and removes rows without a document.
    Exit status: 0 nothing is wrong or everything was repaired, 1 something is wrong.
    """
    from rich.console import Console

    from resources.lake.catalog import TranscriptCatalog
    from resources.lake.documents import stored_document
    from resources.object_store.store import ObjectStore
    from resources.postgres.connection import Postgres
    from resources.postgres.migrate import migrated_postgres
    from resources.transcriptions.reads import completed_ids
    from ytcaption.settings.settings import load_settings

    settings = load_settings()
    console = Console(highlight=False)
    with migrated_postgres(settings):
        postgres = Postgres.from_settings(settings, "dagster")
        object_store = ObjectStore.from_settings(settings)
        with console.status("Reading the lake"):
            report = TranscriptCatalog.from_settings(settings).verify(
                partial(completed_ids, postgres),
                partial(stored_document, postgres, object_store),
                repair=repair,
            )
    console.print(f"{report.file_count} files, {report.transcription_count} transcriptions")
    wrong = {
        "damaged files": report.damaged_files,
        "transcriptions that differ from their document": report.different,
        "transcriptions without a document": report.orphaned,
        "transcriptions whose document cannot be read": tuple(report.unreadable),
    }
    for what, names in wrong.items():
        if names:
            more = ", ..." if len(names) > _SHOWN else ""
            listed = ", ".join(names[:_SHOWN]) + more
            console.print(f"{len(names)} {what}: {listed}", markup=False, soft_wrap=True)
    if report.is_repaired and (report.damaged_files or report.different or report.orphaned):
        console.print("Repaired.")
    if not any(wrong.values()):
        console.print("The lake agrees with the documents.")
    raise typer.Exit(0 if report.is_sound else 1)


@app.command()
def compact() -> None:
    """Merge the lake's files, one per transcription and table, so that queries open fewer.

    Also frees the space of deleted and replaced rows. New transcripts wait until it is done.
    """
    from rich.console import Console

    from resources.lake.catalog import TranscriptCatalog
    from resources.postgres.migrate import migrated_postgres
    from ytcaption.settings.settings import load_settings

    settings = load_settings()
    console = Console(highlight=False)
    with migrated_postgres(settings), console.status("Merging the lake's files"):
        result = TranscriptCatalog.from_settings(settings).compact()
    console.print(f"Merged {result.files_before:,} files into {result.files_after:,}.")


@app.command()
def view(
    name: Annotated[
        str | None, typer.Argument(help="Name of a view; default: list all.", show_default=False)
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="PARAMETER=VALUE", help="Parameters of the view."),
    ] = None,
    as_csv: AsCsv = False,
    parquet: ParquetFile = None,
    limit: MaxRows = None,
) -> None:
    """Query one of the prepared views (docs/reference/lake.md).

    Example: ytcaption lake view term_trend terms=climate,coal since=2026-01-01
    """
    from resources.lake.catalog import TranscriptCatalog
    from resources.postgres.migrate import migrated_postgres
    from ytcaption.settings.settings import load_settings

    if name is None:
        _list_views()
        return
    settings = load_settings()
    with migrated_postgres(settings):
        result = TranscriptCatalog.from_settings(settings).view(
            name, _values(parameters or ()), limit=limit
        )
    write_result(result, *chosen_output(None, None, as_csv=as_csv, parquet=parquet))


@app.command()
def attach() -> None:
    """Print the statements that attach the lake to a `duckdb` shell, read-only.

    Example: duckdb -init <(ytcaption lake attach). The first call creates a Postgres role that can
    only read the lake's catalog. The database must be running: keep `ytcaption up` running.
    """
    from resources.lake.external_reader import attach_statements, create_reader
    from resources.postgres.migrate import migrated_postgres
    from ytcaption.settings.settings import load_settings

    settings = load_settings()
    with migrated_postgres(settings):
        create_reader(settings)
    for statement in attach_statements(settings):
        typer.echo(f"{statement};")


def _list_views() -> None:
    from rich.console import Console
    from rich.table import Table

    from resources.lake.views import VIEWS

    table = Table("view", "content", "parameters")
    for view in VIEWS.values():
        table.add_row(view.name, view.summary, " ".join(each.name for each in view.parameters))
    Console().print(table)


def _values(parameters: Sequence[str]) -> dict[str, str]:
    from ytcaption.domain.errors import InvalidOption

    values: dict[str, str] = {}
    for each in parameters:
        name, sign, value = each.partition("=")
        if not sign or name in values:
            raise InvalidOption(
                f"{each!r} is not a parameter. Write each one once, as PARAMETER=VALUE."
            )
        values[name] = value
    return values
