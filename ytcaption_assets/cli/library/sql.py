"""`ytcaption sql`: run one SELECT on the lake's tables."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption.domain.errors import FileUnreadable, InvalidOption
from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from resources.lake.query import QueryResult

AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")]
ParquetFile = Annotated[
    Path | None, typer.Option(help="Write a Parquet file instead of a table.", dir_okay=False)
]
MaxRows = Annotated[
    int | None, typer.Option(min=1, help="Rows at most.", show_default="YTCAPTION_QUERY_ROWS")
]


class RowsFormat(StrEnum):
    """Output format of rows."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    ARROW = "arrow"

    @property
    def is_binary(self) -> bool:
        """Whether the format is unreadable on a terminal."""
        return self in (RowsFormat.PARQUET, RowsFormat.ARROW)


def sql(
    query: Annotated[
        str | None,
        typer.Argument(
            help="One SELECT in DuckDB's dialect; - or none: read it from standard input.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="File with the SELECT.", dir_okay=False)
    ] = None,
    format: Annotated[
        RowsFormat | None, typer.Option(help="Output format.", show_default="table")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File for the rows.", dir_okay=False)
    ] = None,
    as_csv: AsCsv = False,
    parquet: ParquetFile = None,
    limit: MaxRows = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="Time limit in seconds.", show_default="YTCAPTION_QUERY_TIMEOUT_S"
        ),
    ] = None,
) -> None:
    """Query the tables transcripts, segments, words, media, caption_accuracy and library.

    docs/reference/lake.md lists their columns.

    The query runs in a separate process that can only read these tables, within limits of time,
    memory and rows (settings YTCAPTION_QUERY_*). Exit status: 0 success, 1 the tables cannot be
    read, 2 the query is invalid, refused or exceeds a limit.
    """
    from resources.lake.catalog import TranscriptCatalog
    from resources.postgres.migrate import migrated_postgres
    from ytcaption.settings.settings import load_settings

    output_format, path = chosen_output(format, output, as_csv=as_csv, parquet=parquet)
    statement = _statement(query, file)
    settings = load_settings()
    with migrated_postgres(settings):
        result = TranscriptCatalog.from_settings(settings).query(
            statement, limit=limit, timeout_s=timeout
        )
    write_result(result, output_format, path)


def chosen_output(
    format: RowsFormat | None, output: Path | None, *, as_csv: bool, parquet: Path | None
) -> tuple[RowsFormat, Path | None]:
    """Return the output format, and the file unless it is standard output.

    Raises:
        InvalidOption: options contradict each other, or a binary format would go to a terminal.
    """
    short = [RowsFormat.CSV] * as_csv + [RowsFormat.PARQUET] * (parquet is not None)
    if len({*short, *([format] if format else [])}) > 1 or (parquet and output):
        raise InvalidOption("Choose one format and one file, with --format and --output.")
    output_format = format or next(iter(short), RowsFormat.TABLE)
    path = parquet or output
    if path is None and output_format.is_binary and sys.stdout.isatty():
        raise InvalidOption(f"A terminal cannot show {output_format}. Name a file with --output.")
    return output_format, path


def _statement(query: str | None, file: Path | None) -> str:
    """Return the query from the argument, the file or standard input.

    Raises:
        InvalidOption: there is none, or there are two.
        FileUnreadable: the file cannot be read.
    """
    from resources.lake.query import MAX_SQL_LENGTH

    if query not in (None, "-") and file is not None:
        raise InvalidOption("Give one query, as an argument or with --file.")
    if file is not None:
        try:
            # It may be a pipe; the query checks its length.
            with file.open(encoding="utf-8") as opened:
                return opened.read(MAX_SQL_LENGTH + 1)
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise FileUnreadable(f"{file} cannot be read: {why}.") from error
    if query not in (None, "-"):
        return query or ""
    if query is None and sys.stdin.isatty():
        raise InvalidOption(
            'Give a query, such as: ytcaption sql "select count(*) from transcripts"'
        )
    return sys.stdin.read(MAX_SQL_LENGTH + 1)


def write_result(result: "QueryResult", format: RowsFormat, path: Path | None = None) -> None:
    """Write the rows to a file or to standard output; say on standard error if rows were cut off.

    Raises:
        QueryError: the rows cannot be written in the format.
        FileUnreadable: the file cannot be written.
    """
    if format is RowsFormat.TABLE and path is not None:
        raise InvalidOption("A file cannot have the format table. Choose another --format.")
    if format is RowsFormat.TABLE:
        _print_table(result)
    else:
        from resources.lake.query_output import encoded

        data = encoded(result, format.value)
        if path is not None:
            _write(data, path)
            sys.stderr.write(f"{result.table.num_rows:,} rows written to {path}\n")
        else:
            sys.stdout.buffer.write(data if format.is_binary else data.rstrip(b"\n") + b"\n")
    if result.is_truncated:
        sys.stderr.write(
            f"Only the first {result.table.num_rows:,} rows are shown. Raise --limit for more.\n"
        )


def _print_table(result: "QueryResult") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    numeric = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT")
    table = Table()
    for name, kind in zip(result.columns, result.types, strict=True):
        is_number = any(part in kind for part in numeric) and "[" not in kind
        table.add_column(
            escape(printable(name)), justify="right" if is_number else "left", overflow="fold"
        )
    for row in result.rows:
        table.add_row(*(escape(printable(value)) for value in row))
    Console().print(table)


def _write(data: bytes, path: Path) -> None:
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
