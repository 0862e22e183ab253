"""The database server of an installation: the embedded Postgres, or the one that is set.

The embedded server belongs to a home. The first process that uses it starts it, the last one stops
it, by `pg_ctl`.
"""

import fcntl
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from resources.disk import fsync, is_disk_full
from resources.postgres.connection import close_pools
from resources.postgres.programs import MAJOR, START_TIMEOUT_S, run_program, server_user
from resources.postgres.restore_mark import require_settled
from resources.postgres.server_output import error_of_output
from resources.postgres.urls import (
    PORT,
    SUPERUSER,
    database_urls,
    postgres_folder,
    socket_folder,
    with_database,
)
from ytcaption.domain.errors import DatabaseUnavailable, DiskFull, SetupError
from ytcaption.settings.settings import Settings

# Relative to the folder of the server.
_DATA, _FRESH, _LOG = "data", "new", "../postgres.log"
UPGRADED = "upgraded"
"""The data of an upgrade, once it is complete."""
_ORPHANS_TIMEOUT_S = 20.0
_MAX_LOG_BYTES = 16 * 1024**2

_MEBI = 1024**2
_MIN_BUFFERS_MB, _MAX_BUFFERS_MB = 64, 512

_SERVER_SETTINGS = {
    "listen_addresses": "",
    "port": PORT,
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "log_checkpoints": "off",
    # The message is enough: the text of a failed statement may hold titles and captions.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",  # the detail quotes rows, which may hold them too
}


def shared_buffers_mb() -> int:
    """Return the size of the server's page cache: a 32nd of the memory, within bounds.

    A search in a large library reads a thousand pages, each 20 times faster from this cache.
    """
    memory_mb = psutil.virtual_memory().total // _MEBI
    return min(_MAX_BUFFERS_MB, max(_MIN_BUFFERS_MB, memory_mb // 32))


@dataclass(frozen=True)
class EmbeddedServer:
    """The embedded server of one home, running or not.

    Attributes:
        programs: folder of its programs; None: those that the wheel has for today's version.
        data_name: name of the data directory, in the server's folder.
        port: in the name of its socket.
    """

    folder: Path
    socket: Path
    log: Path
    programs: Path | None = None
    data_name: str = _DATA
    port: str = PORT

    @classmethod
    def of(cls, settings: Settings) -> "EmbeddedServer":
        """Return the server of the settings' home."""
        return cls(
            postgres_folder(settings), socket_folder(settings), settings.home / "postgres.log"
        )

    @property
    def data(self) -> Path:
        """Return Postgres's data directory."""
        return self.folder / self.data_name

    def url(self, database: str) -> str:
        """Return the URL of one of its databases, for its superuser."""
        return make_conninfo(host=str(self.socket), port=self.port, user=SUPERUSER, dbname=database)

    def make_folders(self) -> None:
        """Create its folders, closed to other users.

        Raises:
            SetupError: the home cannot be written.
            DiskFull: no space left.
        """
        try:
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.folder, self.socket.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
                _require_own(folder)
        except OSError as error:
            raise _setup_error(self.folder.parent, error) from error

    def make_data(self) -> None:
        """Create the data directory unless it exists. Call it in one process at a time.

        Raises:
            SetupError: it cannot be created, or is another Postgres's.
            DiskFull: no space left.
        """
        owner = server_user(self.data)
        try:
            self.socket.mkdir(mode=0o700, exist_ok=True)
            if self.log.exists() and self.log.stat().st_size > _MAX_LOG_BYTES:
                self.log.replace(self.log.with_suffix(".log.1"))
            self.log.touch(mode=0o600)
            if owner is not None:
                for path in (self.socket, self.log):
                    os.chown(path, *owner)
            finish_upgrade(self.folder)
            if not self.data.exists():
                self.initialise(owner)
            version = (self.data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise _setup_error(self.folder.parent, error) from error
        if version != MAJOR:
            raise SetupError(
                f"The database in {self.data} was made by Postgres {version}, and this "
                f"installation brings Postgres {MAJOR}. Run `ytcaption upgrade-database`."
            )

    def is_running(self) -> bool:
        """Return whether it answers on its socket."""
        if not (self.socket / self._socket_name).exists():
            return False
        try:
            with psycopg.connect(self.url(SUPERUSER), connect_timeout=10):
                return True
        except psycopg.OperationalError:
            return False

    def start(self) -> None:
        """Start it in a session of its own, which Ctrl-C does not reach; wait until it answers.

        Raises:
            SetupError: it does not start; with the last line of its log.
            DiskFull: no space left.
        """
        self._remove_stale_locks()
        options = {
            **_SERVER_SETTINGS,
            "port": self.port,
            "shared_buffers": f"{shared_buffers_mb()}MB",
            "unix_socket_directories": _list_item(str(self.socket)),
        }
        command = " ".join(
            f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items()
        )
        log_start = self.log.stat().st_size
        wait = ("-w", "-t", str(START_TIMEOUT_S))
        try:
            self._run("pg_ctl", "start", "-D", self.data_name, *wait, "-l", _LOG, "-o", command)
        except subprocess.SubprocessError as error:
            raise self._start_error(log_start) from error

    def stop(self) -> None:
        """Stop it and end its open sessions."""
        for mode in ("fast", "immediate"):
            try:
                self._run("pg_ctl", "stop", "-D", self.data_name, "-w", "-t", "30", "-m", mode)
            except subprocess.SubprocessError:
                continue
            return

    def initialise(self, owner: tuple[int, int] | None) -> None:
        """Create the data directory.

        Raises:
            SetupError, DiskFull: as `make_data`.
            OSError.
        """
        # Created under another name, then renamed: an incomplete one never passes for a database.
        fresh = self.folder / _FRESH
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if owner is not None:
            os.chown(fresh, *owner)
        # Postgres's own C.UTF-8: an index stays right when the machine's locales change.
        locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        arguments = ("-D", _FRESH, "--encoding=UTF8", *locale, "--auth=trust", "-U", SUPERUSER)
        try:
            run_program("initdb", arguments, folder=self.folder, owner=owner)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(fresh, ignore_errors=True)
            raise error_of_output(
                error.stderr, "The embedded Postgres could not create its database"
            ) from error
        fresh.rename(self.data)
        fsync(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        owner = server_user(self.data)
        run_program(program, arguments, folder=self.folder, owner=owner, programs=self.programs)

    @property
    def _socket_name(self) -> str:
        return f".s.PGSQL.{self.port}"

    def _remove_stale_locks(self) -> None:
        # Postgres refuses to start while the process number in its lock files is in use: after
        # kill -9 by the dead server, until it is reaped; after a restart of the machine or
        # container by any process. But no server may start while a child of the dead one writes.
        lock_files = (self.data / "postmaster.pid", self.socket / f"{self._socket_name}.lock")
        deadline = time.monotonic() + _ORPHANS_TIMEOUT_S
        while any(file.exists() for file in lock_files) and time.monotonic() < deadline:
            if not self.has_processes():
                for file in lock_files:
                    file.unlink(missing_ok=True)
            time.sleep(0.05)

    def has_processes(self) -> bool:
        """Return whether processes of Postgres work in the data directory."""
        data = self.data.resolve()
        for process in psutil.process_iter(["name"]):
            # A zombie has no working directory.
            with suppress(psutil.Error):
                if process.info["name"] == "postgres" and Path(process.cwd()) == data:
                    return True
        return False

    def _start_error(self, log_start: int) -> SetupError | DiskFull:
        with self.log.open(errors="replace") as log:
            log.seek(log_start)
            lines = log.read().splitlines()
        error = error_of_output("\n".join(lines), "The embedded Postgres did not start")
        return (
            error if isinstance(error, DiskFull) else type(error)(f"{error} Its log is {self.log}.")
        )


def finish_upgrade(folder: Path) -> None:
    """Give the data of an upgrade that is complete its name, and keep the earlier data beside it.

    Args:
        folder: of the server; nobody else may start it meanwhile.
    """
    upgraded, data = folder / UPGRADED, folder / _DATA
    if not upgraded.exists():
        return
    if data.exists():
        data.rename(folder / f"{_DATA}-{(data / 'PG_VERSION').read_text().strip()}")
    upgraded.rename(data)
    fsync(folder)


@contextmanager
def running_postgres(settings: Settings, *, in_restore: bool = False) -> Iterator[None]:
    """Keep a database running while the context lasts.

    Without a `database_url` it is the embedded server: the first user, in any process, starts it,
    and the last one stops it. Each user holds a shared lock on a file, which the kernel releases
    however the process ends, so that kill -9 leaves no stale count.

    Args:
        in_restore: also while a restore has begun and not ended; for what restores.

    Raises:
        SetupError: the embedded server cannot be started here, or a restore has not ended.
        DiskFull: no space left for it.
        DatabaseUnavailable: the server that is set does not answer.
    """
    if not in_restore:
        require_settled(settings)
    if settings.storage.database_url is not None:
        _require_answer(database_urls(settings).admin)
        try:
            yield
        finally:
            close_pools(database_urls(settings))
        return
    server = EmbeddedServer.of(settings)
    server.make_folders()
    with starting_lock(server):
        users = _lock(server.folder / "users.lock", fcntl.LOCK_SH)
        try:
            if not server.is_running():
                server.make_data()
                server.start()
        except BaseException:
            os.close(users)
            raise
    try:
        yield
    finally:
        # First: pools that lose their server log errors.
        close_pools(database_urls(settings))
        with starting_lock(server):
            os.close(users)
            _stop_if_unused(server)


def ensure_postgres(settings: Settings) -> None:
    """Start the embedded server again if it died. Call it inside `running_postgres`.

    Raises:
        SetupError, DiskFull, DatabaseUnavailable: as `running_postgres`.
    """
    if settings.storage.database_url is not None:
        _require_answer(database_urls(settings).admin)
        return
    server = EmbeddedServer.of(settings)
    if not server.is_running():
        with starting_lock(server):
            if not server.is_running():
                server.start()


def is_postgres_running(settings: Settings) -> bool:
    """Return whether the database answers; start nothing."""
    if settings.storage.database_url is None:
        return EmbeddedServer.of(settings).is_running()
    try:
        _require_answer(database_urls(settings).admin)
    except DatabaseUnavailable:
        return False
    return True


def _stop_if_unused(server: EmbeddedServer) -> None:
    try:
        alone = _lock(server.folder / "users.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    try:
        server.stop()
    finally:
        os.close(alone)


def _lock(path: Path, mode: int) -> int:
    # Closed, never unlocked: a forked child shares the lock and may still need the server.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def starting_lock(server: EmbeddedServer) -> Iterator[None]:
    """Let no other process start or stop the server while the context lasts."""
    descriptor = _lock(server.folder / "starting.lock", fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _require_answer(url: str) -> None:
    # Also the second: `migrate` may still have to create the first.
    for candidate in (url, with_database(url, "postgres")):
        try:
            psycopg.connect(candidate, connect_timeout=10).close()
        except psycopg.OperationalError as error:
            cause = error
        else:
            return
    raise DatabaseUnavailable(
        "The Postgres server of YTCAPTION_DATABASE_URL does not answer or refuses the log-in. "
        "Check that it runs and that the address, user and password are right."
    ) from cause


def _require_own(folder: Path) -> None:
    # A folder of this name in /tmp that another user owns would give them the database.
    stat = folder.lstat()
    if folder.is_symlink() or stat.st_uid != os.geteuid():
        raise SetupError(f"{folder} belongs to another user. Remove it, or set YTCAPTION_HOME.")
    if stat.st_mode & 0o077:
        folder.chmod(0o700)


def _setup_error(home: Path, error: OSError) -> SetupError | DiskFull:
    if is_disk_full(error):
        return DiskFull("No space is left on the disk for the database. Free some and try again.")
    return SetupError(
        f"{home} cannot be used as YTCAPTION_HOME: {error.strerror}. "
        "Make it writable, or set YTCAPTION_HOME to another folder."
    )


def _list_item(path: str) -> str:
    return '"' + path.replace('"', '""') + '"'
