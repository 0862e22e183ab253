"""Attacks by SELECT (rules 27 to 30): nothing leaks, and every query ends."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from resources.lake import query_child as sql_child
from resources.lake.files import LakeFile, LakeFiles
from resources.lake.query import QueryResult, run_query
from tests.support.lake_documents import make_document
from tests.support.patience import patience, wait_for
from ytcaption.domain.errors import QueryError
from ytcaption.domain.transcripts.lake_rows import lake_rows
from ytcaption.domain.transcripts.lake_schema import TABLES

TIMEOUT_S = 0.5
SLACK_S = 8.0  # to start a process, on a machine that does other things, too
SECRET = "the-secret-of-another-file"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with lake files, and files that are not the lake's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("lake")
    for table, rows in lake_rows(*make_document()).items():
        pq.write_table(rows, folder / f"{table}.parquet")
    for name in ("other.txt", "other.csv", "other.json"):
        (folder / name).write_text(f'{{"a": "{SECRET}"}}')
    pq.write_table(pa.table({"a": [SECRET]}), folder / "other.parquet")
    return folder


@pytest.fixture(scope="module")
def files(folder: Path) -> LakeFiles:
    """The lake's alone."""
    paths = {table: folder / f"{table}.parquet" for table in TABLES}
    return {table: [LakeFile(str(path), path.stat().st_size)] for table, path in paths.items()}


def run(
    files: LakeFiles, sql: str, limit: int = 10_000, timeout_s: float = TIMEOUT_S
) -> QueryResult:
    """With little time and memory."""
    return run_query(sql, lambda: files, limit=limit, timeout_s=timeout_s, memory_bytes=1024**3)


REFUSED = [
    # reading files
    "select * from read_text('/etc/passwd')",
    "select * from read_text('{folder}/other.txt')",
    "select * from read_blob('/proc/self/environ')",
    "select * from read_csv('/etc/passwd', sep = ':')",
    "select * from read_csv('{folder}/other.csv')",
    "select * from read_csv_auto('{folder}/*')",
    "select * from read_json('{folder}/other.json')",
    "select * from read_json_auto('{folder}/other.json')",
    "select * from read_ndjson_objects('{folder}/other.json')",
    "select * from read_parquet('{folder}/other.parquet')",
    "select * from read_parquet('{folder}/words.parquet/../other.parquet')",
    "select * from read_parquet(['{folder}/words.parquet', '{folder}/other.parquet'])",
    "select * from parquet_metadata('{folder}/other.parquet')",
    "select * from parquet_schema('{folder}/other.parquet')",
    "select * from '{folder}/other.parquet'",
    'select * from "{folder}/other.csv"',
    "select * from glob('/etc/*')",
    "select * from glob('{folder}/*')",
    "select * from sniff_csv('/etc/passwd')",
    "select * from query('select * from read_text(''/etc/passwd'')')",
    "select * from query_table('{folder}/other.parquet')",
    "select content from read_text('/proc/self/cmdline')",
    "select * from read_duckdb('/tmp/x.db')",
    "select * from duckdb_secrets()",
    "select * from which_secret('s3://x', 's3')",
    # environment, other systems
    "select getenv('PATH')",
    "select * from read_text('http://127.0.0.1:1/')",
    "select * from read_parquet('s3://bucket/key')",
    "select * from 'https://example.com/x.csv'",
    "select * from postgres_scan('dbname=ytcaption', 'lake', 'ducklake_table')",
    "select * from postgres_query('lake', 'select 1')",
    "select * from sqlite_scan('/tmp/x.db', 't')",
    "select * from ducklake_list_files('lake', 'words')",
    "select * from st_read('/etc/passwd')",
    # more than a SELECT
    "copy words to '{folder}/stolen.csv'",
    "copy (select 1) to '{folder}/words.parquet'",
    "copy words from '{folder}/other.csv'",
    "select * from query('copy (select 1) to ''{folder}/words.parquet''')",
    "export database '{folder}/dump'",
    "import database '{folder}'",
    "attach '{folder}/new.db'",
    "attach ':memory:' as other",
    "detach memory",
    "use memory",
    "install httpfs",
    "load httpfs",
    "load '{folder}/other.txt'",
    "force install postgres from community",
    "pragma enable_profiling",
    "pragma database_list; select 1",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "set memory_limit = '100GB'",
    "set allowed_directories = ['/']",
    "reset allowed_paths",
    "create table t as select 1",
    "create temp table t (i int)",
    "create macro f() as 1",
    "create secret (type s3)",
    "create function f() as 1",
    "create view words as select 1",
    "drop view words",
    "insert into words select * from words",
    "update words set text = ''",
    "delete from words",
    "truncate words",
    "call pragma_version()",
    "explain analyze select 1",
    "prepare p as select 1",
    "execute p",
    "begin",
    "checkpoint",
    "vacuum",
    "select 1; copy words to '{folder}/stolen.csv'",
    "select 1; drop view words",
    "with x as (delete from words returning *) select * from x",
]


@pytest.mark.long
@pytest.mark.parametrize("sql", REFUSED)
def test_statement_is_refused(folder: Path, files: LakeFiles, sql: str):
    """Files, networks, settings and changes are out of reach; nothing is written."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(QueryError) as caught:
        run(files, sql.replace("{folder}", str(folder)))
    assert SECRET not in caught.value.message
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


DEEP_LIST = "[" * 900 + "1" + "]" * 900
"""Within DuckDB's limit of depth, and yet more than its stack holds: the process dies of it."""

BOMBS = [
    "select count(*) from range(100000000000) a, range(100000) b",
    "select sum(a.range * b.range) from range(10000000) a, range(10000000) b",
    "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r",
    "with recursive r(n) as (select repeat('x', 1000000) union all select n || n from r) "
    "select length(n) from r",
    "select length(repeat('x', 3000000000))",
    "select repeat(repeat('x', 100000), 100000)",
    "select lpad('x', 2000000000, 'y')",
    "select rpad('x', 2147483647, 'y')",
    "select list(range) from range(10000000000)",
    "select range(10000000000)",
    "select generate_series(1, 100000000000)",
    "select string_agg(repeat('x', 1000), '') from range(10000000)",
    "select array_agg(w) from words w, range(10000000)",
    "select * from words a, words b, words c, words d, words e, words f order by random()",
    "select distinct a.range || b.range || 'x' from range(1000000) a, range(1000000) b",
    "select count(distinct a.range * 10000000 + b.range) from range(100000) a, range(100000) b",
    "select regexp_matches(repeat('a', 10000000) || 'b', '(a*)*(a*)*(a*)*c')",
    "select md5(repeat('x', 1000000)) from range(10000000000)",
    "select levenshtein(repeat('a', 100000), repeat('b', 100000))",
    "select jaro_winkler_similarity(repeat('a', 1000000), repeat('b', 1000000))",
    "select format('{:>2000000000}', 'x')",
    "select printf('%2000000000d', 1)",
    "select bitstring('1', 2000000000)",
    "select factorial(a.range::int % 30) from range(100000000000) a where a.range < 0",
    "select list_sort(range(100000000))",
    "select json_group_array(repeat('x', 1000)) from range(10000000)",
    "select json_pretty('" + "[" * 40_000 + "]" * 40_000 + "')",
    "select " + "(" * 40_000 + "1" + ")" * 40_000,
    "select " + "not " * 24_000 + "true",
    "select 1" + " + 1" * 24_000,
    "select " + "[" * 45_000 + "]" * 45_000,
    "select " + "case when true then " * 4_000 + "1" + " end" * 4_000,
    "select * from " + "(select * from " * 5_000 + "words" + ")" * 5_000,
    "select 1 where " + " and ".join(["1 in (select 1)"] * 900),
    "select " + ", ".join(f"{n} as c{n}" for n in range(6_000)),
    f"select {DEEP_LIST}",
    "select " + "list_transform([1], lambda x: " * 300 + "x" + ")" * 300,
    "select 1 " + "union all select 1 " * 5_000,
    "select json('" + "[" * 49_000 + "]" * 49_000 + "')",
]


@pytest.mark.long
@pytest.mark.parametrize("sql", BOMBS, ids=lambda sql: sql[:40])
def test_bomb_ends_within_its_limits(files: LakeFiles, sql: str):
    """Time, memory, depth and size run out in seconds, for the query's process alone."""
    started = time.monotonic()
    try:
        result = run(files, sql)
    except QueryError as error:
        assert error.message
    else:
        assert len(result.rows) <= 10_000
    assert time.monotonic() - started < (TIMEOUT_S + SLACK_S) * patience()
    assert _children() == []


@pytest.mark.long
def test_limits_are_reported(files: LakeFiles):
    """Each limit has its own sentence."""
    with pytest.raises(QueryError, match=r"longer than 0\.5 s and was stopped"):
        run(files, BOMBS[0])
    with pytest.raises(QueryError, match=r"more than the 1024 MiB of memory"):
        run(files, "select length(repeat('x', 3000000000))", timeout_s=10 * patience())
    with pytest.raises(QueryError, match=r"result is larger than 64 MiB"):
        run(files, "select repeat('x', 100000) from range(1000)", timeout_s=10 * patience())


def test_a_crash_is_reported(files: LakeFiles):
    """A deep expression can exhaust the stack; it takes minutes, so the process is killed here."""

    def crash() -> None:
        wait_for(_children, 30)
        for child in _children():
            child.send_signal(signal.SIGSEGV)

    thread = threading.Thread(target=crash)
    thread.start()
    with pytest.raises(QueryError, match=r"crashed its process"):
        run(files, BOMBS[0], timeout_s=60 * patience())
    thread.join()


def test_rows_are_capped(files: LakeFiles):
    """More rows than the limit are cut off, and that is said."""
    result = run(files, "select a.* from words a, range(1000)", limit=7)
    assert (len(result.rows), result.is_truncated) == (7, True)


def _children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "query_child.py" in " ".join(child.cmdline())
    ]


def confined(code: str, path: Path) -> str:
    """What the code prints in a process that has confined itself to reading `path`."""
    script = f"""
        import os, runpy, socket, sys
        child = runpy.run_path({str(sql_child.__file__)!r})
        has_landlock = child["confine"]([{str(path)!r}])
        try:
            print(eval({code!r}))
        except BaseException as error:
            print(type(error).__name__, error)
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=30,
        env={},
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("has_landlock", "True"),
        ("open({lake!r}, 'rb').read(4)", "b'PAR1'"),
        ("open({other!r}).read()", "PermissionError"),
        ("open('/etc/passwd').read()", "PermissionError"),
        ("open('/proc/self/environ').read()", "PermissionError"),
        ("os.listdir('/')", "PermissionError"),
        ("open({lake!r}, 'r+b')", "PermissionError"),
        ("open({lake!r}, 'wb')", "PermissionError"),
        ("os.truncate({lake!r}, 0)", "PermissionError"),
        ("os.unlink({lake!r})", "PermissionError"),
        ("os.rename({lake!r}, {lake!r} + '2')", "PermissionError"),
        ("os.symlink('/etc/passwd', {lake!r} + '2')", "PermissionError"),
        ("open({lake!r} + '2', 'w')", "PermissionError"),
        ("os.execv(sys.executable, ['python', '-c', 'print(1)'])", "PermissionError"),
        ("socket.create_connection(('127.0.0.1', 9), 1)", "PermissionError"),
        ("socket.socket().bind(('127.0.0.1', 0))", "PermissionError"),
    ],
)
def test_kernel_itself_bars_the_querys_process(folder: Path, code: str, printed: str):
    """Even code of one's own choosing in that process reads the lake's files and does no more."""
    lake, other = folder / "words.parquet", folder / "other.txt"
    before = lake.read_bytes()
    code = code.replace("{lake!r}", repr(str(lake))).replace("{other!r}", repr(str(other)))
    assert confined(code, lake).startswith(printed)
    assert lake.read_bytes() == before


def test_limits_alone_keep_files_from_being_written(tmp_path: Path):
    """Where the kernel has no Landlock, a file can still not grow by a byte."""
    script = f"""
        import runpy
        runpy.run_path({str(sql_child.__file__)!r})["limit_resources"](1 << 30, 5)
        try:
            with open({str(tmp_path / "new")!r}, "w") as file:
                file.write("x")
        except OSError as error:
            print(error.strerror)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=30
    )
    assert done.stdout.strip() == "File too large"
    assert (tmp_path / "new").read_bytes() == b""


def test_query_sees_nothing_of_the_environment(files: LakeFiles, monkeypatch: pytest.MonkeyPatch):
    """The process starts with no variable, whatever secrets the server's own hold."""
    monkeypatch.setenv("YTCAPTION_SECRET", SECRET)
    seen: list[str] = []
    real_popen = subprocess.Popen

    class Watched(real_popen):  # type: ignore[type-arg]
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            time.sleep(0.05)
            seen.append(Path(f"/proc/{self.pid}/environ").read_text())

    monkeypatch.setattr(subprocess, "Popen", Watched)
    assert run(files, "select 1").rows == [(1,)]
    assert seen == [""]


def test_duckdb_itself_bars_everything_else(files: LakeFiles):
    """Without the kernel's help, too: no other files, no extensions, no change of any setting."""
    settings = {
        "enable_external_access": "false",
        "lock_configuration": "true",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "temp_directory": "",
        "threads": "1",
    }
    result = run(files, "select name, value from duckdb_settings()")
    found = dict(result.rows)
    assert {name: found[name] for name in settings} == settings
    assert sorted(found["allowed_paths"].strip("[]").split(", ")) == sorted(
        file.path for listed in files.values() for file in listed
    )


@pytest.mark.slow
def test_query_is_confined_and_ends_with_its_server(files: LakeFiles):
    """Its process has its limits set, and dies with the one that started it."""
    script = f"""
        import os
        from resources.lake.files import LakeFile
        from resources.lake.query import run_query
        files = {{
            table: [LakeFile(**f) for f in listed] for table, listed in {_plain(files)!r}.items()
        }}
        run_query({BOMBS[0]!r}, lambda: files, limit=1, timeout_s=60, memory_bytes=1 << 30)
    """
    server = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=os.getcwd())
    try:
        child = _wait_for_child(server.pid)
        assert child.rlimit(psutil.RLIMIT_AS) == (1 << 30, 1 << 30)
        assert child.rlimit(psutil.RLIMIT_FSIZE) == child.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        assert child.rlimit(psutil.RLIMIT_CPU)[1] < 120
        # Set by what sets up Landlock, and by nothing else.
        assert "NoNewPrivs:\t1" in Path(f"/proc/{child.pid}/status").read_text()
        server.kill()
        server.wait()
        assert psutil.wait_procs([child], timeout=10)[1] == []
    finally:
        server.kill()


def _plain(files: LakeFiles) -> dict[str, list[dict]]:
    return {table: [vars(file) for file in listed] for table, listed in files.items()}


def _wait_for_child(pid: int) -> psutil.Process:
    def working() -> list[psutil.Process]:
        return [
            child
            for child in psutil.Process(pid).children()
            if "query_child.py" in " ".join(child.cmdline()) and child.cpu_times().user > 0.3
        ]

    return wait_for(working)[0]
