"""The lake's tables in its catalog: created if missing, and upgraded."""

from typing import TYPE_CHECKING, Any

from resources.lake.storage import quoted
from ytcaption.domain.transcripts.lake_schema import PARTITIONED, SORTED, TABLES, Column

if TYPE_CHECKING:
    import psycopg
    from duckdb import DuckDBPyConnection

_COLUMNS = """
    select t.table_name, c.column_name
    from lake.ducklake_table t join lake.ducklake_column c using (table_id)
    where t.end_snapshot is null and c.end_snapshot is null and c.parent_column is null
"""
_PARTITIONED = """
    select t.table_name
    from lake.ducklake_table t join lake.ducklake_partition_info p using (table_id)
    where t.end_snapshot is null and p.end_snapshot is null
"""
_SORTED = """
    select t.table_name, array_agg(e.expression order by e.sort_key_index) as columns
    from lake.ducklake_table t join lake.ducklake_sort_info s using (table_id)
        join lake.ducklake_sort_expression e on e.sort_id = s.sort_id and e.table_id = s.table_id
    where t.end_snapshot is null and s.end_snapshot is null
    group by t.table_name
"""

_OPTIONS = {
    "parquet_compression": "'zstd'",
    "hive_file_pattern": "false",  # files of all months are in the table's folder
}


def has_schema(connection: "psycopg.Connection[Any]") -> bool:
    """Return whether the catalog's schema exists."""
    row = connection.execute("select to_regnamespace('lake') as schema").fetchone()
    return bool(row and row["schema"])


def has_tables(connection: "psycopg.Connection[Any]") -> bool:
    """Return whether all tables exist with every column, their partitions and sort order."""
    if not _has_catalog(connection):
        return False
    existing = _existing_columns(connection)
    expected = {(table, column.name) for table, columns in TABLES.items() for column in columns}
    return (
        expected <= existing
        and PARTITIONED.keys() <= _existing_partitions(connection)
        and _existing_orders(connection) == SORTED
    )


def upgrade_tables(database: "DuckDBPyConnection", connection: "psycopg.Connection[Any]") -> None:
    """Create or alter what is missing. The whole lake must be locked.

    Existing rows get null in new columns, and their files stay where they are, until
    `ytcaption lake verify --repair` writes them again.

    Args:
        database: the lake is attached to it.
    """
    options = database.execute("select option_name from ducklake_options('lake')").fetchall()
    for name, value in _OPTIONS.items():
        if (name,) not in options:
            database.execute(f"call lake.set_option('{name}', {value})")
    existing, partitioned = _existing_columns(connection), _existing_partitions(connection)
    orders = _existing_orders(connection)
    database.begin()
    for table, columns in TABLES.items():
        if not any(name == table for name, _ in existing):
            column_list = ", ".join(f"{column.name} {column.type}" for column in columns)
            database.execute(f"create table lake.main.{table} ({column_list})")
            missing = columns
        else:
            missing = tuple(column for column in columns if (table, column.name) not in existing)
            for column in missing:
                database.execute(
                    f"alter table lake.main.{table} add column {column.name} {column.type}"
                )
        _comment(database, table, missing)
        if table in PARTITIONED and table not in partitioned:
            month = PARTITIONED[table]
            database.execute(
                f"alter table lake.main.{table} set partitioned by (year({month}), month({month}))"
            )
        if table in SORTED and orders.get(table) != SORTED[table]:
            column_list = ", ".join(f"{column} asc" for column in SORTED[table])
            database.execute(f"alter table lake.main.{table} set sorted by ({column_list})")
    database.commit()


def _comment(database: "DuckDBPyConnection", table: str, columns: tuple[Column, ...]) -> None:
    for column in columns:
        database.execute(
            f"comment on column lake.main.{table}.{column.name} is {quoted(column.comment)}"
        )


def _has_catalog(connection: "psycopg.Connection[Any]") -> bool:
    row = connection.execute("select to_regclass('lake.ducklake_table') as name").fetchone()
    return bool(row and row["name"])


def _existing_columns(connection: "psycopg.Connection[Any]") -> set[tuple[str, str]]:
    rows = connection.execute(_COLUMNS).fetchall()
    return {(row["table_name"], row["column_name"]) for row in rows}


def _existing_partitions(connection: "psycopg.Connection[Any]") -> set[str]:
    return {row["table_name"] for row in connection.execute(_PARTITIONED).fetchall()}


def _existing_orders(connection: "psycopg.Connection[Any]") -> dict[str, tuple[str, ...]]:
    rows = connection.execute(_SORTED).fetchall()
    return {row["table_name"]: tuple(row["columns"]) for row in rows}
