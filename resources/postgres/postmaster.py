"""The embedded Postgres: its files, and starting and stopping its one process by `pg_ctl`."""

import os
import shlex
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from resources.disk import fsync, is_disk_full
from resources.postgres.programs import MAJOR, START_TIMEOUT_S, run_program, server_user
from resources.postgres.urls import PORT, SOCKET_NAME, SUPERUSER, postgres_folder, socket_folder
from ytcaption.domain.errors import DiskFull, SetupError
from ytcaption.settings import Settings

# Relative to the folder.
_DATA, _FRESH, _LOG = "data", "new", "../postgres.log"
_ORPHANS_TIMEOUT_S = 20.0
_LARGEST_LOG_BYTES = 16 * 1024**2

_MEBI = 1024**2
_LEAST_BUFFERS_MB, _MOST_BUFFERS_MB = 64, 512

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
    # A failed statement's text may hold titles and captions: the message is enough.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",  # so may a row that a constraint refuses
}


def shared_buffers_mb() -> int:
    """What the server keeps of its files: a 32nd of the memory, within bounds. Searches of a large
    library read a thousand pages, each twenty times as quickly from there."""
    memory_mb = psutil.virtual_memory().total // _MEBI
    return min(_MOST_BUFFERS_MB, max(_LEAST_BUFFERS_MB, memory_mb // 32))


@dataclass(frozen=True)
class Postmaster:
    """One embedded server, running or not."""

    folder: Path
    socket: Path
    log: Path

    @classmethod
    def of(cls, settings: Settings) -> "Postmaster":
        """The server of this home."""
        return cls(
            postgres_folder(settings), socket_folder(settings), settings.home / "postgres.log"
        )

    @property
    def data(self) -> Path:
        """Postgres's data directory."""
        return self.folder / _DATA

    def make_folders(self) -> None:
        """Make its folders, closed to other users.

        Raises:
            SetupError: the home cannot be written.
            DiskFull: no space.
        """
        try:
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.folder, self.socket.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
                _require_own(folder)
        except OSError as error:
            raise _setup_error(self.folder.parent, error) from error

    def make_data(self) -> None:
        """Make the data directory unless there is one. By one process at a time.

        Raises:
            SetupError: it cannot be made, or it is of another Postgres.
            DiskFull: no space.
        """
        owner = server_user(self.data)
        try:
            self.socket.mkdir(mode=0o700, exist_ok=True)
            if self.log.exists() and self.log.stat().st_size > _LARGEST_LOG_BYTES:
                self.log.replace(self.log.with_suffix(".log.1"))
            self.log.touch(mode=0o600)
            if owner is not None:
                for path in (self.socket, self.log):
                    os.chown(path, *owner)
            if not self.data.exists():
                self._initialise(owner)
            version = (self.data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise _setup_error(self.folder.parent, error) from error
        if version != MAJOR:
            raise SetupError(
                f"The database in {self.data} was made by Postgres {version}, and this "
                f"installation brings Postgres {MAJOR}. Use the ytcaption that made it, or another "
                "YTCAPTION_HOME."
            )

    def is_running(self) -> bool:
        """Whether it answers on its socket."""
        if not (self.socket / SOCKET_NAME).exists():
            return False
        try:
            with psycopg.connect(
                host=str(self.socket),
                port=PORT,
                user=SUPERUSER,
                dbname=SUPERUSER,
                connect_timeout=10,
            ):
                return True
        except psycopg.OperationalError:
            return False

    def start(self) -> None:
        """Start it and wait until it answers, in a session of its own: Ctrl-C does not reach it.

        Raises:
            SetupError: it does not start; with the last line of its log.
            DiskFull: no space.
        """
        self._forget_dead_server()
        options = {
            **_SERVER_SETTINGS,
            "shared_buffers": f"{shared_buffers_mb()}MB",
            "unix_socket_directories": _list_item(str(self.socket)),
        }
        command = " ".join(
            f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items()
        )
        seen = self.log.stat().st_size
        wait = ("-w", "-t", str(START_TIMEOUT_S))
        try:
            self._run("pg_ctl", "start", "-D", _DATA, *wait, "-l", _LOG, "-o", command)
        except subprocess.SubprocessError as error:
            raise self._start_error(seen) from error

    def stop(self) -> None:
        """Stop it; open sessions are ended."""
        for mode in ("fast", "immediate"):
            try:
                self._run("pg_ctl", "stop", "-D", _DATA, "-w", "-t", "30", "-m", mode)
            except subprocess.SubprocessError:
                continue
            return

    def _initialise(self, owner: tuple[int, int] | None) -> None:
        # Beside, then renamed: a half-made data directory is never taken for a database.
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
            if "No space left" in error.stderr:
                raise DiskFull(
                    "No space is left on the disk for the database. Free some and try again."
                ) from error
            raise SetupError(
                f"The embedded Postgres could not make its database: {_last_line(error.stderr)}"
            ) from error
        fresh.rename(self.data)
        fsync(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        run_program(program, arguments, folder=self.folder, owner=server_user(self.data))

    def _forget_dead_server(self) -> None:
        # After kill -9 the number in its lock files may be a dead process's that nobody has waited
        # for yet, and after a restart of the machine or container another one's. For both, Postgres
        # refuses to start. But no server may start while a child of the dead one still writes.
        lock_files = (self.data / "postmaster.pid", self.socket / f"{SOCKET_NAME}.lock")
        deadline = time.monotonic() + _ORPHANS_TIMEOUT_S
        while any(file.exists() for file in lock_files) and time.monotonic() < deadline:
            if not self._has_processes():
                for file in lock_files:
                    file.unlink(missing_ok=True)
            time.sleep(0.05)

    def _has_processes(self) -> bool:
        data = self.data.resolve()
        for process in psutil.process_iter(["name"]):
            # A dead one has no working directory.
            with suppress(psutil.Error):
                if process.info["name"] == "postgres" and Path(process.cwd()) == data:
                    return True
        return False

    def _start_error(self, seen: int) -> SetupError | DiskFull:
        with self.log.open(errors="replace") as log:
            log.seek(seen)
            lines = log.read().splitlines()
        if any("No space left" in line for line in lines):
            return DiskFull(
                "No space is left on the disk for the database. Free some and try again."
            )
        telling = [line for line in lines if "FATAL" in line or "PANIC" in line] or lines
        return SetupError(
            f"The embedded Postgres did not start: {_last_line(chr(10).join(telling))} "
            f"Its log is {self.log}."
        )


def _require_own(folder: Path) -> None:
    # Somebody else's folder of that name in /tmp would hand them the database.
    stat = folder.lstat()
    if folder.is_symlink() or stat.st_uid != os.geteuid():
        raise SetupError(f"{folder} belongs to somebody else. Remove it, or set YTCAPTION_HOME.")
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


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing."
