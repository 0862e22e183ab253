"""The code that the run server holds: imported before the first fork, and whether it is current."""

import gc
import importlib
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_OUR_PACKAGES = ("ytcaption_assets", "resources", "sensors")

# Measured to start no thread when they are imported. Others of a run are left to it: numpy starts
# the pool of its linear algebra.
_MODULES = (
    "dagster._cli.api",
    "dagster_postgres",
    "psycopg2",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "psycopg_pool",
    "resources.warm_run_launcher",
)


def hold_code() -> None:
    """Import what a run needs, and keep the garbage collector from touching it: a page that nobody
    writes to is shared with every fork."""
    from ytcaption_assets import definitions

    assert definitions.defs is not None
    for name in _MODULES:
        with suppress(ImportError):  # the run that needs it says so
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def code_state() -> tuple[tuple[str, int, int], ...]:
    """Path, time and size of all that decides what a fresh interpreter would run: our own files,
    the lists of what is installed, the interpreter's configuration and `.env`."""
    found = []
    for path in _watched():
        with suppress(OSError):  # it is not there, as `.env` as a rule
            status = path.stat()
            found.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(sorted(found))


def thread_count() -> int:
    """Threads of this process, those of C libraries included."""
    return len(list(Path("/proc/self/task").iterdir()))


def _watched() -> Iterator[Path]:
    for name in _OUR_PACKAGES:
        for folder in importlib.import_module(name).__path__:
            yield from Path(folder).rglob("*.py")
    yield from (Path(sysconfig.get_path(scheme)) for scheme in ("purelib", "platlib"))
    yield Path(sys.prefix) / "pyvenv.cfg"
    yield Path(".env")
