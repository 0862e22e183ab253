"""Postgres servers for the tests: the embedded one, and Debian's where it is installed."""

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from resources.postgres.embedded import running_postgres
from resources.postgres.migrate import migrate
from resources.postgres.urls import database_urls
from ytcaption.settings.settings import Settings

DEBIAN_PROGRAMS = {
    f"debian-{path.parent.parent.name}": path.parent
    for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
}
SERVERS = ["embedded", *DEBIAN_PROGRAMS]

# What a URL must survive.
_PASSWORD = "p@ss/w:rd #1%&?="


_DELETE_ALL = """
do $$
declare
    name regclass;
    is_used boolean;
begin
    for name in
        select format('ytcaption.%I', tablename) from pg_tables
        where schemaname = 'ytcaption' and tablename <> 'migration'
    loop
        execute format('select exists (select from %s)', name) into is_used;
        if is_used then
            execute format('delete from %s', name);
        end if;
    end loop;
end $$
"""


@dataclass(frozen=True)
class DatabaseServer:
    """A migrated server.

    Attributes:
        url: for `YTCAPTION_DATABASE_URL`.
        superuser_url: the same database, for cleaning it.
    """

    name: str
    url: str
    superuser_url: str

    def clean(self) -> None:
        """Empty all tables, and the lake's catalog."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            # Triggers rest, the append-only one among them.
            connection.execute("set session_replication_role = replica")
            connection.execute(_DELETE_ALL)
            row = connection.execute(
                "select 1 from pg_class where relnamespace = to_regnamespace('lake') limit 1"
            ).fetchone()
            if row is not None:
                connection.execute("drop schema lake cascade")
                connection.execute("create schema lake authorization ytcaption_lake")


@contextmanager
def started_server(name: str, *, is_migrated: bool = True) -> Iterator[DatabaseServer]:
    """The server of that name, running and migrated; without tables only one of Debian's."""
    # Short, since a socket's path has room for 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="ytc", dir="/tmp"))
    start = (
        embedded_server(folder)
        if name == "embedded"
        else debian_server(name, folder, is_migrated=is_migrated)
    )
    try:
        with start as server:
            yield server
    finally:
        shutil.rmtree(folder)


@contextmanager
def embedded_server(home: Path) -> Iterator[DatabaseServer]:
    """The embedded server of a home."""
    settings = Settings(home=home, _env_file=None)  # pyright: ignore[reportCallIssue]
    with running_postgres(settings):
        migrate(settings)
        url = database_urls(settings).admin
        with psycopg.connect(url, autocommit=True) as connection:
            # Nothing of these servers has to survive a power failure.
            connection.execute("alter system set fsync = off")
            connection.execute("select pg_reload_conf()")
        yield DatabaseServer("embedded", url, url)


@contextmanager
def debian_server(name: str, folder: Path, *, is_migrated: bool) -> Iterator[DatabaseServer]:
    """A server on loopback with passwords, as an operator would give us: the user is no superuser,
    but may make roles and databases."""
    programs = DEBIAN_PROGRAMS[name]
    user = "nobody" if os.geteuid() == 0 else getpass.getuser()
    folder.chmod(0o700)
    os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    as_user = {"user": user, "group": pwd.getpwnam(user).pw_gid} if os.geteuid() == 0 else {}

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(folder / "data"), *arguments]
        with (folder / f"{program}.out").open("w") as output:
            subprocess.run(
                command, check=True, cwd="/", stdout=output, stderr=output, timeout=120, **as_user
            )

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    authentication = ("--auth-local=trust", "--auth-host=scram-sha-256")
    run("initdb", "-U", "postgres", "--encoding=UTF8", "--locale=C.UTF-8", *authentication)
    listen = (
        f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} "
        "-c fsync=off"
    )
    run("pg_ctl", "start", "-w", "-l", str(folder / "data" / "log"), "-o", listen)
    try:
        superuser = {"host": str(folder), "port": port, "user": "postgres"}
        with psycopg.connect(**superuser, dbname="postgres", autocommit=True) as connection:
            connection.execute(
                sql.SQL("create role captioner login createdb createrole password {}").format(
                    _PASSWORD
                )
            )
        url = psycopg.conninfo.make_conninfo(
            host="127.0.0.1", port=port, user="captioner", password=_PASSWORD, dbname="ytcaption"
        )
        settings = Settings(home=folder, database_url=url, _env_file=None)  # pyright: ignore
        if is_migrated:
            migrate(settings)
        superuser_url = psycopg.conninfo.make_conninfo(**superuser, dbname="ytcaption")
        yield DatabaseServer(name, database_urls(settings).admin, superuser_url)
    finally:
        run("pg_ctl", "stop", "-w", "-m", "immediate")
