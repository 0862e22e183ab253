"""Queries of the lake: what they can do, and what they are told."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from resources.lake import query_child as sql_child
from resources.lake.files import LakeFile, LakeFiles
from resources.lake.query import LEAST_MEMORY_BYTES, QueryResult, run_query
from tests.support.lake_documents import make_document
from ytcaption.domain.errors import LakeUnavailable, QueryError
from ytcaption.domain.transcripts.lake_rows import lake_rows
from ytcaption.domain.transcripts.lake_schema import TABLES

MEMORY_BYTES = 1024**3


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> LakeFiles:
    """The files of two transcripts."""
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("lake")
    listed: dict[str, list[LakeFile]] = {table: [] for table in TABLES}
    for name in ("first", "second"):
        for table, rows in lake_rows(*make_document(name)).items():
            path = folder / f"{table}-{name}.parquet"
            pq.write_table(rows, path)
            listed[table].append(LakeFile(str(path), path.stat().st_size))
    return listed


@pytest.fixture
def run(files: LakeFiles):
    """Runs one query over them."""

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
    """Joins, windows, CTEs, FROM-first, structs, JSON, time zones and pivots."""
    assert run(sql).rows == rows


def test_result_has_names_types_and_time(run):
    """Columns come with DuckDB's types; equal names stay apart."""
    result = run("select 1 as n, 'x' as n, start_s from words limit 1")
    assert result.columns == ("n", "n", "start_s")
    assert result.types == ("INTEGER", "VARCHAR", "DOUBLE")
    assert result.rows == [(1, "x", 0.0)]
    assert not result.is_truncated
    assert 0 < result.elapsed_s < 20


def test_order_is_the_querys_own(run):
    """Rows come as ORDER BY has them, also when there are more than are given."""
    result = run("select word_index from words order by word_index desc, media_id", limit=4)
    assert result.rows == [(29,), (29,), (28,), (28,)]
    assert result.is_truncated


@pytest.mark.parametrize("count", [0, 1, 999, 1000])
def test_as_many_rows_as_the_limit_are_not_truncated(run, count: int):
    """`is_truncated` says that there are more, exactly."""
    result = run(f"select * from range({count})")
    assert (len(result.rows), result.is_truncated) == (count, False)


def test_first_rows_of_an_endless_result_come_at_once(run):
    """A result is read as it comes, and reading ends at the limit."""
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
def test_values_of_every_type_come_through(run, value: str):
    """Whatever DuckDB can say has a Python value or a text."""
    ((found,),) = run(f"select {value}").rows
    assert found is not None or value == "null"


def test_number_that_arrow_cannot_hold_is_told(run):
    """DuckDB counts to 39 digits, Arrow's decimals to 38."""
    with pytest.raises(QueryError, match="Cast it to varchar"):
        run("select 170141183460469231731687303715884105727::hugeint")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("selec 1", 'Parser Error: syntax error at or near "selec"'),
        ("select * from segmants", 'does not exist! Did you mean "segments"?'),
        ("select nope from words", 'Referenced column "nope" not found'),
        ("select 1 / 'x'", "Could not convert string 'x' to"),
        ("select error('no such luck') from words", "no such luck"),
        ("", "Give one statement"),
        ("-- nothing", "Give one statement"),
        ("select 1; select 2", "Give one statement"),
    ],
)
def test_mistakes_are_told_in_duckdbs_words(run, sql: str, said: str):
    """The first line of DuckDB's message, with its guess; no quoted SQL, no trace."""
    with pytest.raises(QueryError) as caught:
        run(sql)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert "LINE 1" not in caught.value.message


def test_longest_query_is_bounded(run):
    """SQL of more than 100,000 characters is not even looked at."""
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


def test_little_memory_is_enough_to_start(run):
    """A setting that is too small to start Python and DuckDB in is taken as the least that is."""
    assert run("select count(*) from words", memory_bytes=1).rows == [(60,)]
    assert LEAST_MEMORY_BYTES < MEMORY_BYTES


def test_damaged_file_is_told_without_its_path(files: LakeFiles, tmp_path: Path):
    """What is wrong with the lake is no fault of the query, and no path is told."""
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"")
    listed = {**files, "words": [LakeFile(str(broken), 0)]}
    with pytest.raises(LakeUnavailable) as caught:
        run_query(
            "select * from words",
            lambda: listed,
            limit=10,
            timeout_s=20,
            memory_bytes=MEMORY_BYTES,
        )
    assert str(tmp_path) not in caught.value.message


_TAKES_ALL = """
import sys
sys.path.insert(0, sys.argv[1])
import query_child as sql_child
sql_child.limit_resources(256 << 20, 60.0)
before, taken = sql_child.was_full(256 << 20), []
try:
    while True:
        taken.append(bytearray(1 << 20))
except MemoryError:
    taken.clear()
print(before, sql_child.was_full(256 << 20))
"""


def test_process_knows_that_its_memory_was_taken():
    """DuckDB says of a good file, too, that it is damaged, where memory to read it is missing."""
    folder = str(Path(sql_child.__file__).parent)
    told = subprocess.check_output([sys.executable, "-c", _TAKES_ALL, folder], text=True)
    assert told.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("was_full", "expected"),
    [(True, pytest.raises(QueryError, match="memory")), (False, pytest.raises(LakeUnavailable))],
)
def test_file_is_damaged_only_if_there_was_memory(
    files: LakeFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, was_full: bool, expected
):
    """What the process tells of its memory decides."""
    told = {"error": "Failed to read file: ZSTD Decompression failure", "was_full": was_full}
    child = tmp_path / "child.py"
    child.write_text(f"import sys; sys.stdin.read(); print('.' + {json.dumps(told)!r})")
    monkeypatch.setattr(sql_child, "__file__", str(child))
    with expected:
        run_query("select 1", lambda: files, limit=1, timeout_s=20, memory_bytes=MEMORY_BYTES)


def test_many_files_are_read(tmp_path: Path):
    """A lake of a thousand small files needs neither a thousand open files nor long."""
    import pyarrow.parquet as pq

    rows = lake_rows(*make_document(words=10))["words"]
    listed = []
    for number in range(1000):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(rows, path)
        listed.append(LakeFile(str(path), path.stat().st_size))
    files = {table: listed if table == "words" else [] for table in TABLES}
    result = run_query(
        "select count(*), max(text) from words",
        lambda: files,
        limit=10,
        timeout_s=20,
        memory_bytes=MEMORY_BYTES,
    )
    assert result.rows == [(10_000, " hello9")]
