"""Modules that the run server imports before the first fork."""

import os

from resources.orchestration.dagster_internals import PRELOADED_MODULES
from resources.processes.fork_server import preload_modules

# Modules that runs import and that start no thread. duckdb, pyarrow and onnxruntime start threads,
# so each run imports them itself.
_MODULES = (
    *PRELOADED_MODULES,
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
    """Import the definitions and the modules that runs need."""
    wanted = os.environ.get(_BLAS_THREADS)
    os.environ[_BLAS_THREADS] = "1"  # otherwise importing numpy starts threads
    preload_modules(("ytcaption_assets.definitions", *_MODULES))
    del os.environ[_BLAS_THREADS]
    if wanted is not None:
        os.environ[_BLAS_THREADS] = wanted
