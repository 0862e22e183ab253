"""pg_dump and its like on any server, as this process's user: the embedded Postgres brings them."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from psycopg.conninfo import conninfo_to_dict

from resources.postgres.programs import MAJOR, programs_folder
from ytcaption.domain.errors import DiskFull, SetupError, StorageError

_DEBIAN = Path("/usr/lib/postgresql")

_HEADING_LINES = 60
_LATER_SETTING = b"SET transaction_timeout"
"""pg_restore 17 and later begin with it, whatever the server; those before 17 refuse it."""


def dump(url: str, path: Path, arguments: Sequence[str], *, server_major: int) -> None:
    """Have pg_dump write a file, for as long as it takes.

    Raises:
        StorageError: it failed; with the line that says why.
        SetupError: there is none for this server.
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
    """Put a file of pg_dump into a database in one transaction.

    Raises:
        as `dump`.
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
        with suppress(BrokenPipeError):  # psql has failed, and says why
            _pass_on(pg_restore.stdout, psql.stdin, server_major)
            if pg_restore.wait() != 0:
                psql.kill()  # so that it does not commit a part
                raise _failure("pg_restore", pg_restore.stderr.read())
            psql.stdin.close()
        said = psql.stderr.read()
        pg_restore.stdout.close()  # which ends it where psql ended first
        if psql.wait() != 0:
            raise _failure("psql", said)


def client_program(name: str, server_major: int) -> Path:
    """`pg_dump`, `pg_restore` or `psql`: none older than the server, which would refuse it.

    Raises:
        SetupError: none is installed.
    """
    if server_major <= int(MAJOR):
        with suppress(SetupError):
            return programs_folder() / name
    found = [path for path in (*_DEBIAN.glob(f"*/bin/{name}"), shutil.which(name)) if path]
    by_major = {_major_of(Path(path)): Path(path) for path in found}
    if (newest := max(by_major, default=0)) >= server_major:
        return by_major[newest]
    raise SetupError(
        f"The server is Postgres {server_major}, and this machine has no {name} that is as new. "
        f"Install the client programs of Postgres {server_major}."
    )


def _major_of(program: Path) -> int:
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=30)
    found = re.search(r"\) ([0-9]+)", done.stdout)
    return int(found[1]) if found else 0


@contextmanager
def _environment(url: str, folder: Path) -> Iterator[dict[str, str]]:
    """With the database in a file that only this user can read: everybody sees arguments."""
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


def _pass_on(source: IO[bytes], target: IO[bytes], server_major: int) -> None:
    for number, line in enumerate(source):
        if not (server_major < 17 and line.startswith(_LATER_SETTING)):
            target.write(line)
        if number == _HEADING_LINES:
            break
    shutil.copyfileobj(source, target, 1 << 20)
    target.flush()


def _failure(program: str, said: bytes) -> StorageError:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    if any("No space left" in line for line in lines):
        return DiskFull("No space is left for a copy of the database. Free some, and repeat it.")
    telling = [line for line in lines if "error" in line.lower()] or lines
    return StorageError(f"{program} failed: {telling[0] if telling else 'it said nothing.'}")
