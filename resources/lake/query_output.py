"""Query results as CSV, JSON, Parquet or an Arrow stream."""

import base64
import csv
import io
import json
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from resources.lake.query import QueryResult
from ytcaption.domain.csv_safety import safe_cell
from ytcaption.domain.errors import QueryError

if TYPE_CHECKING:
    import pyarrow as pa

TableFormat = Literal["json", "csv", "parquet", "arrow"]

MEDIA_TYPES: dict[TableFormat, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8; header=present",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}


def csv_parts(result: QueryResult) -> Iterator[bytes]:
    """Yield RFC 4180 text with a header, some rows at a time; cells are safe in spreadsheets."""
    yield _csv_text([result.columns])
    for rows in result.row_batches():
        yield _csv_text(rows)


def _csv_text(rows: Any) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    return safe_cell(value) if isinstance(value, str) else value


def json_parts(result: QueryResult) -> Iterator[bytes]:
    """Yield a list with one object per row, some rows at a time.

    Times are ISO 8601, bytes base64, infinity and NaN null.

    Raises:
        QueryError: two columns have the same name.
    """
    columns = result.columns
    if len(set(columns)) < len(columns):
        raise QueryError("Two columns of the result have the same name. Rename one with `as`.")
    separator = b"["
    for rows in result.row_batches():
        objects = [
            {name: _json(value) for name, value in zip(columns, row, strict=True)} for row in rows
        ]
        text = json.dumps(objects, ensure_ascii=False, separators=(",", ":"))
        yield separator + text[1:-1].encode()
        separator = b","
    yield b"]" if separator == b"," else b"[]"


def _json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None  # neither infinite nor NaN
    if isinstance(value, Decimal):
        return _json(float(value))
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return str(value)


def parquet_bytes(table: "pa.Table") -> bytes:
    """Return one Parquet file.

    Raises:
        QueryError: a column's type does not exist in Parquet.
    """
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    try:
        parquet.write_table(table, sink)
    except pa.ArrowException as error:
        raise QueryError(
            "The result has a column whose type Parquet lacks, such as an interval. Cast it."
        ) from error
    return sink.getvalue().to_pybytes()


def arrow_bytes(table: "pa.Table") -> bytes:
    """Return one Arrow IPC stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def encoded_parts(result: QueryResult, format: TableFormat) -> Iterator[bytes]:
    """Yield the rows in the given format, some at a time; JSON is a list of objects.

    Raises:
        QueryError: they cannot be written in it.
    """
    if format == "csv":
        yield from csv_parts(result)
    elif format == "json":
        yield from json_parts(result)
    else:
        yield parquet_bytes(result.table) if format == "parquet" else arrow_bytes(result.table)


def encoded(result: QueryResult, format: TableFormat) -> bytes:
    """Return the rows as `encoded_parts` yields them."""
    return b"".join(encoded_parts(result, format))
