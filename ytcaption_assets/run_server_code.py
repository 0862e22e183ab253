"""The code that the run server holds: imported before the first fork, and whether it is current."""

import gc
import importlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_OUR_PACKAGES = ("ytcaption_assets", "resources", "sensors")

# What runs were seen to import, and which starts no thread. duckdb, pyarrow and onnxruntime start
# one each, and are left to the run.
_MODULES = (
    "dagster._cli.api",
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.storage.root",
    "dagster._core.system_config.composite_descent",
    "upath.implementations.local",
    "fsspec.implementations.local",
    "encodings.idna",
    "resources.dagster_storage",
    "resources.run_logs",
    "resources.warm_run_launcher",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "psycopg2.extras",
    "psycopg_pool",
    "boto3",
    "pysubs2",
    "PIL.Image",
    "av",
    "tokenizers",
    "ctranslate2",
    "faster_whisper",
)

_BLAS_THREADS = "OPENBLAS_NUM_THREADS"


def hold_code() -> None:
    """Import what a run needs, and keep the garbage collector from touching it: a page that nobody
    writes to is shared with every fork."""
    wanted = os.environ.get(_BLAS_THREADS)
    os.environ[_BLAS_THREADS] = "1"  # else numpy starts threads when it is imported
    for name in ("ytcaption_assets.definitions", *_MODULES):
        with suppress(ImportError):  # the run that needs it says so
            importlib.import_module(name)
    del os.environ[_BLAS_THREADS]
    if wanted is not None:
        os.environ[_BLAS_THREADS] = wanted
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
