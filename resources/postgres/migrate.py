"""Creates databases, roles and schemas, and updates them.

The numbered files of `migrations/` are applied once, in order, each in one transaction, and
recorded in `ytcaption.migration`; there are no down migrations. `grants.sql` is applied again
whenever it has changed, and recorded under number 0.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, LiteralString, cast

import psycopg
from psycopg import Connection, sql
from psycopg.rows import tuple_row

from resources.postgres.connection import database_errors
from resources.postgres.embedded import running_postgres
from resources.postgres.time_budget import CONNECT_PARAMETERS, WatchedConnection, watch
from resources.postgres.urls import (
    DAGSTER_DATABASE,
    ROLES,
    SUPERUSER,
    database_name,
    database_urls,
    libpq_url,
    with_database,
)
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.settings.settings import Settings

_LOCK = 0x797463617074  # any number that no other program uses
_STATEMENT_S = 24 * 3600.0  # a large table may be rewritten; a server that hangs is noticed
_GRANTS = 0  # the number of grants.sql in the ledger

_LEDGER = """
create table if not exists ytcaption.migration (
    number integer primary key,
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now()
)
"""


@dataclass(frozen=True)
class Migration:
    """One file of SQL."""

    number: int
    name: str
    statements: str

    @property
    def sha256(self) -> str:
        """Return the hex SHA-256 of its text."""
        return hashlib.sha256(self.statements.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return all numbered files, in order."""
    numbered = []
    for file in files("resources.postgres").joinpath("migrations").iterdir():
        number, _, _ = file.name.partition("_")
        if number.isdigit() and file.name.endswith(".sql"):
            numbered.append(Migration(int(number), file.name, file.read_text(encoding="utf-8")))
    return sorted(numbered, key=lambda migration: migration.number)


def migrate(settings: Settings) -> None:
    """Create what is missing; safe to repeat, and to run in two processes at once.

    If the server's user may not create roles, all parts work with that user's own rights.

    Raises:
        DatabaseUnavailable: no answer.
        SetupError: a required right is missing, or a later version created the database.
    """
    urls = database_urls(settings)
    embedded = settings.storage.database_url is None
    with _exclusive(urls.admin) as connection:
        has_roles = _make_roles(connection, can_login=embedded)
        _make_schema(connection, has_roles)
        lake_is_here = settings.storage.lake_database_url is None
        if lake_is_here:
            _make_lake_schema(connection, has_roles)
        if embedded:
            _close_to_others(connection)
    if not lake_is_here:
        with _connected(urls.lake) as connection:
            _make_lake_schema(connection, has_roles=False)
    if embedded and settings.storage.dagster_database_url is None:
        with _exclusive(with_database(urls.admin, DAGSTER_DATABASE)) as connection:
            database, owner = sql.Identifier(DAGSTER_DATABASE), sql.Identifier(ROLES["dagster"])
            connection.execute(sql.SQL("alter database {} owner to {}").format(database, owner))
            connection.execute(sql.SQL("revoke all on database {} from public").format(database))
    else:
        with _connected(libpq_url(urls.dagster_storage)):
            pass


@contextmanager
def migrated_postgres(settings: Settings) -> Iterator[None]:
    """Keep a database with the current schema running while the context lasts.

    Raises:
        SetupError, DiskFull, DatabaseUnavailable: as `running_postgres` and `migrate`.
    """
    with running_postgres(settings):
        migrate(settings)
        yield


def _make_roles(connection: Connection, *, can_login: bool) -> bool:
    """Create the roles; return whether this user may grant them rights and take theirs."""
    for role in ROLES.values():
        name = sql.Identifier(role)
        try:
            with connection.transaction():
                row = connection.execute(
                    "select 1 from pg_roles where rolname = %s", (role,)
                ).fetchone()
                if row is None:
                    login = sql.SQL("login" if can_login else "nologin")
                    connection.execute(sql.SQL("create role {} {}").format(name, login))
                row = connection.execute(
                    "select pg_has_role(current_user, %s, 'member')", (role,)
                ).fetchone()
                if row is not None and not row[0]:
                    connection.execute(sql.SQL("grant {} to current_user").format(name))
        except psycopg.errors.InsufficientPrivilege:
            return False
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            continue  # roles belong to the server: another database's `migrate` has just made it
    return True


def _make_schema(connection: Connection, has_roles: bool) -> None:
    with _needing_right("create a schema"), connection.transaction():
        row = connection.execute("select to_regclass('ytcaption.migration') is not null").fetchone()
        if row is None or not row[0]:
            connection.execute("create schema if not exists ytcaption")
            connection.execute(_LEDGER)
    applied = dict(connection.execute("select number, sha256 from ytcaption.migration").fetchall())
    known = migrations()
    if max(applied, default=0) > known[-1].number:
        raise SetupError(
            "The database was created by a later version of ytcaption. Update ytcaption to use it."
        )
    fresh = [migration for migration in known if migration.number not in applied]
    for migration in fresh:
        with connection.transaction():
            _apply(connection, migration)
    grants = Migration(
        _GRANTS,
        "grants.sql",
        files("resources.postgres")
        .joinpath("migrations", "grants.sql")
        .read_text(encoding="utf-8"),
    )
    if has_roles and (fresh or applied.get(_GRANTS) != grants.sha256):
        with connection.transaction():
            _apply(connection, grants)
    if any(migration.name == "0014_embedding.sql" for migration in known):
        with connection.transaction():  # each time: pgvector may have been installed since
            connection.execute("select ytcaption.make_embeddings()")


def _apply(connection: Connection, migration: Migration) -> None:
    # Our own file of several statements, sent without parameters.
    connection.execute(cast(LiteralString, migration.statements))
    connection.execute(
        "insert into ytcaption.migration (number, name, sha256) values (%s, %s, %s) "
        "on conflict (number) do update set sha256 = excluded.sha256, applied_at = now()",
        (migration.number, migration.name, migration.sha256),
    )


def _make_lake_schema(connection: Connection, has_roles: bool) -> None:
    with _needing_right("create a schema"), connection.transaction():
        row = connection.execute("select to_regnamespace('lake') is not null").fetchone()
        if row is not None and row[0]:
            return
        if has_roles:
            connection.execute(
                sql.SQL("create schema lake authorization {}").format(sql.Identifier(ROLES["lake"]))
            )
        else:
            connection.execute("create schema lake")


def _close_to_others(connection: Connection) -> None:
    """Let only the three roles connect to the embedded server's database."""
    database = sql.Identifier(connection.info.dbname)
    roles = sql.SQL(", ").join(sql.Identifier(role) for role in ROLES.values())
    with connection.transaction():
        connection.execute(sql.SQL("revoke all on database {} from public").format(database))
        connection.execute(sql.SQL("grant connect on database {} to {}").format(database, roles))


@contextmanager
def _exclusive(url: str) -> Iterator[Connection]:
    with _connected(url) as connection:
        connection.execute("select pg_advisory_lock(%s)", (_LOCK,))  # until the connection closes
        yield connection


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """Yield a connection in autocommit to a database, which is created if it is missing."""
    try:
        connection = _opened(url)
    except psycopg.OperationalError:
        _make_database(url)
        with database_errors():
            connection = _opened(url)
    with database_errors(), connection:
        watch(connection, url, _STATEMENT_S)
        yield connection


def _opened(url: str) -> Connection:
    connect: Any = WatchedConnection.connect  # its rows are tuples here
    return connect(url, autocommit=True, row_factory=tuple_row, **CONNECT_PARAMETERS)


def _make_database(url: str) -> None:
    name = database_name(url)
    try:
        connection = _opened(with_database(url, SUPERUSER))
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(
            f"Postgres does not answer for the database {name}. Check that it runs, and that the "
            "address, user and password are right."
        ) from error
    with connection:
        try:
            connection.execute(
                sql.SQL("create database {} encoding 'UTF8' template template0").format(
                    sql.Identifier(name)
                )
            )
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return  # another process has created it meanwhile
        except psycopg.errors.InsufficientPrivilege as error:
            raise SetupError(
                f"There is no database {name}, and the user may not create it. "
                f"Have it created: create database {name} owner {connection.info.user};"
            ) from error


@contextmanager
def _needing_right(what: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise SetupError(
            f"The database user may not {what} in this database. Make it the database's owner."
        ) from error
