"""Escapes from DuckDB that are known from its documentation, advisories and issues, one by one.

Sources: duckdb.org "Securing DuckDB"; GHSA-w2gf-jxc9-pf2q (`sniff_csv` read files though external
access was off); CVE-2026-47735 (functions that read files, left out of a list of forbidden ones);
duckdb/duckdb#14568. What `test_sql.py` has is not repeated.
"""

from pathlib import Path

import pytest

from resources.lake.files import LakeFiles
from tests.security.test_sql import SECRET, TIMEOUT_S, files, folder, run  # noqa: F401 - fixtures
from ytcaption.domain.errors import QueryError

WAYS = [
    # the same file by other names
    "select * from read_parquet('{folder}/link.parquet')",
    "select * from read_text('file:{folder}/other.txt')",
    "select * from read_text('file://{folder}/other.txt')",
    "select * from read_text('{folder}//other.txt')",
    "select * from read_text('/dev/fd/0')",
    "select * from read_text('/proc/self/fd/0')",
    "select * from read_csv('/dev/stdin')",
    "select * from read_blob('/proc/self/mem')",
    # functions that read files besides the well-known ones
    "select * from read_csv(['{folder}/other.csv'], store_rejects = true)",
    "select * from parquet_kv_metadata('{folder}/other.parquet')",
    "select * from parquet_file_metadata('{folder}/other.parquet')",
    "select * from parquet_full_metadata('{folder}/other.parquet')",
    "select * from parquet_bloom_probe('{folder}/other.parquet', 'a', 'x')",
    "select * from read_json_objects('{folder}/other.json')",
    "select * from read_xlsx('{folder}/other.csv')",
    "select * from iceberg_scan('{folder}')",
    # SQL inside of SQL
    "select * from json_execute_serialized_sql("
    "json_serialize_sql('select * from read_text(''/etc/passwd'')'))",
    "pragma json_execute_serialized_sql('x')",
    "select * from query('from query(''from read_text(''''/etc/passwd'''')'')')",
    "select * from query('set lock_configuration = false')",
    "select * from query_table(['words', '{folder}/other.parquet'])",
    # places in a SELECT where a table may stand
    "summarize '{folder}/other.csv'",
    "describe select * from '{folder}/other.csv'",
    "pivot '{folder}/other.csv' on a using count(*)",
    "select (select content from read_text('/etc/passwd'))",
    "with x as materialized (from read_text('/etc/passwd')) from x",
    "select * from words, lateral (select * from read_text('/etc/passwd'))",
    # the process's own Python: variables, and memory by its address
    "from request",
    "from paths",
    "select * from arrow_scan(1, 2, 3)",
    "select * from pandas_scan(140000000000000)",
    "select * from python_map_function(1, 2)",
    # other systems, through extensions that are not there
    "select postgres_execute('lake', 'copy (select 1) to program ''id''')",
    "select * from mysql_query('x', 'select 1')",
    "select * from load_aws_credentials()",
    # writing in disguise
    "explain analyze copy words to '{folder}/stolen.csv'",
    "/* select */ copy words to '{folder}/stolen.csv' -- select",
    "select 1 --\n; copy words to '{folder}/stolen.csv'",
    "with x as (copy words to '{folder}/y') select * from x",
    "with x as (insert into words select * from words returning *) select * from x",
    "call enable_logging(storage = 'file', storage_config = {'path': '{folder}/log'})",
]

MORE_WAYS = [
    "copy words to '/dev/stdout'",
    "copy words to '/dev/fd/1'",
    "copy (select 1 as a) to '{folder}/out' (format parquet, partition_by (a))",
    "copy from database memory to other",
    "explain (analyze, format json) copy words to '{folder}/x.csv'",
    "select 1 /* ; */ ; drop view words",
    "select 1; -- ; select\n set lock_configuration = false",
    "select 1; select 2",
    "merge into words using words as w on true when matched then delete",
    "create or replace temp macro words() as table select 1",
    "create type t as enum ('a')",
    "create schema s",
    "create index i on words (text)",
    "alter view words rename to w",
    "comment on view words is 'x'",
    "analyze",
    "force checkpoint",
    "call force_checkpoint()",
    "call truncate_duckdb_logs()",
    "set variable x = 1",
    "reset enable_external_access",
    "set global allowed_paths = ['/etc/passwd']",
    "set session temp_directory = '{folder}'",
    "set file_search_path = '/etc'",
    "set home_directory = '/root'",
    "set secret_directory = '{folder}'",
    "set log_query_path = '{folder}/log'",
    "set profiling_output = '{folder}/log'",
    "pragma profiling_output = '{folder}/log'",
    "set custom_extension_repository = 'http://127.0.0.1'",
    "set extension_directory = '{folder}'",
    "set allow_unsigned_extensions = true",
    "set python_scan_all_frames = true",
    "set python_enable_replacements = true",
    "set disabled_filesystems = ''",
    "update extensions",
    "install '{folder}/other.txt'",
    "load parquet",
    "force install httpfs from 'http://127.0.0.1:1'",
    "create persistent secret s (type http)",
    "drop secret s",
    "attach 'http://127.0.0.1:1/x.db'",
    "attach 'ducklake:postgres:dbname=ytcaption' as lake",
    "attach 'dbname=ytcaption' as pg (type postgres)",
    "call postgres_execute('lake', 'select 1')",
    "select * from postgres_attach('dbname=ytcaption')",
    "select * from delta_scan('{folder}')",
    "select * from read_avro('{folder}/other.csv')",
    "select * from from_substrait('x'::blob)",
    "select http_get('http://127.0.0.1:1')",
    "select * from seq_scan()",
    "from connection",
    "rollback",
    "deallocate p",
    "use lake",
    "vacuum analyze words",
]


def refused(folder: Path, files: LakeFiles, sql: str) -> None:
    """Nothing is given, told or written."""
    link = folder / "link.parquet"
    if not link.is_symlink():
        link.symlink_to(folder / "other.parquet")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(QueryError) as caught:
        run(files, sql.replace("{folder}", str(folder)))
    assert SECRET not in caught.value.message
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.long
@pytest.mark.parametrize("sql", WAYS, ids=lambda sql: sql[:60])
def test_escape_is_closed(folder: Path, files: LakeFiles, sql: str):
    """Files, memory, other systems and writing are out of reach."""
    refused(folder, files, sql)


@pytest.mark.slow
@pytest.mark.parametrize("sql", MORE_WAYS, ids=lambda sql: sql[:60])
def test_every_other_way_is_closed(folder: Path, files: LakeFiles, sql: str):
    """Statements that are no SELECT, and functions of extensions that are not there."""
    refused(folder, files, sql)


@pytest.mark.slow
def test_a_query_finds_nothing_that_another_left(files: LakeFiles):
    """Logs, variables and temporary files are of one process, which ends."""
    run(files, "select write_log('a trace')")
    for sql in (
        "from duckdb_logs()",
        "from duckdb_variables()",
        "from duckdb_temporary_files()",
        "from duckdb_prepared_statements()",
    ):
        assert run(files, sql).rows == []


UNENDING = [
    "select count(*) from (select unnest(range(100000)) from range(100000))",
    "select count(*) from generate_series(timestamp '0001-01-01', timestamp '9999-12-31', "
    "interval 1 microsecond)",
    "select list_reduce(range(1000000), lambda x, y: x || y)",
    "with recursive r(n) using key (n) as (select 1 union select n + 1 from r) "
    "select max(n) from r",
    "with a0 as (select 1 as x), "
    + ", ".join(f"a{i} as (from a{i - 1} union all from a{i - 1})" for i in range(1, 40))
    + " select count(*) from a39",
    "select mode(range) over (order by range rows between 100000 preceding and 100000 following) "
    "from range(1000000)",
    "select sleep_ms(60000)",
]
TOO_LARGE = [
    "select unnest({'a': range(100000000)}, recursive := true)",
    "select list_resize([1], 1000000000)",
    "select base64(repeat('x', 2000000000)::blob)",
]
TOO_DEEP = [
    "select " + "{'a': " * 900 + "1" + "}" * 900,
    "select " + "coalesce(" * 3_000 + "1" + ")" * 3_000,
    "select * from query('" + "select * from (" * 2_000 + "words" + ")" * 2_000 + "')",
    "select regexp_matches('x', repeat('(', 900) || 'a' || repeat('){9}', 900))",
]


@pytest.mark.slow
@pytest.mark.parametrize("sql", UNENDING, ids=lambda sql: sql[:60])
def test_what_does_not_end_is_stopped(files: LakeFiles, sql: str):
    """Joins without end, recursion, patterns and sleep are stopped."""
    with pytest.raises(QueryError, match=rf"longer than {TIMEOUT_S} s and was stopped|memory"):
        run(files, sql)


@pytest.mark.long
@pytest.mark.parametrize("sql", TOO_LARGE + TOO_DEEP, ids=lambda sql: sql[:60])
def test_what_is_too_large_or_deep_is_refused(files: LakeFiles, sql: str):
    """In a sentence, whether the process lives or dies of it."""
    with pytest.raises(QueryError):
        run(files, sql)
