"""Anybody's SELECT over the lake, run in a bare child process (rules 27 to 30)."""

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
from typing import TYPE_CHECKING, Any

from resources.lake import query_child as sql_child
from resources.lake.connection import DAMAGED
from resources.lake.files import LakeFiles, all_paths, missing_files, view_statements
from resources.lake.views import LIBRARY
from ytcaption.domain.errors import LakeUnavailable, QueryError

if TYPE_CHECKING:
    import pyarrow as pa

MAX_SQL_LENGTH = 100_000
MAX_RESULT_BYTES = 64 * 1024**2
LEAST_MEMORY_BYTES = 768 * 1024**2
"""Address space in which Python, Arrow and DuckDB start and small queries run."""

_MAX_ANSWER_BYTES = 2 * MAX_RESULT_BYTES  # Arrow's padding and messages included
_BROKEN_FILE = ("TProtocolException", "don't know what type", "ZSTD Decompression")
"""What DuckDB says of a Parquet file with wrong bytes, without naming it."""
_TOO_LONG = {-signal.SIGXCPU, -signal.SIGALRM}

_log = logging.getLogger(__name__)


class QueryStop:
    """Ends a query from another thread, as when nobody waits for its answer any more."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._kill: Callable[[], None] | None = None
        self._is_set = False

    def set(self) -> None:
        """The query's process is killed; one that has not begun does not begin."""
        with self._changing:
            self._is_set = True
            if self._kill is not None:
                self._kill()

    def check(self) -> None:
        """Raises:
        QueryError: it is set.
        """
        if self._is_set:
            raise QueryError("The query was stopped, since nobody waits for its answer.")

    @contextmanager
    def ends(self, process: "subprocess.Popen[bytes]") -> Iterator[None]:
        """While the context lasts, `set` kills the process."""
        with self._changing:
            self._kill = process.kill
            if self._is_set:
                process.kill()
        try:
            yield
        finally:
            with self._changing:
                self._kill = None


@dataclass(frozen=True)
class QueryResult:
    """Rows that a query gave.

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
        """Names, which may repeat."""
        return tuple(self.table.column_names)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """Python values; as text where Python has none, such as an infinite timestamp."""
        return list(zip(*(_values(column) for column in self.table.columns), strict=True))


def run_query(
    sql: str,
    list_files: Callable[[], LakeFiles],
    *,
    limit: int,
    timeout_s: float,
    memory_bytes: int,
    parameters: Mapping[str, Any] | None = None,
    optimizers_off: Sequence[str] = (),
    stop: QueryStop | None = None,
) -> QueryResult:
    """The rows of one SELECT over views of the lake's tables, and `library`.

    Args:
        parameters: values of `$name` in it, of JSON's types.
        list_files: gives the tables' local files; asked again when some have just been replaced.
        limit: most rows.
        timeout_s: wall seconds of the query; Python's start is not counted.
        memory_bytes: address space of the process, at least 768 MiB.
        optimizers_off: DuckDB's optimizers that are not to change it.
        stop: ends it early.

    Raises:
        QueryError: the statement is refused or fails, or needs more than it may have.
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
        parameters=parameters,
        optimizers_off=optimizers_off,
    )
    files = list_files()
    try:
        return child(files).run(stop)
    except LakeUnavailable:
        # Erasing and merging remove files; whoever listed them before lists them again.
        newer = list_files()
        if not missing_files(files) or missing_files(newer):
            raise
        return child(newer).run(stop)


class _Child:
    """One process, one query."""

    def __init__(
        self,
        sql: str,
        files: LakeFiles,
        *,
        limit: int,
        timeout_s: float,
        memory_bytes: int,
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
            "views": [*view_statements(files), LIBRARY],
            "rows": limit,
            "bytes": MAX_RESULT_BYTES,
            "time_s": timeout_s,
            "memory_bytes": self._memory_bytes,
            "parameters": parameters,
            "optimizers_off": list(optimizers_off),
        }

    def run(self, stop: QueryStop) -> QueryResult:
        """Start it, give it the query, end it at the limit, read its answer."""
        stop.check()
        with subprocess.Popen(
            [sys.executable, "-I", sql_child.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        ) as process:
            try:
                with stop.ends(process):
                    answer, elapsed_s = self._exchange(process)
            finally:
                process.kill()
        stop.check()
        if len(answer) > _MAX_ANSWER_BYTES:
            raise QueryError(
                f"The result is larger than {MAX_RESULT_BYTES >> 20} MiB. "
                "Ask for fewer columns or rows."
            )
        head, end, data = answer.partition(b"\n")
        if self._is_late or not end or process.returncode != 0:
            raise self._ended_early(process.returncode)
        told = json.loads(head)
        if "types" not in told:
            raise self._failed(told)
        return QueryResult(_table(data), tuple(told["types"]), told["is_truncated"], elapsed_s)

    def _exchange(self, process: "subprocess.Popen[bytes]") -> tuple[bytes, float]:
        assert process.stdin and process.stdout
        with self._killed_after(process, sql_child.START_S):
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(self._request).encode())
                process.stdin.close()
            begun = process.stdout.read(1)
        started = time.perf_counter()
        with self._killed_after(process, self._timeout_s):
            answer = process.stdout.read(_MAX_ANSWER_BYTES + 1)
            if len(answer) <= _MAX_ANSWER_BYTES:
                process.wait()
        return begun.lstrip(b".") + answer, time.perf_counter() - started

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

    def _ended_early(self, returncode: int) -> QueryError:
        if self._is_late or returncode in _TOO_LONG:
            return QueryError(
                f"The query took longer than {self._timeout_s:g} s and was stopped. "
                "Ask for less, or filter first."
            )
        _log.warning("a query's process ended with status %d", returncode)
        return QueryError(
            "The query ended the process that ran it: it needs too much memory, or is nested too "
            "deep."
        )

    def _failed(self, told: dict[str, Any]) -> QueryError | LakeUnavailable:
        text = str(told.get("error", ""))
        is_broken = any(mark in text for mark in _BROKEN_FILE)
        # Without memory a library says the same of a file as where its bytes are wrong.
        if told.get("is_out_of_memory") or (is_broken and told.get("was_full")):
            return QueryError(
                f"The query needs more than the {self._memory_bytes >> 20} MiB of memory that it "
                "may have. Ask for less, or filter first."
            )
        if "failure" in told:
            _log.error("a query's process failed: %s", told["failure"])
            return QueryError("The query could not be run.")
        is_ours = any(path in text and path not in self._sql for path in self._paths)
        if is_ours or is_broken:
            return LakeUnavailable(DAMAGED)
        return QueryError(_first_lines(text))


def _first_lines(text: str) -> str:
    """DuckDB's message, with its guess at what was meant, without the quoted SQL."""
    lines = [line.strip() for line in text.strip().splitlines()] or ["The query failed."]
    hints = [line for line in lines[1:] if line.startswith(("Did you mean", "Candidate bindings"))]
    return " ".join([lines[0][:500], *hints[:1]])


def _table(data: bytes) -> "pa.Table":
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(data) as stream:
            table = stream.read_all()
        table.validate(full=True)  # the process that wrote it is not trusted
    except pa.ArrowInvalid as error:
        raise QueryError(
            "The result holds a value that cannot be passed on, such as a number of more than 38 "
            "digits. Cast it to varchar."
        ) from error
    return table


def _values(column: "pa.ChunkedArray") -> list[Any]:
    import pyarrow as pa

    try:
        return column.to_pylist()
    except (pa.ArrowInvalid, ValueError, OverflowError):
        return column.cast(pa.string()).to_pylist()
