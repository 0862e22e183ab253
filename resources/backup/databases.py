"""New databases beside the present ones, and their exchange.

A restore fills databases of its own, so that the present ones stay as they are until everything has
been verified. Then the names are exchanged: in one transaction for all databases of a server, which
Postgres refuses while anybody is connected.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from resources.backup.dump import connected
from resources.postgres.connection import close_pools
from resources.postgres.migrate import Layout
from resources.postgres.restore_mark import unmark_database
from resources.postgres.urls import (
    SUPERUSER,
    DatabaseUrls,
    database_name,
    database_urls,
    libpq_url,
    with_database,
)
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import Settings

_NEW, _OLD = "_restore_new", "_restore_old"
_MAX_NAME_LENGTH = 63 - max(len(_NEW), len(_OLD))
_DRIVER = "postgresql+psycopg2://"

_OTHERS = """
select count(*) as number from pg_stat_activity
where datname = any(%s) and usesysid is not null and pid <> pg_backend_pid()
"""
_PROPERTIES = """
select d.datcollate, d.datctype,
    d.datcollate = t.datcollate and d.datctype = t.datctype as is_default
from pg_database d, pg_database t where d.datname = %s and t.datname = 'template0'
"""
_SETTINGS = """
select unnest(s.setconfig) as setting
from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
where d.datname = %s and s.setrole = 0
"""
_LISTS = {"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"}
"""Settings whose value is a list of quoted names. None of them matters to our statements."""


@dataclass(frozen=True)
class _Database:
    """One database of the installation.

    Attributes:
        server: URL of a database that every server has, of a user that may rename ours.
    """

    name: str
    server: str

    @property
    def new(self) -> str:
        """Return the name of the database that a restore fills."""
        return self.name[:_MAX_NAME_LENGTH] + _NEW

    @property
    def old(self) -> str:
        """Return the name of the present database after the exchange."""
        return self.name[:_MAX_NAME_LENGTH] + _OLD


class StagedDatabases:
    """The databases that a restore fills.

    Attributes:
        present: URLs of the installation's databases.
        urls: URLs of the new ones.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.layout = Layout.of(settings)
        self.present = database_urls(settings)
        self.urls = DatabaseUrls(
            admin=_staged(self.present.admin),
            api=_staged(self.present.api),
            dagster=_staged(self.present.dagster),
            lake=_staged(self.present.lake),
            dagster_storage=_DRIVER
            + _staged(libpq_url(self.present.dagster_storage)).partition("://")[2],
        )

    @cached_property
    def settings(self) -> Settings:
        """Return the settings with which the lake opens its new catalog."""
        return self._settings.changed(
            database_url=SecretStr(self.urls.admin), lake_database_url=SecretStr(self.urls.lake)
        )

    def create(self) -> None:
        """Create them, empty; those of an earlier restore are dropped.

        Raises:
            SetupError: the user may not create databases.
            DatabaseUnavailable, DiskFull, StorageError.
        """
        self.drop()
        for database in self._databases:
            with _changing(database) as connection:
                _create(connection, database)

    def drop(self) -> None:
        """Drop the new databases, and close this process's connections to them.

        Raises:
            DatabaseUnavailable, StorageError.
        """
        close_pools(self.urls)
        for database in self._databases:
            with _changing(database) as connection:
                _drop(connection, database.new)

    def drop_present(self) -> None:
        """Drop the databases that were replaced.

        Raises:
            DatabaseUnavailable, StorageError.
        """
        for database in self._databases:
            with _changing(database) as connection:
                _drop(connection, database.old)

    def require_alone(self) -> None:
        """Check that no other program is connected to the present databases.

        Raises:
            SetupError: some are.
            DatabaseUnavailable.
        """
        close_pools(self.present)
        for databases in self._by_server():
            names = [database.name for database in databases]
            with connected(databases[0].server) as connection:
                row = connection.execute(_OTHERS, (names,)).fetchone()
            if row is not None and row["number"]:
                raise _not_alone(names)

    def exchange(self) -> None:
        """Give the new databases the names of the present ones, which are kept under others.

        What has been exchanged already stays.

        Raises:
            SetupError: somebody is connected to one of them; on that server nothing is exchanged.
            DatabaseUnavailable, StorageError.
        """
        close_pools(self.present)
        close_pools(self.urls)
        for databases in self._by_server():
            with _changing(*databases) as connection:
                try:
                    with connection.transaction():
                        for database in databases:
                            if _exists(connection, database.new):
                                _exchange(connection, database)
                except psycopg.errors.ObjectInUse as error:
                    raise _not_alone([database.name for database in databases]) from error

    def unmark(self) -> None:
        """Open the database, which has its name now, to everyone."""
        with connected(self.present.admin) as connection:
            unmark_database(connection)

    @property
    def server_count(self) -> int:
        """Return the number of servers, each with an exchange of its own."""
        return len(self._by_server())

    @cached_property
    def _databases(self) -> list[_Database]:
        """Return each database once: Dagster's and the lake's may be the same."""
        present = self.present
        dagster = libpq_url(present.dagster_storage)
        named = {_place(present.admin): present.admin}
        named.setdefault(_place(dagster), present.admin if self.layout.has_dagster else dagster)
        named.setdefault(
            _place(present.lake), present.admin if self.layout.has_lake else present.lake
        )
        return [_Database(name, with_database(url, SUPERUSER)) for (_, name), url in named.items()]

    def _by_server(self) -> list[list[_Database]]:
        servers: dict[str, list[_Database]] = {}
        for database in self._databases:
            servers.setdefault(database.server, []).append(database)
        return list(servers.values())


@contextmanager
def _changing(*databases: _Database) -> Iterator[Connection[Any]]:
    """Yield a connection to the server of the databases, for creating, renaming and dropping them.

    Postgres completes a statement whose client was killed. The lock belongs to the connection, so
    that a later restore waits for what an earlier one has begun.
    """
    with connected(databases[0].server) as connection:
        for name in sorted(database.name for database in databases):
            connection.execute(
                "select pg_advisory_lock(hashtextextended(%s, 0))", (f"restore {name}",)
            )
        yield connection


def _staged(url: str) -> str:
    return with_database(url, _Database(database_name(url), "").new)


def _place(url: str) -> tuple[str, str]:
    parameters = conninfo_to_dict(url)
    host, port = parameters.get("host") or "", parameters.get("port") or "5432"
    return f"{host} {port}", database_name(url)


def _exists(connection: Connection[Any], name: str) -> bool:
    row = connection.execute("select from pg_database where datname = %s", (name,)).fetchone()
    return row is not None


def _create(connection: Connection[Any], database: _Database) -> None:
    """Create the new database with the locale and the settings of the present one."""
    statement = sql.SQL("create database {} template template0 encoding 'UTF8'").format(
        sql.Identifier(database.new)
    )
    properties = connection.execute(_PROPERTIES, (database.name,)).fetchone()
    if properties is not None and not properties["is_default"]:
        statement += sql.SQL(" lc_collate {} lc_ctype {}").format(
            sql.Literal(properties["datcollate"]), sql.Literal(properties["datctype"])
        )
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        user = connection.info.user
        raise SetupError(
            "A restore fills new databases before it replaces the present ones, and the user "
            f"{user} may not create databases. Have it allowed, for the restore alone if you "
            f"like: alter role {user} createdb;"
        ) from error
    for row in connection.execute(_SETTINGS, (database.name,)).fetchall():
        name, _, value = row["setting"].partition("=")
        if name in _LISTS:
            continue
        try:
            connection.execute(
                sql.SQL("alter database {} set {} to {}").format(
                    sql.Identifier(database.new), sql.Identifier(name), sql.Literal(value)
                )
            )
        except psycopg.Error:
            continue  # only an administrator may: the default does as well


def _drop(connection: Connection[Any], name: str) -> None:
    connection.execute(
        sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    )


def _exchange(connection: Connection[Any], database: _Database) -> None:
    rename = sql.SQL("alter database {} rename to {}")
    if _exists(connection, database.name):
        connection.execute(
            rename.format(sql.Identifier(database.name), sql.Identifier(database.old))
        )
    connection.execute(rename.format(sql.Identifier(database.new), sql.Identifier(database.name)))


def _not_alone(names: list[str]) -> SetupError:
    return SetupError(
        f"Other programs are connected to the databases {', '.join(sorted(names))}. Stop "
        "`ytcaption up` on all machines, and all else that uses them, then repeat the command. "
        "Nothing was restored."
    )
