"""Untrusted SELECTs over the lake, each run in a sandboxed child process."""

import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from resources.lake import query_child
from resources.lake.connection import DAMAGED
from resources.lake.files import LakeFiles, all_paths, view_statements, with_current_files
from resources.lake.result_size import expanded_bytes
from resources.lake.views import LIBRARY
from ytcaption.domain.errors import LakeUnavailable, QueryError

if TYPE_CHECKING:
    import pyarrow as pa

MAX_SQL_LENGTH = 100_000
MAX_RESULT_BYTES = 64 * 1024**2
LEAST_MEMORY_BYTES = 768 * 1024**2
"""Address space in which Python, Arrow and DuckDB start and small queries run."""

_MAX_RESPONSE_BYTES = 2 * MAX_RESULT_BYTES  # with Arrow's padding and messages
_MAX_HEADER_BYTES = 1024**2
"""Most bytes of the columns' types and names."""
_BATCH_CELLS, _BATCH_BYTES = 100_000, 4 * 1024**2
_TIME_TYPES = ("time", "date", "duration", "interval")
"""Words in Arrow's names of the types of which Python lacks some values."""
_BROKEN_FILE = ("TProtocolException", "don't know what type", "ZSTD Decompression")
"""DuckDB's words for a Parquet file with wrong bytes, in messages that do not name the file."""
_TIMEOUT_RETURN_CODES = {-signal.SIGXCPU, -signal.SIGALRM}

_log = logging.getLogger(__name__)


class QueryStop:
    """Ends a query from another thread, such as when its client has disconnected."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kill: Callable[[], None] | None = None
        self._is_set = False

    def set(self) -> None:
        """Kill the query's process; a query that has not started will not start."""
        with self._lock:
            self._is_set = True
            if self._kill is not None:
                self._kill()

    def check(self) -> None:
        """Raise QueryError if `set` was called."""
        if self._is_set:
            raise QueryError("The query was stopped because its client disconnected.")

    @contextmanager
    def kills(self, process: "subprocess.Popen[bytes]") -> Iterator[None]:
        """While the context lasts, let `set` kill the process."""
        with self._lock:
            self._kill = process.kill
            if self._is_set:
                process.kill()
        try:
            yield
        finally:
            with self._lock:
                self._kill = None


@dataclass(frozen=True)
class QueryResult:
    """The rows of a query.

    Attributes:
        types: DuckDB's names of the columns' types.
        is_truncated: there were more rows than the limit.
        elapsed_s: wall seconds of the query itself.
    """

    table: "pa.Table"
    types: tuple[str, ...]
    is_truncated: bool
    elapsed_s: float

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns' names, which may repeat."""
        return tuple(self.table.column_names)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """Return Python values; text where Python has none, such as an infinite timestamp."""
        return [row for batch in self.row_batches() for row in batch]

    def row_batches(self) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows in order, some at a time, so that few are Python values at once."""
        if not self.table.num_rows:
            return
        table = _with_text(self.table)
        row_bytes = table.nbytes // table.num_rows
        row_count = min(
            _BATCH_CELLS // max(table.num_columns, 1), _BATCH_BYTES // max(row_bytes, 1)
        )
        for start in range(0, table.num_rows, max(row_count, 1)):
            batch = table.slice(start, max(row_count, 1))
            yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


def run_query(
    sql: str,
    list_files: Callable[[], LakeFiles],
    *,
    limit: int,
    timeout_s: float,
    memory_bytes: int,
    titles: Mapping[str, str] = MappingProxyType({}),
    parameters: Mapping[str, Any] | None = None,
    optimizers_off: Sequence[str] = (),
    stop: QueryStop | None = None,
) -> QueryResult:
    """Run one SELECT over views of the lake's tables and `library`.

    Args:
        parameters: values of `$name` in it, of JSON's types.
        list_files: returns the tables' local files; called again if some have just been replaced.
        limit: maximum number of rows.
        timeout_s: wall seconds of the query, without Python's start.
        memory_bytes: address space of the process, at least 768 MiB.
        titles: those that came with the caller's requests, by media.
        optimizers_off: names of DuckDB optimizers to disable.
        stop: ends it early.

    Raises:
        QueryError: the statement is refused, fails or exceeds its limits.
        LakeUnavailable: a file of the lake is damaged.
    """
    if len(sql) > MAX_SQL_LENGTH:
        raise QueryError(f"The query is longer than {MAX_SQL_LENGTH:,} characters.")
    stop = stop or QueryStop()
    child = partial(
        _Child,
        sql,
        limit=limit,
        timeout_s=timeout_s,
        memory_bytes=memory_bytes,
        titles=titles,
        parameters=parameters,
        optimizers_off=optimizers_off,
    )
    return with_current_files(list_files, lambda files: child(files).run(stop))


class _Child:
    """A process that runs one query."""

    def __init__(
        self,
        sql: str,
        files: LakeFiles,
        *,
        limit: int,
        timeout_s: float,
        memory_bytes: int,
        titles: Mapping[str, str],
        parameters: Mapping[str, Any] | None,
        optimizers_off: Sequence[str],
    ) -> None:
        self._sql = sql
        self._paths = all_paths(files)
        self._memory_bytes = max(memory_bytes, LEAST_MEMORY_BYTES)
        self._timeout_s = timeout_s
        self._is_late = False
        self._request = {
            "sql": sql,
            "paths": self._paths,
            "titles": dict(titles),
            "views": [*view_statements(files), LIBRARY],
            "rows": limit,
            "bytes": MAX_RESULT_BYTES,
            "time_s": timeout_s,
            "memory_bytes": self._memory_bytes,
            "parameters": parameters,
            "optimizers_off": list(optimizers_off),
        }

    def run(self, stop: QueryStop) -> QueryResult:
        """Start the process, send the query, kill the process at the limit, read the response."""
        stop.check()
        with subprocess.Popen(
            [sys.executable, "-I", query_child.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        ) as process:
            try:
                with stop.kills(process):
                    response, elapsed_s = self._exchange(process)
            finally:
                process.kill()
        stop.check()
        if len(response) > _MAX_RESPONSE_BYTES:
            raise _too_large_error()
        head, end, data = response.partition(b"\n")
        if self._is_late or not end or process.returncode != 0:
            raise self._early_end_error(process.returncode)
        if len(head) > _MAX_HEADER_BYTES:
            raise _too_wide_error()
        header = json.loads(head)
        if "types" not in header:
            raise self._failure_error(header)
        table = _table(data)
        if len(head) + sum(map(len, table.column_names)) > _MAX_HEADER_BYTES:
            raise _too_wide_error()
        if expanded_bytes(table) > MAX_RESULT_BYTES:
            raise _too_large_error()
        return QueryResult(table, tuple(header["types"]), header["is_truncated"], elapsed_s)

    def _exchange(self, process: "subprocess.Popen[bytes]") -> tuple[bytes, float]:
        assert process.stdin and process.stdout
        with self._killed_after(process, query_child.START_S):
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(self._request).encode())
                process.stdin.close()
            first_byte = process.stdout.read(1)
        started = time.perf_counter()
        with self._killed_after(process, self._timeout_s):
            response = process.stdout.read(_MAX_RESPONSE_BYTES + 1)
            if len(response) <= _MAX_RESPONSE_BYTES:
                process.wait()
        return first_byte.lstrip(b".") + response, time.perf_counter() - started

    @contextmanager
    def _killed_after(self, process: "subprocess.Popen[bytes]", time_s: float) -> Iterator[None]:
        def kill() -> None:
            self._is_late = True
            process.kill()

        timer = threading.Timer(time_s, kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _early_end_error(self, returncode: int) -> QueryError:
        if self._is_late or returncode in _TIMEOUT_RETURN_CODES:
            return QueryError(
                f"The query took longer than {self._timeout_s:g} s and was stopped. "
                "Select less, or filter first."
            )
        _log.warning("a query process ended with status %d", returncode)
        return QueryError(
            "The query crashed its process: it needs too much memory, or is nested too deeply."
        )

    def _failure_error(self, header: dict[str, Any]) -> QueryError | LakeUnavailable:
        text = str(header.get("error", ""))
        is_broken = any(mark in text for mark in _BROKEN_FILE)
        # Out of memory, a library reports the same as for a file with wrong bytes.
        if header.get("is_out_of_memory") or (is_broken and header.get("was_full")):
            return QueryError(
                f"The query needs more than the {self._memory_bytes >> 20} MiB of memory that it "
                "may use. Select less, or filter first."
            )
        if "failure" in header:
            _log.error("a query process failed: %s", header["failure"])
            return QueryError("The query could not be run.")
        names_lake_file = any(path in text and path not in self._sql for path in self._paths)
        if names_lake_file or is_broken:
            return LakeUnavailable(DAMAGED)
        return QueryError(_first_lines(text))


def _first_lines(text: str) -> str:
    """Return DuckDB's message and its first suggestion, without the quoted SQL."""
    lines = [line.strip() for line in text.strip().splitlines()] or ["The query failed."]
    hints = [line for line in lines[1:] if line.startswith(("Did you mean", "Candidate bindings"))]
    return " ".join([lines[0][:500], *hints[:1]])


def _table(data: bytes) -> "pa.Table":
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(data) as stream:
            table = stream.read_all()
        table.validate(full=True)  # the child process is not trusted
    except pa.ArrowInvalid as error:
        raise _unreturnable_error() from error
    return table


def _unreturnable_error() -> QueryError:
    return QueryError(
        "The result holds a value that cannot be returned, such as a number of more than 38 "
        "digits. Cast it to varchar."
    )


def _too_large_error() -> QueryError:
    return QueryError(
        f"The result is larger than {MAX_RESULT_BYTES >> 20} MiB. Select fewer columns or rows."
    )


def _too_wide_error() -> QueryError:
    return QueryError(
        f"The names and types of the result's columns are longer than {_MAX_HEADER_BYTES >> 20} "
        "MiB. Select fewer columns, or give them shorter names."
    )


def _check_python_has(column: "pa.ChunkedArray") -> None:
    """Raise ArrowInvalid, ValueError or OverflowError for a value that Python lacks."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    is_coarse = pa.types.is_timestamp(kind) and kind.unit != "ns"  # Python lacks nanoseconds
    if is_coarse or pa.types.is_date(kind):
        # All others are between the two.
        pc.call_function("min_max", [column]).as_py()
        return
    for chunk in column.chunks:
        chunk.to_pylist()


def _with_text(table: "pa.Table") -> "pa.Table":
    """Return the table with text in columns that have values which Python lacks."""
    import pyarrow as pa

    for index, column in enumerate(table.columns):
        kind = str(column.type)
        if not any(word in kind for word in _TIME_TYPES):
            continue
        try:
            _check_python_has(column)
        except (pa.ArrowInvalid, ValueError, OverflowError):
            name = table.column_names[index]
            try:
                table = table.set_column(index, name, column.cast(pa.string()))
            except pa.ArrowException as error:
                raise _unreturnable_error() from error
    return table
