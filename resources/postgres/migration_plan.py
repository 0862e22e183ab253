"""What `migrate` would do to a database: which tables it locks, how, and for how long.

Nothing is guessed from SQL. The schema without its rows is copied to a Postgres of its own, the
pending migrations run there, and that server tells which locks each held, which tables and indexes
were rewritten and which were read as a whole. How long that takes with the rows follows from the
sizes of the real tables; how many rows a migration changes only shows when it runs.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
from psycopg import Connection, sql
from psycopg.rows import dict_row

from resources.postgres.connection import database_errors
from resources.postgres.embedded import running_postgres
from resources.postgres.ledger import compare, read_ledger
from resources.postgres.migration_files import Migration, grants, migrations
from resources.postgres.programs import MAJOR, dump, load
from resources.postgres.urls import ROLES, SUPERUSER, database_name, database_urls, with_database
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.settings.settings import Settings

READ_BYTES_PER_S = (1_000_000_000, 100_000_000)
"""A table that is read as a whole: the fastest and the slowest disk that is assumed."""

WRITE_BYTES_PER_S = (200_000_000, 20_000_000)
"""A table or an index that is rewritten."""

_BLOCKS = {
    "AccessExclusiveLock": "reads and writes",
    "ExclusiveLock": "writes",
    "ShareRowExclusiveLock": "writes",
    "ShareLock": "writes",
}
"""Modes of locks -> what waits for them. Weaker ones hold up neither."""

_STRENGTH = list(_BLOCKS)

_LOCKED = """
select relation::integer as oid, mode from pg_locks
where locktype = 'relation' and pid = pg_backend_pid()
"""
_FILES = """
select c.oid::integer, coalesce(i.indrelid, c.oid)::integer as table_oid, c.relname as name,
    pg_relation_filenode(c.oid)::bigint as file, c.relkind = 'i' as is_index
from pg_class c left join pg_index i on i.indexrelid = c.oid
where c.relnamespace = to_regnamespace('ytcaption') and c.relkind in ('r', 'i')
"""
_READ = """
select relid::integer as oid from pg_stat_xact_user_tables
where schemaname = 'ytcaption' and seq_scan > 0
"""
_SIZES = """
select relname as name, pg_table_size(oid) as table_bytes, pg_indexes_size(oid) as index_bytes,
    case when reltuples < 0 then null else reltuples::bigint end as row_count
from pg_class where relnamespace = to_regnamespace('ytcaption') and relkind = 'r'
"""
_HAS_EMBEDDINGS = "select to_regproc('ytcaption.make_embeddings') is not null as found"
_OLDEST = """
select extract(epoch from max(now() - xact_start))::float8 as age_s from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
"""


@dataclass(frozen=True)
class TableChange:
    """What one migration does to one table that is there already.

    Attributes:
        blocks: what waits while it lasts: "reads and writes", "writes"; None: nothing.
        row_count: as the statistics say; None: the table was never analysed.
        size_bytes: of the table and its indexes.
        duration_s: on the fastest and the slowest disk that is assumed; (0, 0): milliseconds.
        changes_rows: rows are inserted, changed or deleted, at most all of them. That time is
            not in `duration_s`.
    """

    table: str
    blocks: str | None
    row_count: int | None
    size_bytes: int
    reads_all: bool
    is_rewritten: bool
    new_indexes: tuple[str, ...]
    duration_s: tuple[float, float]
    changes_rows: bool


@dataclass(frozen=True)
class PlannedMigration:
    """One step of `migrate`.

    Attributes:
        contracts: the number of the migration that programs must know to work afterwards; None:
            the previous version goes on working.
    """

    name: str
    contracts: int | None
    changes: tuple[TableChange, ...]


@dataclass(frozen=True)
class MigrationPlan:
    """What `migrate` would do.

    Attributes:
        is_empty: there is no schema yet; nothing can be locked.
        steps: in order; none: the database is up to date.
        oldest_transaction_s: age of the oldest open transaction of others, which a migration may
            have to wait for.
    """

    is_empty: bool
    steps: tuple[PlannedMigration, ...]
    oldest_transaction_s: float | None


def plan_migrations(settings: Settings) -> MigrationPlan:
    """Return what `migrate` would do. The database is only read.

    Raises:
        DatabaseUnavailable: no answer.
        SetupError: as `migrate`, or the schema cannot be copied.
    """
    url = database_urls(settings).admin
    known = migrations()
    connection = _connection(url)
    if connection is None:
        return _of_empty(known)
    with database_errors(), connection:
        entries = read_ledger(connection)
        state = compare(entries, known)
        if not entries:
            return _of_empty(known)
        sizes = {row["name"]: row for row in _rows(connection, _SIZES)}
        oldest_s = _rows(connection, _OLDEST)[0]["age_s"]
        major = connection.info.server_version // 10_000
    due = [*state.bridges, *state.missing(known)]
    rights = grants()
    if due or (state.grants_sha256 != rights.sha256 and not state.is_ahead):
        due.append(rights)
    if not due:
        return MigrationPlan(False, (), oldest_s)
    with _copied_schema(settings, major) as copy:
        steps = tuple(_rehearse(copy, migration, sizes) for migration in due)
    return MigrationPlan(False, steps, oldest_s)


def _of_empty(known: list[Migration]) -> MigrationPlan:
    steps = tuple(PlannedMigration(each.name, None, ()) for each in [*known, grants()])
    return MigrationPlan(True, steps, None)


def _connection(url: str) -> Connection | None:
    """Return a connection that only reads; None if there is no such database."""
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        if "does not exist" in str(error):
            return None
        raise DatabaseUnavailable(
            "Postgres does not answer. Check that it runs, and that the address, user and password "
            "are right."
        ) from error
    connection.read_only = True
    return connection


@contextmanager
def _copied_schema(settings: Settings, server_major: int) -> Iterator[Connection]:
    """Yield a connection to a temporary server with the schema of a database, without its rows."""
    # Short, as socket paths must be.
    folder = Path(tempfile.mkdtemp(prefix="ytcplan", dir="/tmp"))
    try:
        file = folder / "schema.dump"
        options = ["--format=custom", "--schema-only", "--no-owner", "--no-privileges"]
        # Vectors are of an extension's type, and `make_embeddings` makes their tables.
        options += ["--schema=ytcaption", "--exclude-table=ytcaption.embedding*"]
        dump(database_urls(settings).admin, file, options, server_major=server_major)
        apart = settings.changed(
            home=folder / "home",
            database_url=None,
            dagster_database_url=None,
            lake_database_url=None,
        )
        with running_postgres(apart):
            url = database_urls(apart).admin
            server = with_database(url, SUPERUSER)
            with database_errors(), psycopg.connect(server, autocommit=True) as connection:
                connection.execute(
                    sql.SQL("create database {} template template0").format(
                        sql.Identifier(database_name(url))
                    )
                )
                for role in ROLES.values():
                    connection.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
            newest = max(server_major, int(MAJOR))
            load(url, file, ["--no-owner", "--no-privileges"], server_major=newest)
            with database_errors(), psycopg.connect(url, autocommit=True) as connection:
                if _rows(connection, _HAS_EMBEDDINGS)[0]["found"]:
                    connection.execute("select ytcaption.make_embeddings()")
                yield connection
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rehearse(
    connection: Connection, migration: Migration, sizes: dict[str, dict[str, Any]]
) -> PlannedMigration:
    """Run a migration on the copy and return what it did to tables of before."""
    try:
        with connection.transaction():
            before = {row["oid"]: row for row in _rows(connection, _FILES)}
            # Our own file of several statements, sent without parameters.
            connection.execute(cast(LiteralString, migration.statements))
            locked = _rows(connection, _LOCKED)
            read = {row["oid"] for row in _rows(connection, _READ)}
            after = _rows(connection, _FILES)
    except psycopg.Error as error:
        raise SetupError(
            f"{migration.name} cannot be applied to a copy of this schema: "
            f"{error.diag.message_primary}. The schema is not what its ledger says."
        ) from error
    modes: dict[int, set[str]] = {}
    for row in locked:
        if row["oid"] in before and not before[row["oid"]]["is_index"]:
            modes.setdefault(row["oid"], set()).add(row["mode"])
    # An existing index has a new file after a rewrite, too; a new one has no file of before.
    written = [
        row for row in after if before.get(row["oid"], {"file": None})["file"] != row["file"]
    ]
    changes = []
    for oid, held in modes.items():
        rewritten = any(row["oid"] == oid for row in written)
        indexes = [row for row in written if row["is_index"] and row["table_oid"] == oid]
        change = _change(before[oid]["name"], held, oid in read, rewritten, indexes, sizes)
        if change.blocks or change.changes_rows:
            changes.append(change)
    changes.sort(key=lambda change: (-change.duration_s[1], change.table))
    return PlannedMigration(migration.name, migration.contracts, tuple(changes))


def _change(
    table: str,
    held: set[str],
    reads_all: bool,
    is_rewritten: bool,
    indexes: list[dict[str, Any]],
    sizes: dict[str, dict[str, Any]],
) -> TableChange:
    nothing = {"table_bytes": 0, "index_bytes": 0, "row_count": None}
    size = sizes.get(table, nothing)
    read_bytes = size["table_bytes"] * (reads_all + len(indexes) + is_rewritten)
    # An index that does not exist yet is taken to be as large as all present ones of the table.
    written_bytes = size["table_bytes"] * is_rewritten
    written_bytes += size["index_bytes"] * (1 if is_rewritten else min(len(indexes), 1))
    fast, slow = (
        read_bytes / reading + written_bytes / writing
        for reading, writing in zip(READ_BYTES_PER_S, WRITE_BYTES_PER_S, strict=True)
    )
    strongest = next((mode for mode in _STRENGTH if mode in held), None)
    return TableChange(
        table=table,
        blocks=_BLOCKS[strongest] if strongest else None,
        row_count=size["row_count"],
        size_bytes=size["table_bytes"] + size["index_bytes"],
        reads_all=reads_all,
        is_rewritten=is_rewritten,
        new_indexes=tuple(row["name"] for row in indexes),
        duration_s=(fast, slow),
        changes_rows="RowExclusiveLock" in held,
    )


def _rows(connection: Connection, statement: LiteralString) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement).fetchall()
