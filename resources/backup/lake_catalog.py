"""The lake's catalog of a backup: what ytcaption would have written, or it is left out.

DuckLake takes SQL from its catalog (views, macros, expressions) and opens the files that it names,
in a process of ours. So a catalog with anything but our tables is not used, and the lake is built
again from the documents, as it is when the catalog is of another version of DuckLake.
"""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import DictRow

from ytcaption.domain.transcripts.lake_schema import TABLES

_KEY = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?$"
_NAME = "^[a-z][a-z0-9_]*$"
_TYPE = "^[a-z][a-z0-9_ ()]*$"

_EMPTY = (
    *("ducklake_view", "ducklake_macro", "ducklake_macro_impl", "ducklake_macro_parameters"),
    "ducklake_inlined_data_tables",
)
"""Tables of SQL, and of rows that are in the catalog itself."""

_CHECKS: Sequence[tuple[str, str, dict[str, Any]]] = (
    (
        "ducklake_data_file",
        "not path_is_relative or path !~ %(key)s or file_format <> 'parquet' "
        "or encryption_key is not null or mapping_id is not null",
        {"key": _KEY},
    ),
    (
        "ducklake_delete_file",
        "not path_is_relative or path !~ %(key)s or format <> 'parquet' "
        "or encryption_key is not null",
        {"key": _KEY},
    ),
    (
        "ducklake_files_scheduled_for_deletion",
        "not path_is_relative or path !~ %(key)s",
        {"key": _KEY},
    ),
    (
        "ducklake_schema",
        "schema_name <> 'main' or not path_is_relative or path !~ %(key)s",
        {"key": _KEY},
    ),
    (
        "ducklake_table",
        "table_name <> all(%(tables)s) or not path_is_relative or path !~ %(key)s",
        {"key": _KEY, "tables": list(TABLES)},
    ),
    (
        "ducklake_column",
        "column_name !~ %(name)s or column_type !~ %(type)s "
        "or coalesce(initial_default, 'NULL') <> 'NULL' "
        "or coalesce(default_value, 'NULL') <> 'NULL' "
        "or coalesce(default_value_type, '') not in ('literal', '')",
        {"name": _NAME, "type": _TYPE},
    ),
    (
        "ducklake_sort_expression",
        "expression !~ %(name)s or sort_direction not in ('ASC', 'DESC') "
        "or null_order not in ('NULLS_FIRST', 'NULLS_LAST')",
        {"name": _NAME},
    ),
    ("ducklake_partition_column", "transform <> all(%(all)s)", {"all": ["year", "month"]}),
    (
        "ducklake_metadata",
        "(key = 'encrypted' and value <> 'false') or key !~ %(name)s or value ~ %(quotes)s",
        {"name": _NAME, "quotes": "['\";]"},
    ),
)


def catalog_version(connection: Connection[DictRow]) -> str | None:
    """Return the version of DuckLake's format that the catalog has."""
    row = connection.execute(
        "select value from lake.ducklake_metadata where key = 'version'"
    ).fetchone()
    return row["value"] if row else None


def catalog_problem(connection: Connection[DictRow], version: str | None) -> str | None:
    """Return why the catalog that was loaded is not used, in words; None if it is as expected.

    Args:
        version: of the catalog that the installed DuckLake makes.
    """
    if catalog_version(connection) != version:
        return "it is of another version of DuckLake"
    for table in _EMPTY:
        if _has_rows(connection, table, "true", {}):
            return f"its table {table} is not empty"
    for table, condition, parameters in _CHECKS:
        if _has_rows(connection, table, condition, parameters):
            return f"its table {table} holds values that ytcaption does not write"
    return None


def _has_rows(
    connection: Connection[DictRow], table: str, condition: str, parameters: dict[str, Any]
) -> bool:
    row = connection.execute("select to_regclass(%s) as name", (f"lake.{table}",)).fetchone()
    if row is None or row["name"] is None:
        return False
    query = sql.SQL("select exists (select from lake.{} where {}) as found").format(
        sql.Identifier(table),
        sql.SQL(condition),  # pyright: ignore[reportArgumentType] - of this file
    )
    row = connection.execute(query, parameters).fetchone()
    return row is not None and bool(row["found"])
