"""Filling tables that our migrations have made with the rows of an archive.

The rows are loaded as the owner of the schema, or, where that is a superuser, as a role that may do
nothing but fill these tables. Triggers do not run, foreign keys and indexes are made afterwards, as
when pg_restore loads a whole dump. See docs/adr/security-rules.md#rule-55.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, cast

import psycopg
from psycopg import Connection, sql

from resources.backup.archive import Position, Rows
from resources.postgres.connection import database_errors
from ytcaption.domain.errors import InputError

LOADER = "ytcaption_restore"
"""The role that loads rows where the owner of a schema is a superuser."""

_BLOCK_BYTES = 1 << 20
_RIGHTS: tuple[LiteralString, ...] = (
    "usage on schema {}",
    "insert on all tables in schema {}",
    "update on all sequences in schema {}",
)

_COLUMNS = """
select c.relname, array_agg(a.attname::text)
from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = %s::regnamespace and c.relkind in ('r', 'p')
  and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
group by c.relname
"""
_FOREIGN_KEYS = """
select c.relname, k.conname, pg_get_constraintdef(k.oid)
from pg_constraint k join pg_class c on c.oid = k.conrelid
where c.relnamespace = %s::regnamespace and k.contype = 'f'
"""
_INDEXES = """
select i.relname, pg_get_indexdef(i.oid)
from pg_index x join pg_class i on i.oid = x.indexrelid
where i.relnamespace = %s::regnamespace
  and not exists (select from pg_constraint k where k.conindid = x.indexrelid)
"""


class Unloadable(Exception):
    """The archive has a table or a column that the schema has not."""


@dataclass
class SchemaLoader:
    """Loads rows into one schema; made by `loading`.

    Attributes:
        columns: those of each table that hold values of their own.
        left_out: tables whose rows of the archive are ignored.
        is_lenient: rows of unknown tables are ignored, too, and counted in `ignored`.
        rows: number of rows that were loaded, by `schema.table`.
    """

    schema: str
    columns: Mapping[str, Collection[str]]
    left_out: Collection[str]
    is_lenient: bool
    rows: dict[str, int]
    ignored: set[str]
    _connection: Connection[Any]

    def load(self, part: Rows | Position) -> None:
        """Load the rows of one table, or set the position of one sequence.

        Raises:
            Unloadable: the schema has no such table, column or sequence.
            InputError: Postgres refuses the rows.
            StorageError: the archive is damaged.
            DatabaseUnavailable, DiskFull.
        """
        with _refusing_rows(part):
            if isinstance(part, Position):
                self._set_position(part)
            elif part.table not in self.left_out:
                self._load_rows(part)

    def _load_rows(self, part: Rows) -> None:
        known = self.columns.get(part.table)
        if known is None and self.is_lenient:
            self.ignored.add(part.table)
            return
        if known is None or not set(part.columns) <= set(known):
            raise Unloadable(part.name)
        statement = sql.SQL("copy {}.{} ({}) from stdin").format(
            sql.Identifier(part.schema),
            sql.Identifier(part.table),
            sql.SQL(", ").join(map(sql.Identifier, part.columns)),
        )
        with self._connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                block = bytearray()
                for line in part.lines:
                    block += line
                    if len(block) >= _BLOCK_BYTES:
                        copy.write(bytes(block))
                        block.clear()
                copy.write(bytes(block))
            self.rows[part.name] = self.rows.get(part.name, 0) + cursor.rowcount

    def _set_position(self, part: Position) -> None:
        name = sql.Identifier(part.schema, part.sequence).as_string(self._connection)
        row = self._connection.execute(
            "select relkind = 'S' from pg_class where oid = to_regclass(%s)", (name,)
        ).fetchone()
        if row is not None and row[0]:
            self._connection.execute("select setval(%s, %s, %s)", (name, part.value, part.is_used))
        elif not self.is_lenient:
            raise Unloadable(f"{part.schema}.{part.sequence}")


@contextmanager
def loading(
    url: str, schema: str, *, left_out: Collection[str] = (), is_lenient: bool = False
) -> Iterator[SchemaLoader]:
    """Empty a schema's tables and yield what fills them; then make their indexes and keys.

    Args:
        url: of the schema's owner, or of a superuser.
        left_out: tables that stay as they are.

    Raises:
        InputError: the rows that were loaded contradict each other.
        DatabaseUnavailable, DiskFull, StorageError.
    """
    with (
        database_errors(),
        psycopg.connect(
            url, autocommit=True, connect_timeout=10, client_encoding="utf8"
        ) as connection,
    ):
        connection.execute("set timezone = 'UTC'")
        columns = dict(connection.execute(_COLUMNS, (schema,)).fetchall())
        loader = SchemaLoader(schema, columns, left_out, is_lenient, {}, set(), connection)
        tables = [sql.Identifier(schema, table) for table in columns if table not in left_out]
        with _bare_tables(connection, schema, tables):
            if tables:
                connection.execute(sql.SQL("truncate {}").format(sql.SQL(", ").join(tables)))
            with _without_superuser(connection, schema):
                yield loader
        connection.execute("analyze")


@contextmanager
def _bare_tables(
    connection: Connection[Any], schema: str, tables: Collection[sql.Identifier]
) -> Iterator[None]:
    """Take triggers, foreign keys and indexes from the tables while the context lasts."""
    keys = connection.execute(_FOREIGN_KEYS, (schema,)).fetchall()
    indexes = connection.execute(_INDEXES, (schema,)).fetchall()
    for table, key, _ in keys:
        connection.execute(
            sql.SQL("alter table {} drop constraint {}").format(
                sql.Identifier(schema, table), sql.Identifier(key)
            )
        )
    for index, _ in indexes:
        connection.execute(sql.SQL("drop index {}").format(sql.Identifier(schema, index)))
    _set_triggers(connection, tables, "disable")
    yield
    # Definitions by Postgres of what our own migrations have made.
    for _, definition in indexes:
        connection.execute(cast(LiteralString, definition))
    try:
        for table, key, definition in keys:
            connection.execute(
                sql.SQL("alter table {} add constraint {} {}").format(
                    sql.Identifier(schema, table),
                    sql.Identifier(key),
                    sql.SQL(cast(LiteralString, definition)),
                )
            )
    except psycopg.errors.IntegrityError as error:
        raise _contradiction(schema) from error
    _set_triggers(connection, tables, "enable")


def _set_triggers(
    connection: Connection[Any], tables: Collection[sql.Identifier], action: LiteralString
) -> None:
    for table in tables:
        connection.execute(sql.SQL("alter table {} {} trigger user").format(table, sql.SQL(action)))


@contextmanager
def _without_superuser(connection: Connection[Any], schema: str) -> Iterator[None]:
    """Where this user is a superuser, take the rights of a role that may only fill the tables."""
    row = connection.execute(
        "select rolsuper from pg_roles where rolname = current_user"
    ).fetchone()
    if row is None or not row[0]:
        yield  # the schema's owner
        return
    loader = sql.Identifier(LOADER)
    if connection.execute("select from pg_roles where rolname = %s", (LOADER,)).fetchone() is None:
        connection.execute(sql.SQL("create role {} nologin").format(loader))
    for rights in _RIGHTS:
        statement = sql.SQL("grant " + rights + " to {}")
        connection.execute(statement.format(sql.Identifier(schema), loader))
    connection.execute(sql.SQL("set role {}").format(loader))
    yield
    connection.execute("reset role")
    for rights in _RIGHTS:
        statement = sql.SQL("revoke " + rights + " from {}")
        connection.execute(statement.format(sql.Identifier(schema), loader))


@contextmanager
def _refusing_rows(part: Rows | Position) -> Iterator[None]:
    try:
        yield
    except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as error:
        raise _contradiction(part.schema) from error


def _contradiction(schema: str) -> InputError:
    return InputError(
        f"The rows of the backup for the schema {schema} contradict each other or its tables. "
        "Nothing was restored. Use another backup."
    )
