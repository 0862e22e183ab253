"""What stands behind the address of a database: a server, a standby or a pooler."""

import getpass
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from resources.postgres.server_check import check_server, check_servers
from tests.support.frozen import read_only
from tests.support.patience import wait_for
from tests.support.servers.postgres_servers import DEBIAN_PROGRAMS, DatabaseServer
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.settings.settings import Settings

pytestmark = pytest.mark.postgres

NAME = "YTCAPTION_DATABASE_URL"
PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(
    PGBOUNCER is None or not DEBIAN_PROGRAMS, reason="apt install pgbouncer postgresql"
)
on_debians = pytest.mark.parametrize("database_server", [*DEBIAN_PROGRAMS][:1], indirect=True)
USER = "nobody" if os.geteuid() == 0 else getpass.getuser()


@contextmanager
def pooler(server: DatabaseServer, folder: Path, mode: str, **options: int) -> Iterator[str]:
    """The URL of a server behind PgBouncer."""
    parameters = conninfo_to_dict(server.url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.chmod(0o777)
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": mode,
        "logfile": folder / "log",
        **options,
    }
    target = " ".join(f"{name}='{value}'" for name, value in parameters.items())
    lines = ["[databases]", f"ytcaption = {target}", "[pgbouncer]"]
    lines += [f"{name} = {value}" for name, value in settings.items()]
    (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    as_user = {"user": USER, "group": pwd.getpwnam(USER).pw_gid} if os.geteuid() == 0 else {}
    process = subprocess.Popen([str(PGBOUNCER), "-q", str(folder / "pgbouncer.ini")], **as_user)
    url = f"postgresql://postgres@127.0.0.1:{port}/ytcaption"
    try:
        wait_for(lambda: _answers(url))
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that the server's user reaches."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


@needs_pgbouncer
@on_debians
@pytest.mark.parametrize(
    "options", [{}, {"default_pool_size": 1}, {"server_round_robin": 1, "min_pool_size": 5}]
)
def test_a_pooler_in_transaction_mode_is_refused(database_server, folder, options):
    """However it chooses connections; the message says what to do."""
    with (
        pooler(database_server, folder, "transaction", **options) as url,
        pytest.raises(SetupError, match=r"transaction mode.*session mode"),
    ):
        check_server(url, NAME)


@needs_pgbouncer
@on_debians
def test_a_pooler_in_session_mode_works(database_server, folder):
    """Each of our connections has one of the server's."""
    with pooler(database_server, folder, "session") as url:
        check_server(url, NAME)


def test_a_server_is_accepted(database_server):
    """The one of the tests."""
    check_server(database_server.url, NAME)


def test_a_read_only_database_is_refused(database_server):
    """At start; later it answers 503."""
    with read_only(database_server), pytest.raises(SetupError, match="read-only"):
        check_server(database_server.url, NAME)


@pytest.mark.slow
@pytest.mark.skipif(not DEBIAN_PROGRAMS, reason="needs Debian's Postgres")
def test_a_standby_is_refused(folder):
    """A server in recovery: the message says how to name the primary."""
    programs = next(iter(DEBIAN_PROGRAMS.values()))
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
    as_user = {"user": USER, "group": pwd.getpwnam(USER).pw_gid} if os.geteuid() == 0 else {}

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(folder / "data"), *arguments]
        with (folder / f"{program}.out").open("w") as output:
            subprocess.run(command, check=True, cwd="/", stdout=output, stderr=output, **as_user)

    run("initdb", "-U", "postgres", "--auth=trust", "--no-sync")
    (folder / "data" / "standby.signal").touch()
    run(
        *("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o"),
        f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off",
    )
    try:
        url = make_conninfo(host=str(folder), user="postgres", dbname="postgres")
        with pytest.raises(SetupError, match=r"standby.*target_session_attrs"):
            check_server(url, NAME)
    finally:
        run("pg_ctl", "stop", "-w", "-m", "immediate")


@on_debians
def test_a_database_that_is_missing_is_left_to_migrate(
    database_server: DatabaseServer, settings: Settings
):
    """It is created there; the server behind it is checked all the same."""
    missing = make_conninfo(database_server.url, dbname="not_there_yet")
    check_servers(settings.changed(database_url=SecretStr(missing)))
    with read_only(database_server), pytest.raises(SetupError, match="read-only"):
        check_servers(settings.changed(database_url=SecretStr(missing)))


@on_debians
def test_a_wrong_password_is_said(database_server: DatabaseServer, settings: Settings):
    """With the setting and the database, and without the password."""
    wrong = make_conninfo(database_server.url, password="not-this-one")
    with pytest.raises(DatabaseUnavailable, match=r"YTCAPTION_DATABASE_URL.*password") as caught:
        check_servers(settings.changed(database_url=SecretStr(wrong)))
    assert "not-this-one" not in str(caught.value)
