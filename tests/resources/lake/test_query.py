"""Queries of the lake: which SQL works, and which errors it gets."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from resources.lake import query_child
from resources.lake.files import LakeFile, LakeFiles
from resources.lake.query import LEAST_MEMORY_BYTES, QueryResult, run_query
from tests.support.lake_documents import make_document
from ytcaption.domain.errors import LakeUnavailable, QueryError
from ytcaption.domain.transcripts.lake_rows import lake_rows
from ytcaption.domain.transcripts.lake_schema import TABLES

MEMORY_BYTES = 1024**3


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> LakeFiles:
    """Write the files of two transcripts."""
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("lake")
    files_by_table: dict[str, list[LakeFile]] = {table: [] for table in TABLES}
    for name in ("first", "second"):
        for table, rows in lake_rows(*make_document(name)).items():
            path = folder / f"{table}-{name}.parquet"
            pq.write_table(rows, path)
            files_by_table[table].append(LakeFile(str(path), path.stat().st_size))
    return files_by_table


@pytest.fixture
def run(files: LakeFiles):
    """Return a function that runs one query over them."""

    def run_sql(
        sql: str,
        *,
        limit: int = 1000,
        timeout_s: float = 20,
        memory_bytes: int = MEMORY_BYTES,
    ) -> QueryResult:
        return run_query(
            sql, lambda: files, limit=limit, timeout_s=timeout_s, memory_bytes=memory_bytes
        )

    return run_sql


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select count(*) from words", [(60,)]),
        (
            "select m.title, count(*) from words join media m using (media_id) group by all "
            "order by all",
            [("About first", 30), ("About second", 30)],
        ),
        (
            "with long as (select * from segments where word_count >= 10) "
            "select count(distinct transcription_id) from long",
            [(2,)],
        ),
        (
            "select max(gap) from (select start_s - lag(end_s) over "
            "(partition by transcription_id order by word_index) as gap from words)",
            [(pytest.approx(0.1),)],
        ),
        ("from transcripts select word_count order by 1 limit 1", [(30,)]),
        ("select chapters[1].title from media order by 1 limit 1", [("Opening of first",)]),
        ("select options ->> 'model' from transcripts limit 1", [("base",)]),
        ("select created_at at time zone 'Europe/Berlin' from transcripts limit 0", []),
        ("values (1), (2);", [(1,), (2,)]),
        ("select column_name from (describe words) limit 1", [("transcription_id",)]),
        (
            "pivot (select language, segment_index from words) on segment_index in (0, 1) "
            "using count(*)",
            [("en", 20, 20)],
        ),
    ],
)
def test_analytics_queries_work(run, sql: str, rows: list[tuple]):
    """Joins, windows, CTEs, FROM-first, structs, JSON, time zones and pivots work."""
    assert run(sql).rows == rows


def test_result_has_names_types_and_elapsed_time(run):
    """Columns have DuckDB's types; columns with equal names stay separate."""
    result = run("select 1 as n, 'x' as n, start_s from words limit 1")
    assert result.columns == ("n", "n", "start_s")
    assert result.types == ("INTEGER", "VARCHAR", "DOUBLE")
    assert result.rows == [(1, "x", 0.0)]
    assert not result.is_truncated
    assert 0 < result.elapsed_s < 20


def test_rows_keep_the_order_of_the_query(run):
    """Rows follow ORDER BY, also if the result is truncated."""
    result = run("select word_index from words order by word_index desc, media_id", limit=4)
    assert result.rows == [(29,), (29,), (28,), (28,)]
    assert result.is_truncated


@pytest.mark.parametrize("count", [0, 1, 999, 1000])
def test_is_truncated_is_exact_at_the_limit(run, count: int):
    """`is_truncated` is set only if there are more rows than the limit."""
    result = run(f"select * from range({count})")
    assert (len(result.rows), result.is_truncated) == (count, False)


def test_endless_result_is_read_up_to_the_limit(run):
    """A result is streamed, and reading stops at the limit."""
    result = run("select a.range from range(1000000000000) a, range(100000) b", limit=5)
    assert (len(result.rows), result.is_truncated) == (5, True)


@pytest.mark.parametrize(
    "value",
    [
        "interval 1 month",
        "uuid()",
        "map {'k': 1}",
        "'101'::bit",
        "'10:00:00+01'::timetz",
        "'infinity'::timestamp",
        "timestamp '290000-01-01'",
        "'x'::blob",
        "1.5::decimal(38, 3)",
        "99999999999999999999999999999999999999::hugeint",
        "340282366920938463463374607431768211455::uhugeint",
        "'nan'::double",
        "null",
        "union_value(n := 1)",
        "time_ns '10:00:00.123456789'",
        "'a'::enum('a')",
        "[[1], null]",
    ],
)
def test_values_of_every_type_are_returned(run, value: str):
    """Every DuckDB value is returned as a Python value or as text."""
    ((result,),) = run(f"select {value}").rows
    assert result is not None or value == "null"


def test_number_too_large_for_arrow_is_refused(run):
    """DuckDB's integers have up to 39 digits, Arrow's decimals 38."""
    with pytest.raises(QueryError, match="Cast it to varchar"):
        run("select 170141183460469231731687303715884105727::hugeint")


LONG_VALUE = "v" * 7_000
ENUM = f"with t as (select '{LONG_VALUE}'::enum('{LONG_VALUE}') as e)"


@pytest.mark.parametrize(
    "sql",
    [
        f"{ENUM} select e from t, range(10000)",
        f"{ENUM} select list(e) from t, range(10000)",
        f"{ENUM} select {{'a': [e]}} from t, range(10000)",
        f"{ENUM} select map {{1: e}} from t, range(10000)",
        f"{ENUM} select union_value(a := e) from t, range(10000)",
        f"select {{'{LONG_VALUE}': 1}} from range(10000)",
        "select list(true) from range(5000000)",
    ],
    ids=["enum", "list", "struct", "map", "union", "field name", "booleans"],
)
def test_result_counts_as_large_as_its_values(run, sql: str):
    """Arrow stores an enum's value and a field's name once, but each cell is sent."""
    with pytest.raises(QueryError, match="larger than 64 MiB"):
        run(sql, limit=10_000)


@pytest.mark.parametrize("value", ["'a'::enum('a')", "{'a': [e]}", "map {1: e}", "[e, null]"])
def test_small_enums_are_returned(run, value: str):
    """Also within others."""
    sql = f"select {value} as value from (select 'a'::enum('a', 'b') as e), range(2000)"
    assert len(run(sql, limit=1_500).rows) == 1_500


def test_columns_with_very_long_types_are_refused(run):
    """A type's name repeats the names of all of its values."""
    columns = ", ".join(["e"] * 300)
    with pytest.raises(QueryError, match="shorter names"):
        run(f"{ENUM} select {columns} from t")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("selec 1", 'Parser Error: syntax error at or near "selec"'),
        ("select * from segmants", 'does not exist! Did you mean "segments"?'),
        ("select nope from words", 'Referenced column "nope" not found'),
        ("select 1 / 'x'", "Could not convert string 'x' to"),
        ("select error('no such luck') from words", "no such luck"),
        ("", "Only a single SELECT"),
        ("-- nothing", "Only a single SELECT"),
        ("select 1; select 2", "Only a single SELECT"),
    ],
)
def test_sql_errors_have_duckdbs_message(run, sql: str, message: str):
    """The error is the first line of DuckDB's message with its suggestion, without quoted SQL."""
    with pytest.raises(QueryError) as caught:
        run(sql)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert "LINE 1" not in caught.value.message


def test_query_length_is_limited(run):
    """SQL of more than 100,000 characters is refused unread."""
    with pytest.raises(QueryError, match="longer than 100,000 characters"):
        run("select 1 -- " + "x" * 100_000)


def test_table_without_files_has_its_columns():
    """An empty lake can be queried."""
    result = run_query(
        "select word, created_at, chapters from words join transcripts "
        "using (transcription_id, media_id) join media using (media_id)",
        lambda: {table: [] for table in TABLES},
        limit=10,
        timeout_s=20,
        memory_bytes=MEMORY_BYTES,
    )
    assert result.types[:2] == ("VARCHAR", "TIMESTAMP WITH TIME ZONE")
    assert result.rows == []


def test_memory_limit_has_a_minimum(run):
    """A limit too small to start Python and DuckDB is raised to the minimum."""
    assert run("select count(*) from words", memory_bytes=1).rows == [(60,)]
    assert LEAST_MEMORY_BYTES < MEMORY_BYTES


def test_damaged_file_error_hides_the_path(files: LakeFiles, tmp_path: Path):
    """A damaged lake is not reported as the query's error, and no path is shown."""
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"")
    with_broken_file = {**files, "words": [LakeFile(str(broken), 0)]}
    with pytest.raises(LakeUnavailable) as caught:
        run_query(
            "select * from words",
            lambda: with_broken_file,
            limit=10,
            timeout_s=20,
            memory_bytes=MEMORY_BYTES,
        )
    assert str(tmp_path) not in caught.value.message


_USE_ALL_MEMORY = """
import sys
sys.path.insert(0, sys.argv[1])
import query_child
query_child.limit_resources(256 << 20, 60.0)
before, blocks = query_child.was_full(256 << 20), []
try:
    while True:
        blocks.append(bytearray(1 << 20))
except MemoryError:
    blocks.clear()
print(before, query_child.was_full(256 << 20))
"""


def test_was_full_detects_used_up_memory():
    """Without memory to read it, DuckDB calls a good file damaged."""
    folder = str(Path(query_child.__file__).parent)
    output = subprocess.check_output([sys.executable, "-c", _USE_ALL_MEMORY, folder], text=True)
    assert output.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("was_full", "expected"),
    [(True, pytest.raises(QueryError, match="memory")), (False, pytest.raises(LakeUnavailable))],
)
def test_read_error_counts_as_damage_only_with_memory_left(
    files: LakeFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, was_full: bool, expected
):
    """The process's report of its memory decides."""
    header = {"error": "Failed to read file: ZSTD Decompression failure", "was_full": was_full}
    child = tmp_path / "child.py"
    child.write_text(f"import sys; sys.stdin.read(); print('.' + {json.dumps(header)!r})")
    monkeypatch.setattr(query_child, "__file__", str(child))
    with expected:
        run_query("select 1", lambda: files, limit=1, timeout_s=20, memory_bytes=MEMORY_BYTES)


@pytest.mark.long
def test_many_files_are_read(tmp_path: Path):
    """A lake of a thousand small files is read quickly, without a thousand open files."""
    import pyarrow.parquet as pq

    rows = lake_rows(*make_document(words=10))["words"]
    word_files = []
    for number in range(1000):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(rows, path)
        word_files.append(LakeFile(str(path), path.stat().st_size))
    files = {table: word_files if table == "words" else [] for table in TABLES}
    result = run_query(
        "select count(*), max(text) from words",
        lambda: files,
        limit=10,
        timeout_s=20,
        memory_bytes=MEMORY_BYTES,
    )
    assert result.rows == [(10_000, " hello9")]
