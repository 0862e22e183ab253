"""`ytcaption sql`: one SELECT over the library."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption_assets.cli.shown import shown

if TYPE_CHECKING:
    from resources.sql_query import QueryResult

AsCsv = Annotated[bool, typer.Option("--csv", help="CSV instead of a table.")]
ParquetFile = Annotated[
    Path | None, typer.Option(help="A Parquet file instead of a table.", dir_okay=False)
]
MostRows = Annotated[
    int | None, typer.Option(min=1, help="Most rows.", show_default="YTCAPTION_QUERY_ROWS")
]


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT; DuckDB's dialect.")],
    as_csv: AsCsv = False,
    parquet: ParquetFile = None,
    limit: MostRows = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="Longest time, in seconds.", show_default="YTCAPTION_QUERY_TIMEOUT_S"
        ),
    ] = None,
) -> None:
    """Asks the library: tables transcripts, segments, words and media (docs/lake.md).

    Runs in a process of its own that can read these tables and nothing else, within limits of time,
    memory and rows (settings YTCAPTION_QUERY_*). Exit status: 0 the rows are given, 1 the library
    cannot be read, 2 the query is wrong, refused or needs more than it may have.
    """
    from resources.migrate import migrated_postgres
    from resources.transcript_catalog import TranscriptCatalog
    from ytcaption_assets.settings import load_settings

    settings = load_settings()
    with migrated_postgres(settings):
        result = TranscriptCatalog.from_settings(settings).query(
            query, limit=limit, timeout_s=timeout
        )
    give(result, as_csv=as_csv, parquet=parquet)


def give(result: "QueryResult", *, as_csv: bool, parquet: Path | None) -> None:
    """To a file, or to standard output: as a table, or as CSV; and how many more there are."""
    from resources.query_output import csv_lines

    if parquet is not None:
        _write_parquet(result, parquet)
    elif as_csv:
        sys.stdout.writelines(csv_lines(result))
    else:
        _print_table(result)
    if result.is_truncated:
        sys.stderr.write(
            f"Only the first {result.table.num_rows:,} rows are shown. Ask for more by --limit.\n"
        )


def _print_table(result: "QueryResult") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    numeric = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT")
    table = Table()
    for name, kind in zip(result.columns, result.types, strict=True):
        is_number = any(part in kind for part in numeric) and "[" not in kind
        table.add_column(escape(name), justify="right" if is_number else "left", overflow="fold")
    for row in result.rows:
        table.add_row(*(escape(shown(value)) for value in row))
    Console().print(table)


def _write_parquet(result: "QueryResult", path: Path) -> None:
    from resources.query_output import parquet_bytes
    from ytcaption_assets.domain.errors import FileUnreadable

    data = parquet_bytes(result.table)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    sys.stderr.write(f"{result.table.num_rows:,} rows are in {path}\n")
