"""Creates databases, roles and schemas, and updates them.

The numbered files of `migrations/` are applied once, in order, each in one transaction, and
recorded in `ytcaption.migration` with their hashes; there are no down migrations. `grants.sql` is
applied again whenever it has changed, and recorded under number 0.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, LiteralString, cast

import psycopg
from psycopg import Connection, sql
from psycopg.rows import tuple_row

from resources.postgres.connection import database_errors
from resources.postgres.embedded import running_postgres
from resources.postgres.idle_sessions import close_idle_sessions
from resources.postgres.ledger import (
    bring_forward,
    compare,
    is_ledger_current,
    make_ledger,
    read_ledger,
    record,
)
from resources.postgres.migration_files import Migration, grants, migrations
from resources.postgres.restore_mark import in_restore, is_marked
from resources.postgres.server_check import unreachable
from resources.postgres.time_budget import CONNECT_PARAMETERS, WatchedConnection, watch
from resources.postgres.urls import (
    ROLES,
    SUPERUSER,
    DatabaseUrls,
    database_name,
    database_urls,
    libpq_url,
    with_database,
)
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.settings.settings import Settings

_LOCK = 0x797463617074  # any number that no other program uses
_STATEMENT_S = 24 * 3600.0  # a large table may be rewritten; a server that hangs is noticed

LOCK_TIMEOUT_S = 0.5
"""How long a migration waits for a table: meanwhile whatever comes after it waits, too.

Less than Postgres' `deadlock_timeout` (1 s), so that of two that wait for each other the migration
gives up, not somebody's request.
"""

_ATTEMPTS = 100
_PAUSE_S = 1.0  # between attempts: what waits behind a migration goes first


@dataclass(frozen=True)
class Layout:
    """How the databases of an installation are arranged.

    Attributes:
        is_embedded: the server is the embedded one, whose user may do everything.
        has_lake: the lake's catalog is a schema beside our own.
        has_dagster: Dagster's database is on the same server.
    """

    is_embedded: bool
    has_lake: bool
    has_dagster: bool

    @classmethod
    def of(cls, settings: Settings) -> "Layout":
        """Return the layout that the settings describe."""
        storage = settings.storage
        return cls(
            storage.database_url is None,
            storage.lake_database_url is None,
            storage.dagster_database_url is None,
        )


def migrate(settings: Settings) -> None:
    """Create what is missing; safe to repeat, and to run in two processes at once.

    If the server's user may not create roles, all parts work with that user's own rights.

    Raises:
        DatabaseUnavailable: no answer, or tables that must change stay in use.
        SetupError: a required right is missing, a later version migrated the database so that this
            one cannot use it, or a migration was applied with another text.
    """
    urls = database_urls(settings)
    with _connected(urls.admin) as connection:
        if is_marked(connection):
            raise in_restore()
    migrate_databases(urls, Layout.of(settings))


def migrate_databases(urls: DatabaseUrls, layout: Layout, *, last: int | None = None) -> None:
    """Create what is missing in these databases.

    Args:
        last: number of the last migration to apply, so that the schema is that of an earlier
            version, without its rights; None: all.

    Raises:
        as `migrate`.
    """
    with _exclusive(urls.admin) as connection:
        has_roles = _make_roles(connection, can_login=layout.is_embedded)
        _make_schema(connection, has_roles, last)
        if layout.has_lake:
            _make_lake_schema(connection, has_roles)
        if layout.is_embedded:
            _close_to_others(connection)
    if not layout.has_lake:
        with _connected(urls.lake) as connection:
            _make_lake_schema(connection, has_roles=False)
    dagster = libpq_url(urls.dagster_storage)
    if layout.is_embedded and layout.has_dagster:
        database = database_name(dagster)
        with _exclusive(with_database(urls.admin, database)) as connection:
            name, owner = sql.Identifier(database), sql.Identifier(ROLES["dagster"])
            connection.execute(sql.SQL("alter database {} owner to {}").format(name, owner))
            connection.execute(sql.SQL("revoke all on database {} from public").format(name))
    else:
        with _connected(dagster):
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


def _make_schema(connection: Connection, has_roles: bool, last: int | None) -> None:
    known = [each for each in migrations() if last is None or each.number <= last]
    entries = read_ledger(connection)
    state = compare(entries, known)  # before anything is changed
    fresh = state.missing(known)
    is_of_old_version = bool(entries) and not is_ledger_current(connection)
    if is_of_old_version and (fresh or state.replaced):
        close_idle_sessions(connection)
    if not is_ledger_current(connection):
        with _needing_right("create a schema"), connection.transaction():
            make_ledger(connection)
    if state.replaced:
        _patiently(
            connection,
            "Bringing an earlier schema forward",
            partial(bring_forward, connection, state),
        )
    for migration in fresh:
        _patiently(
            connection, f"Migration {migration.name}", partial(_apply, connection, migration)
        )
    if is_of_old_version and (fresh or state.replaced):
        close_idle_sessions(connection)
    if last is not None:
        return
    rights = grants()
    if has_roles and not state.is_ahead and (fresh or state.grants_sha256 != rights.sha256):
        _patiently(connection, "Granting rights", partial(_apply, connection, rights))
    if any(migration.name == "0014_embedding.sql" for migration in known):
        with connection.transaction():  # each time: pgvector may have been installed since
            connection.execute("select ytcaption.make_embeddings()")


def _patiently(connection: Connection, what: str, change: Callable[[], None]) -> None:
    """Make a change in one transaction, again and again while tables that it needs are in use.

    A statement that waits for a table's lock has all others wait that come after it. So it gives up
    soon and tries again later.

    Raises:
        DatabaseUnavailable: the tables stayed in use.
        SetupError: the database refused a statement.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with connection.transaction():
                connection.execute(
                    "select set_config('lock_timeout', %s, true)", (f"{LOCK_TIMEOUT_S}s",)
                )
                change()
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            if attempt == _ATTEMPTS:
                raise DatabaseUnavailable(
                    f"{what} needs a table that another transaction keeps in use, and was not "
                    "applied. End long transactions (a backup, an open psql), then run "
                    "`ytcaption migrate` again."
                ) from error
        except psycopg.errors.InsufficientPrivilege:
            raise
        except (psycopg.ProgrammingError, psycopg.IntegrityError, psycopg.DataError) as error:
            raise SetupError(
                f"{what} was refused by the database and not applied: "
                f"{error.diag.message_primary}. Was the schema changed by hand? Restore a backup."
            ) from error
        time.sleep(_PAUSE_S)


def _apply(connection: Connection, migration: Migration) -> None:
    # Our own file of several statements, sent without parameters.
    connection.execute(cast(LiteralString, migration.statements))
    record(connection, migration)


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
        raise unreachable(url) from error
    with database_errors(), connection:
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
