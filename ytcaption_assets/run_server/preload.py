"""The code that the run server holds: imported before the first fork."""

import os

from resources.processes.fork_server import preload_modules

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
    "resources.orchestration.storage",
    "resources.orchestration.compute_logs",
    "resources.orchestration.launcher",
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
    """Import what a run needs."""
    wanted = os.environ.get(_BLAS_THREADS)
    os.environ[_BLAS_THREADS] = "1"  # else numpy starts threads when it is imported
    preload_modules(("ytcaption_assets.definitions", *_MODULES))
    del os.environ[_BLAS_THREADS]
    if wanted is not None:
        os.environ[_BLAS_THREADS] = wanted
