"""The sandboxed process that runs one untrusted SELECT over the lake's files.

Started by `query.py` as `python -I query_child.py` with an empty environment; it imports nothing
of this project. Input: one JSON object on standard input. Output: a dot when the query begins; at
its end one line of JSON, then the rows as an Arrow stream.

Before DuckDB is loaded, the process irrevocably gives up writing files, opening files other than
the lake's and the libraries', the network, and memory and time beyond its limits.
See docs/adr/security-rules.md#rule-27.
"""

import ctypes
import json
import os
import resource
import signal
import struct
import sys
import traceback
from contextlib import suppress

_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_LANDLOCK_VERSION, _LANDLOCK_PATH_BENEATH = 1, 1
_READ_FILE, _READ_DIR = 4, 8
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38

_LIBRARY_FOLDERS = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/sys/fs/cgroup")
_SYSTEM_FILES = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/proc/self/cgroup",
    "/proc/self/status",
    "/proc/stat",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu/online",
    "/dev/urandom",
)
START_S = 30.0
"""Longest time until the query begins, while Python starts and DuckDB loads on a busy machine."""

_MAX_ERROR_LENGTH = 100_000
_DUCKDB_SHARE = 0.4  # of the address space; Python, Arrow, libraries and stacks need the rest
_LITTLE_BYTES = 32 * 1024**2
"""With less address space left than this, a failure may have been caused by lack of it."""


def limit_resources(memory_bytes: int, time_s: float) -> None:
    """Limit memory, processor time and open files, and forbid writing to files."""
    bounds = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CPU: int(time_s + START_S) + 1,
        resource.RLIMIT_AS: memory_bytes,
    }
    for kind, bound in bounds.items():
        # macOS defines RLIMIT_AS but refuses to set it.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (bound, bound))
    # The parent kills the process at its limit; if the parent was killed, the alarm does.
    signal.setitimer(signal.ITIMER_REAL, time_s + START_S)


def confine(paths: list[str]) -> bool:
    """Restrict the process to reading `paths` and the libraries; return whether the kernel can.

    The restriction does not apply to threads that already run, so call it before numpy, Arrow and
    DuckDB are loaded.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION)
    if version < 1:
        return False
    # All rights that this version knows: files (13 in the first), TCP, and scopes (signals and
    # abstract sockets).
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    fields = [files] + ([3] if version >= 4 else []) + ([3] if version >= 6 else [])
    rules = struct.pack(f"{len(fields)}Q", *fields)
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, rules, len(rules), 0)
    if ruleset < 0:
        return False
    folders = {*_LIBRARY_FOLDERS, sys.prefix, sys.base_prefix, *sys.path}
    for path in [*folders, *_SYSTEM_FILES, *paths]:
        _allow_reading(libc, ruleset, path)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) != 0:
        return False
    os.close(ruleset)
    return True


def _allow_reading(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # a missing file needs no right
    rights = _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)  # noqa: PTH112
    rule = struct.pack("=Qi", rights, descriptor)
    libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_PATH_BENEATH, rule, 0)
    os.close(descriptor)


class Refused(Exception):
    """The query is not allowed; the message says why."""


def run_select(request: dict) -> tuple[dict, bytes]:
    """Run the SELECT; return the header and the rows as an Arrow stream."""
    # To inspect a parameter DuckDB would import pandas, which takes as long as everything else.
    sys.modules["pandas"] = None  # pyright: ignore[reportArgumentType]
    import duckdb
    import pyarrow as pa

    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{int(request['memory_bytes'] * _DUCKDB_SHARE)}B",
            "threads": "1",
            "temp_directory": "",
            "home_directory": "/nowhere",
            "extension_directory": "/nowhere",
            "secret_directory": "/nowhere",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
        },
    )
    paths = ", ".join("'" + path.replace("'", "''") + "'" for path in request["paths"])
    connection.execute(f"set allowed_paths = [{paths}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("create schema given")
    connection.execute(
        "create table given.title as select unnest($media_ids::varchar[]) as media_id, "
        "unnest($titles::varchar[]) as title",
        {"media_ids": list(request["titles"]), "titles": list(request["titles"].values())},
    )
    for view in request["views"]:
        connection.execute(view)
    optimizers = ",".join(request["optimizers_off"])
    connection.execute(f"set disabled_optimizers = '{optimizers}'")
    connection.execute("set lock_configuration = true")
    os.write(sys.stdout.fileno(), b".")

    statements = connection.extract_statements(request["sql"])
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise Refused("Only a single SELECT statement is allowed.")
    values = request["parameters"]
    relation = connection.query(statements[0], params=values)  # pyright: ignore[reportArgumentType]
    reader = relation.to_arrow_reader(1024)
    rows_left, bytes_left, batches = request["rows"], request["bytes"], []
    is_truncated = False
    for batch in reader:
        if batch.num_rows > rows_left:
            batch, is_truncated = batch.slice(0, rows_left), True
        batches.append(batch)
        rows_left -= batch.num_rows
        bytes_left -= batch.nbytes
        if bytes_left < 0:
            raise Refused(
                f"The result is larger than {request['bytes'] >> 20} MiB. "
                "Select fewer columns or rows."
            )
        if is_truncated:
            break
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, reader.schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
    types = [str(type_) for type_ in relation.types]
    return {"is_truncated": is_truncated, "types": types}, sink.getvalue().to_pybytes()


def main() -> None:
    """Read the request and write the response."""
    request = json.load(sys.stdin.buffer)
    limit_resources(request["memory_bytes"], request["time_s"])
    confine(request["paths"])
    # Otherwise OpenBLAS and mimalloc reserve address space per core.
    os.environ.update(OPENBLAS_NUM_THREADS="1", ARROW_DEFAULT_MEMORY_POOL="system")
    data = b""
    try:
        header, data = run_select(request)
    except Refused as refusal:
        header = {"error": str(refusal)}
    except MemoryError:
        header = {"is_out_of_memory": True}
    except Exception as error:
        text = str(error)[:_MAX_ERROR_LENGTH]  # `error()` has the query's own words
        header = {"error": text, "was_full": was_full(request["memory_bytes"])}
        if not is_of_duckdb(error):
            header = {"failure": traceback.format_exc()}
        elif "Out of Memory Error" in text:
            header = {"is_out_of_memory": True}
    out = sys.stdout.buffer
    out.write(json.dumps(header).encode() + b"\n" + data)
    out.flush()
    os._exit(0)  # no cleanup is needed, and threads must not delay the exit


def was_full(memory_bytes: int) -> bool:
    """Return whether nearly all of the address space was used at some time."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
            [peak] = [line for line in status if line.startswith("VmPeak:")]
    except (OSError, ValueError):
        return False  # macOS, which does not limit it either
    return memory_bytes - int(peak.split()[1]) * 1024 < _LITTLE_BYTES


def is_of_duckdb(error: Exception) -> bool:
    """Return whether DuckDB raised the error, directly or through Arrow while rows are read."""
    return any(base.__module__ in ("_duckdb", "pyarrow.lib") for base in type(error).__mro__)


if __name__ == "__main__":
    main()
