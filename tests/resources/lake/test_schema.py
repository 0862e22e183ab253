"""The lake's tables in the catalog: as they are described, and as older lakes had them."""

import psycopg
import pyarrow as pa
import pytest

from resources.lake.catalog import TranscriptCatalog
from resources.lake.connection import LakeConnection
from resources.lake.views import VIEWS
from resources.postgres.urls import database_urls
from tests.support.lake_documents import make_document
from tests.support.paths import ROOT
from ytcaption.domain.transcripts.lake_rows import lake_rows
from ytcaption.domain.transcripts.lake_schema import PARTITIONED, SORTED, TABLES
from ytcaption.settings import Settings

LATER = {
    "transcripts": ("queued_at", "started_at", "processing_s"),
    "segments": ("made_at",),
    "words": ("made_at",),
}
"""Columns that the first lakes had not."""


@pytest.fixture
def older_lake(settings: Settings) -> list[tuple]:
    """A lake of the first version with two transcripts; its documents."""
    lake = LakeConnection(settings)
    with lake.cursor() as cursor:
        for table, columns in LATER.items():
            cursor.execute(f"alter table lake.main.{table} reset partitioned by")
            cursor.execute(f"alter table lake.main.{table} reset sorted by")
            for column in columns:
                cursor.execute(f"alter table lake.main.{table} drop column {column}")
        for name in ("first", "second"):
            for table, rows in lake_rows_of_then(name).items():
                cursor.register("rows", rows)
                cursor.execute(f"insert into lake.main.{table} by name select * from rows")
                cursor.unregister("rows")
    return [make_document("first"), make_document("second")]


def lake_rows_of_then(name: str) -> dict[str, pa.Table]:
    """A document's rows, without what came later."""
    return {
        table: rows.drop_columns(list(LATER.get(table, ())))
        for table, rows in lake_rows(*make_document(name)).items()
    }


def test_catalog_has_every_column_with_its_type_and_comment(settings: Settings):
    """What the page on the lake says is what DuckLake's catalog says."""
    with LakeConnection(settings).cursor() as cursor:
        found = cursor.execute(
            "select table_name, column_name, data_type, comment from duckdb_columns() "
            "where database_name = 'lake' and schema_name = 'main'"
        ).fetchall()
    assert set(found) == {
        (table, column.name, column.type, column.comment)
        for table, columns in TABLES.items()
        for column in columns
    }


def test_files_of_each_month_are_kept_apart(settings: Settings, local_catalog: TranscriptCatalog):
    """Merging leaves a file a month and table, in the order of time."""
    moments = (
        "2026-01-31T23:59:59+00:00",
        "2026-02-01T00:00:00+00:00",
        "2026-01-02T00:00:00+00:00",
    )
    for number, moment in enumerate(moments):
        local_catalog.append(*make_document(str(number), created_at=moment))
    local_catalog.compact()
    with LakeConnection(settings).cursor() as cursor:
        for table, column in PARTITIONED.items():
            files = cursor.execute(
                f"select data_file from ducklake_list_files('lake', '{table}')"
            ).fetchall()
            months = [
                cursor.execute(
                    f"select list(distinct month({column})), list({column}) "
                    f"= list_sort(list({column})) from read_parquet('{path}')"
                ).fetchall()[0]
                for (path,) in files
            ]
            assert sorted(months) == [([1], True), ([2], True)], table


def test_words_lie_in_their_files_as_they_are_said(
    settings: Settings, local_catalog: TranscriptCatalog
):
    """Pairs of words are found by it; after merging and deleting, and where there are many rows."""
    many = (
        "select 'm' || n // 3000 as media_id, media_id || '.x' as transcription_id, "
        "(n % 3000)::integer as word_index, timestamptz '2026-01-05 00:00:00+00' "
        "+ to_seconds(hash(n // 3000) % 100000) as made_at from range(300000) as numbers (n)"
    )
    said = (
        "select made_at, transcription_id, word_index, lead(made_at) over () as next_at, "
        "lead(transcription_id) over () as next_id, lead(word_index) over () as next_index from "
    )
    document = make_document(words=600, created_at="2026-01-02T00:00:00+00:00")
    local_catalog.append(*document)
    local_catalog.append(*make_document("b", words=600, created_at="2026-01-09T00:00:00+00:00"))
    with LakeConnection(settings).cursor() as cursor:
        cursor.execute(f"insert into lake.main.words by name {many}")
        local_catalog.delete(document[0].id)
        local_catalog.compact()
        [(path,)] = cursor.execute(
            "select data_file from ducklake_list_files('lake', 'words')"
        ).fetchall()
        found = cursor.execute(
            "select count(*), count(*) filter (where (next_at, next_id, next_index) "
            f"< (made_at, transcription_id, word_index)) from ({said} read_parquet('{path}'))"
        ).fetchall()
    assert found == [(300_600, 0)]


def test_lake_that_was_sorted_otherwise_gets_the_order(settings: Settings):
    """What is written from then on lies in it."""
    with LakeConnection(settings).cursor() as cursor:
        cursor.execute("alter table lake.main.words set sorted by (made_at asc)")
    LakeConnection(settings)._opened()
    with psycopg.connect(database_urls(settings).admin) as connection:
        rows = connection.execute(
            "select e.expression from lake.ducklake_table t "
            "join lake.ducklake_sort_info s using (table_id) "
            "join lake.ducklake_sort_expression e using (sort_id) "
            "where t.table_name = 'words' and s.end_snapshot is null order by e.sort_key_index"
        ).fetchall()
    assert tuple(row[0] for row in rows) == SORTED["words"]


def test_older_lake_is_read_and_gets_its_columns(
    settings: Settings, older_lake: list[tuple], local_catalog: TranscriptCatalog
):
    """Old rows have null in new columns, beside new rows, also where a part of a file is deleted;
    repair writes them anew."""
    assert local_catalog.query("select count(*), count(made_at) from words").rows == [(60, 0)]
    local_catalog.append(*make_document("third"))
    assert local_catalog.query("select count(*), count(made_at) from words").rows == [(90, 30)]
    local_catalog.compact()
    local_catalog.delete(older_lake[0][0].id)
    assert local_catalog.query("select count(*), count(made_at) from words").rows == [(60, 30)]

    documents = {document[0].id: document for document in (*older_lake, make_document("third"))}
    report = local_catalog.verify(lambda: documents, documents.get, repair=True)
    assert len(report.different) == 2
    assert local_catalog.query("select count(*), count(made_at) from words").rows == [(90, 90)]
    assert local_catalog.verify(lambda: documents, documents.get).is_sound


def test_opening_a_lake_that_is_up_to_date_changes_nothing(
    settings: Settings, local_catalog: TranscriptCatalog
):
    """Each process that opens it writes no snapshot."""
    local_catalog.append(*make_document())

    def snapshots() -> int:
        with psycopg.connect(database_urls(settings).admin) as connection:
            row = connection.execute("select count(*) from lake.ducklake_snapshot").fetchone()
        assert row is not None
        return row[0]

    before = snapshots()
    LakeConnection(settings)._opened()
    assert snapshots() == before


def test_page_on_the_lake_lists_every_view():
    """docs/lake.md has each view with its parameters and columns."""
    page = (ROOT / "docs" / "lake.md").read_text(encoding="utf-8")
    for name, view in VIEWS.items():
        [line] = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        _, _, summary, parameters, columns, _ = line.split("|")
        assert summary.strip() == view.summary
        assert parameters.strip() == ", ".join(f"`{each.name}`" for each in view.parameters)
        assert columns.strip() == ", ".join(f"`{each.name}`" for each in view.columns)
