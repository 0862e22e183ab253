"""Bringing the embedded database from another major version of Postgres to today's.

The old programs serve the old data, which stays as it is; every database is copied into new data.
When all rows have been counted on both sides, the new folder gets its final name. A kill at any
moment leaves the old data or the new, complete; `embedded.finish_upgrade` ends the renaming.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, sql

from resources.disk import fsync
from resources.postgres.connection import database_errors
from resources.postgres.embedded import (
    UPGRADED,
    EmbeddedServer,
    finish_upgrade,
    starting_lock,
)
from resources.postgres.programs import (
    MAJOR,
    is_server_of,
    programs_of,
    server_user,
    transfer,
)
from resources.postgres.urls import SUPERUSER
from ytcaption.domain.errors import SetupError, StorageError
from ytcaption.settings.settings import Settings

_OLD_PORT, _NEW_PORT = "5434", "5435"  # not the one on which programs look for the database
_UPGRADING = "upgrading"

_ROLES = """
select rolname, rolcanlogin, rolcreatedb, rolcreaterole, rolsuper from pg_roles
where rolname !~ '^pg_' and rolname <> %s order by rolname
"""
_DATABASES = """
select datname, pg_get_userbyid(datdba) from pg_database
where not datistemplate and datname <> %s order by datname
"""
_TABLES = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
order by n.nspname, c.relname
"""


@dataclass(frozen=True)
class Upgrade:
    """The result of an upgrade.

    Attributes:
        before, after: major versions.
        rows: number of rows in all tables.
        kept: folder of the old data.
    """

    before: str
    after: str
    rows: int
    kept: Path


def upgrade_database(
    settings: Settings, on_step: Callable[[str], None], programs: Path | None = None
) -> Upgrade | None:
    """Bring the embedded database to today's Postgres; return None if it is there already.

    Args:
        on_step: is called with what begins.
        programs: folder of the programs (`postgres`, `pg_ctl`) that fit the data; None: found.

    Raises:
        SetupError: there is no embedded database, it is in use, or no programs fit it.
        StorageError, DiskFull, DatabaseUnavailable: it failed; the old data is as before.
    """
    if settings.storage.database_url is not None:
        raise SetupError(
            "YTCAPTION_DATABASE_URL is set, so that there is no embedded database. Upgrade that "
            "server by its own tools."
        )
    server = EmbeddedServer.of(settings)
    if not server.folder.exists():
        raise SetupError(f"There is no database in {settings.home}. Check YTCAPTION_HOME.")
    server.make_folders()
    with starting_lock(server):
        finish_upgrade(server.folder)
        before = _version(server)
        if before == MAJOR:
            return None
        old = replace(server, programs=_programs(before, programs), port=_OLD_PORT)
        new = replace(server, data_name=_UPGRADING, port=_NEW_PORT)
        _require_unused(old, new)
        shutil.rmtree(new.data, ignore_errors=True)
        on_step(f"Starting Postgres {before} and {MAJOR}")
        server.socket.mkdir(mode=0o700, exist_ok=True)
        server.log.touch(mode=0o600)
        new.initialise(server_user(old.data))
        with _running(old), _running(new):
            rows = _copy(old, new, on_step)
        on_step("Putting the new database in place")
        fsync(new.data)
        new.data.rename(server.folder / UPGRADED)
        fsync(server.folder)
        finish_upgrade(server.folder)
    return Upgrade(before, MAJOR, rows, server.folder / f"data-{before}")


def _version(server: EmbeddedServer) -> str:
    try:
        return (server.data / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise SetupError(f"There is no database in {server.data}. Check YTCAPTION_HOME.") from error


def _programs(major: str, named: Path | None) -> Path:
    if int(major) > int(MAJOR):
        raise SetupError(
            f"The database was made by Postgres {major}, which is later than the {MAJOR} of this "
            "installation. Update ytcaption to use it."
        )
    if named is not None:
        folder = named.expanduser().absolute()
        for candidate in (folder, folder / "bin"):
            if is_server_of(major, candidate):
                return candidate
        raise SetupError(
            f"{folder} does not have the program postgres of version {major}, which made the "
            "database. Name the folder that has it."
        )
    found = programs_of(major)
    if found is None:
        raise SetupError(
            f"The database was made by Postgres {major}, whose programs are needed once to read "
            f"it. Install them (Debian and Ubuntu: `apt install postgresql-{major}`) and repeat "
            "the command, or name their folder by --programs."
        )
    return found


def _require_unused(*servers: EmbeddedServer) -> None:
    for server in servers:
        if server.is_running():  # on our own port: of an upgrade that was killed
            server.stop()
        if server.has_processes():
            raise SetupError(
                f"The database in {server.data} is in use by another ytcaption. Stop it, then "
                "repeat the command."
            )


@contextmanager
def _running(server: EmbeddedServer) -> Iterator[None]:
    server.start()
    try:
        yield
    finally:
        server.stop()


def _copy(old: EmbeddedServer, new: EmbeddedServer, on_step: Callable[[str], None]) -> int:
    """Copy roles and databases; return the number of rows."""
    rows = 0
    with _connected(old, SUPERUSER) as source, _connected(new, SUPERUSER) as target:
        _copy_roles(source, target)
        databases = source.execute(_DATABASES, (SUPERUSER,)).fetchall()
        for name, owner in databases:
            on_step(f"Copying the database {name}")
            target.execute(
                sql.SQL("create database {} owner {} template template0 encoding 'UTF8'").format(
                    sql.Identifier(name), sql.Identifier(owner)
                )
            )
            transfer(old.url(name), new.url(name), old.folder)
    for name, _ in databases:
        on_step(f"Comparing the database {name}")
        before, after = _row_counts(old, name), _row_counts(new, name)
        if before != after:
            table = next(iter(dict(set(before.items()) ^ set(after.items()))))
            raise StorageError(
                f"The copy of the database {name} differs from the original, in {table}. The "
                "original is as before. Repeat the command, and report it if it fails again."
            )
        rows += sum(after.values())
        with _connected(new, name) as connection:
            connection.execute("analyze")
    return rows


def _copy_roles(source: Connection[Any], target: Connection[Any]) -> None:
    names = ("login", "createdb", "createrole", "superuser")
    for role, *rights in source.execute(_ROLES, (SUPERUSER,)).fetchall():
        words = [name for name, is_allowed in zip(names, rights, strict=True) if is_allowed]
        target.execute(
            sql.SQL("create role {} {}").format(
                sql.Identifier(role),
                sql.SQL(" ".join(words)),  # pyright: ignore[reportArgumentType] - of `names`
            )
        )


def _row_counts(server: EmbeddedServer, database: str) -> dict[str, int]:
    counts = {}
    with _connected(server, database) as connection:
        for schema, table in connection.execute(_TABLES).fetchall():
            query = sql.SQL("select count(*) from only {}").format(sql.Identifier(schema, table))
            row = connection.execute(query).fetchone()
            counts[f"{schema}.{table}"] = row[0] if row else 0
    return counts


@contextmanager
def _connected(server: EmbeddedServer, database: str) -> Iterator[Connection[Any]]:
    with (
        database_errors(),
        psycopg.connect(server.url(database), autocommit=True, connect_timeout=10) as connection,
    ):
        yield connection
