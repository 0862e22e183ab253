"""`ytcaption lake verify | compact | view | attach`: is it sound, and what is in it?"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from ytcaption_assets.cli.library.sql import AsCsv, MostRows, ParquetFile, give, wanted

app = typer.Typer(help="The Parquet tables behind `ytcaption sql`.", no_args_is_help=True)


_SHOWN = 5


@app.callback()
def lake() -> None:
    """The Parquet tables behind `ytcaption sql`."""


@app.command()
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild what is wrong.")] = False,
) -> None:
    """Reads every file of the lake and compares every row with the transcript documents.

    --repair rebuilds what is missing, damaged or different and removes what has no document.
    Exit status: 0 all is well or has been repaired, 1 something is wrong.
    """
    from rich.console import Console

    from resources.lake.catalog import TranscriptCatalog
    from resources.lake.documents import stored_document
    from resources.object_store.store import ObjectStore
    from resources.postgres.connection import Postgres
    from resources.postgres.migrate import migrated_postgres
    from resources.transcriptions.reads import completed_ids
    from ytcaption.settings import load_settings

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
        "different from their document": report.different,
        "without a document": report.orphaned,
        "whose document cannot be read": tuple(report.unreadable),
    }
    for what, names in wrong.items():
        if names:
            more = ", ..." if len(names) > _SHOWN else ""
            listed = ", ".join(names[:_SHOWN]) + more
            console.print(f"{len(names)} {what}: {listed}", markup=False, soft_wrap=True)
    if report.is_repaired and (report.damaged_files or report.different or report.orphaned):
        console.print("Repaired.")
    if not any(wrong.values()):
        console.print("All is as the documents say.")
    raise typer.Exit(0 if report.is_sound else 1)


@app.command()
def compact() -> None:
    """Merges the lake's files, one a transcription and table, into few; queries open fewer then.

    Also removes the bytes of deleted and replaced rows. Appends wait meanwhile.
    """
    from rich.console import Console

    from resources.lake.catalog import TranscriptCatalog
    from resources.postgres.migrate import migrated_postgres
    from ytcaption.settings import load_settings

    settings = load_settings()
    console = Console(highlight=False)
    with migrated_postgres(settings), console.status("Merging the lake's files"):
        done = TranscriptCatalog.from_settings(settings).compact()
    console.print(f"{done.files_before:,} files have become {done.files_after:,}.")


@app.command()
def view(
    name: Annotated[
        str | None, typer.Argument(help="Left out: lists them all.", show_default=False)
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PARAMETER=VALUE]...", help="What it is to be of."),
    ] = None,
    as_csv: AsCsv = False,
    parquet: ParquetFile = None,
    limit: MostRows = None,
) -> None:
    """Answers a question that is asked again and again (docs/lake.md).

    Such as: ytcaption lake view term_trend terms=climate,coal since=2026-01-01
    """
    from resources.lake.catalog import TranscriptCatalog
    from resources.postgres.migrate import migrated_postgres
    from ytcaption.settings import load_settings

    if name is None:
        _list_views()
        return
    settings = load_settings()
    with migrated_postgres(settings):
        result = TranscriptCatalog.from_settings(settings).view(
            name, _values(given or ()), limit=limit
        )
    give(result, *wanted(None, None, as_csv=as_csv, parquet=parquet))


@app.command()
def attach() -> None:
    """Prints the statements by which a `duckdb` shell has the lake, to read and not to write.

    Such as: duckdb -init <(ytcaption lake attach). The first call makes a Postgres role that can
    read the lake's catalog and nothing else. The database must run: keep `ytcaption up` running.
    """
    from resources.lake.external_reader import attach_statements, create_reader
    from resources.postgres.migrate import migrated_postgres
    from ytcaption.settings import load_settings

    settings = load_settings()
    with migrated_postgres(settings):
        create_reader(settings)
    for statement in attach_statements(settings):
        typer.echo(f"{statement};")


def _list_views() -> None:
    from rich.console import Console
    from rich.table import Table

    from resources.lake.views import VIEWS

    table = Table("view", "answers", "parameters")
    for view in VIEWS.values():
        table.add_row(view.name, view.summary, " ".join(each.name for each in view.parameters))
    Console().print(table)


def _values(given: Sequence[str]) -> dict[str, str]:
    from ytcaption.domain.errors import InvalidOption

    values: dict[str, str] = {}
    for each in given:
        name, sign, value = each.partition("=")
        if not sign or name in values:
            raise InvalidOption(f"{each!r} is no parameter. Give each once, as PARAMETER=VALUE.")
        values[name] = value
    return values
