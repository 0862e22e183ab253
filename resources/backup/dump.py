"""Dumping the databases with pg_dump."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import DictRow, dict_row

from resources.object_store.store import upload_key
from resources.postgres.connection import database_errors
from resources.postgres.programs import dump
from resources.postgres.urls import DatabaseUrls, libpq_url

SCHEMAS = ("ytcaption", "lake")

_OBJECTS = """
select audio_key as key, audio_sha256 as sha256 from ytcaption.media where audio_key is not null
union all
select document_key, document_sha256 from ytcaption.transcription where document_key is not null
order by key
"""
_LAKE_FILES = """
select path from lake.ducklake_data_file union select path from lake.ducklake_delete_file
"""

_TABLES = """
select n.nspname, c.relname
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any(%s) and c.relkind = 'r'
  and not (n.nspname = 'ytcaption' and c.relname like 'embedding%%')
order by n.nspname, c.relname
"""


@dataclass(frozen=True)
class Snapshot:
    """The contents of the databases at one time.

    Attributes:
        objects: key -> hex SHA-256 of audio, documents and uploads; None if unknown.
        lake_files: names of files below `lake/`.
        migration: number of the latest migration.
        rows: number of rows by `schema.table`.
    """

    objects: dict[str, str | None]
    lake_files: frozenset[str]
    migration: int
    postgres_major: int
    rows: dict[str, int]


def dump_databases(urls: DatabaseUrls, folder: Path, *, lake_apart: bool) -> Snapshot:
    """Dump all databases into `folder`, each consistently, without blocking writers.

    Args:
        lake_apart: the lake's catalog is in a database of its own.

    Raises:
        StorageError, DatabaseUnavailable, SetupError.
    """
    schemas = SCHEMAS[:1] if lake_apart else SCHEMAS
    rows: dict[str, int] = {}
    with _exported_snapshot(urls.admin) as (connection, snapshot):
        options = [f"--snapshot={snapshot}", *(f"--schema={name}" for name in schemas)]
        # Computed from segments, and of a type that the next server may lack.
        options.append("--exclude-table=ytcaption.embedding*")
        _dump(urls.admin, connection, folder / "ytcaption.dump", options)
        rows |= _row_counts(connection, schemas)
        objects = object_hashes(connection)
        migration = _one(connection, "select max(number) as value from ytcaption.migration")
        lake_files = frozenset() if lake_apart else lake_file_names(connection)
        major = _major(connection)
    dagster = libpq_url(urls.dagster_storage)
    with _exported_snapshot(dagster) as (connection, snapshot):
        rows |= _row_counts(connection, ("public",))
        excluded = [f"--exclude-schema={name}" for name in SCHEMAS]
        _dump(dagster, connection, folder / "dagster.dump", [f"--snapshot={snapshot}", *excluded])
    if lake_apart:
        with _exported_snapshot(urls.lake) as (connection, snapshot):
            rows |= _row_counts(connection, SCHEMAS[1:])
            options = [f"--snapshot={snapshot}", "--schema=lake"]
            _dump(urls.lake, connection, folder / "lake.dump", options)
            lake_files = lake_file_names(connection)
    return Snapshot(objects, lake_files, migration, major, rows)


def _dump(url: str, connection: Connection[DictRow], path: Path, arguments: Sequence[str]) -> None:
    options = ["--format=custom", "--no-owner", "--no-privileges", "--lock-wait-timeout=60s"]
    dump(url, path, [*options, *arguments], server_major=_major(connection))


@contextmanager
def _exported_snapshot(url: str) -> Iterator[tuple[Connection[DictRow], str]]:
    """Yield a transaction that sees one snapshot, and its name for pg_dump."""
    with connected(url) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        yield connection, _one(connection, "select pg_export_snapshot() as value")


@contextmanager
def connected(url: str) -> Iterator[Connection[DictRow]]:
    """Yield a connection of its own in autocommit.

    Raises:
        DatabaseUnavailable, StorageError.
    """
    with (
        database_errors(),
        Connection[DictRow].connect(
            url, autocommit=True, row_factory=dict_row, connect_timeout=10
        ) as connection,
    ):
        yield connection


def object_hashes(connection: Connection[DictRow]) -> dict[str, str | None]:
    """Return key -> hex SHA-256 of audio, documents and uploads; None if unknown."""
    objects = {row["key"]: row["sha256"] for row in connection.execute(_OBJECTS)}
    # Uploads that no run has examined yet.
    uploads = connection.execute(
        "select id from ytcaption.media where kind = 'upload' and audio_key is null"
    )
    return objects | {upload_key(row["id"]): None for row in uploads}


def lake_file_names(connection: Connection[DictRow]) -> frozenset[str]:
    """Return the names of the lake's files, without folders."""
    if not _one(connection, "select to_regclass('lake.ducklake_data_file') is not null as value"):
        return frozenset()
    return frozenset(row["path"].rpartition("/")[2] for row in connection.execute(_LAKE_FILES))


def _row_counts(connection: Connection[DictRow], schemas: Sequence[str]) -> dict[str, int]:
    """Return the number of rows of each table that the dump has, by `schema.table`."""
    tables = connection.execute(_TABLES, (list(schemas),)).fetchall()
    counts = {}
    for table in tables:
        name = sql.Identifier(table["nspname"], table["relname"])
        query = sql.SQL("select count(*) as value from only {}").format(name)
        counts[f"{table['nspname']}.{table['relname']}"] = _one(connection, query)
    return counts


def _major(connection: Connection[DictRow]) -> int:
    return connection.info.server_version // 10_000


def _one(connection: Connection[DictRow], statement: Any) -> Any:
    row = connection.execute(statement).fetchone()
    return row["value"] if row else None
