"""The lake's tables in the catalog: as described, and upgraded from older lakes."""

import re

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
from ytcaption.settings.settings import Settings

LATER = {
    "transcripts": ("queued_at", "started_at", "processing_s"),
    "segments": ("made_at",),
    "words": ("made_at",),
}
"""Columns that the first lakes did not have."""


@pytest.fixture
def older_lake(settings: Settings) -> list[tuple]:
    """Create a lake of the first version with two transcripts; return its documents."""
    lake = LakeConnection(settings)
    with lake.cursor() as cursor:
        for table, columns in LATER.items():
            cursor.execute(f"alter table lake.main.{table} reset partitioned by")
            cursor.execute(f"alter table lake.main.{table} reset sorted by")
            for column in columns:
                cursor.execute(f"alter table lake.main.{table} drop column {column}")
        for name in ("first", "second"):
            for table, rows in first_version_rows(name).items():
                cursor.register("rows", rows)
                cursor.execute(f"insert into lake.main.{table} by name select * from rows")
                cursor.unregister("rows")
    return [make_document("first"), make_document("second")]


def first_version_rows(name: str) -> dict[str, pa.Table]:
    """Return a document's rows without later columns."""
    return {
        table: rows.drop_columns(list(LATER.get(table, ())))
        for table, rows in lake_rows(*make_document(name)).items()
    }


@pytest.mark.long
def test_catalog_has_every_column_with_its_type_and_comment(settings: Settings):
    """DuckLake's catalog matches the schema that the documentation shows."""
    with LakeConnection(settings).cursor() as cursor:
        columns = cursor.execute(
            "select table_name, column_name, data_type, comment from duckdb_columns() "
            "where database_name = 'lake' and schema_name = 'main'"
        ).fetchall()
    assert set(columns) == {
        (table, column.name, column.type, column.comment)
        for table, table_columns in TABLES.items()
        for column in table_columns
    }


@pytest.mark.slow
def test_each_month_has_its_own_files(settings: Settings, local_catalog: TranscriptCatalog):
    """Compacting leaves one file per month and table, sorted by time."""
    created_at = (
        "2026-01-31T23:59:59+00:00",
        "2026-02-01T00:00:00+00:00",
        "2026-01-02T00:00:00+00:00",
    )
    for number, time in enumerate(created_at):
        local_catalog.append(*make_document(str(number), created_at=time))
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


@pytest.mark.slow
def test_words_are_stored_in_spoken_order(settings: Settings, local_catalog: TranscriptCatalog):
    """Pairs of words rely on it, also after merging and deleting, and with many rows."""
    many = (
        "select 'm' || n // 3000 as media_id, media_id || '.x' as transcription_id, "
        "(n % 3000)::integer as word_index, timestamptz '2026-01-05 00:00:00+00' "
        "+ to_seconds(hash(n // 3000) % 100000) as made_at from range(300000) as numbers (n)"
    )
    ordered = (
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
        counts = cursor.execute(
            "select count(*), count(*) filter (where (next_at, next_id, next_index) "
            f"< (made_at, transcription_id, word_index)) from ({ordered} read_parquet('{path}'))"
        ).fetchall()
    assert counts == [(300_600, 0)]


@pytest.mark.slow
def test_other_sort_order_is_replaced(settings: Settings):
    """Rows written later are sorted."""
    with LakeConnection(settings).cursor() as cursor:
        cursor.execute("alter table lake.main.words set sorted by (made_at asc)")
    LakeConnection(settings)._database()
    with psycopg.connect(database_urls(settings).admin) as connection:
        rows = connection.execute(
            "select e.expression from lake.ducklake_table t "
            "join lake.ducklake_sort_info s using (table_id) "
            "join lake.ducklake_sort_expression e using (sort_id) "
            "where t.table_name = 'words' and s.end_snapshot is null order by e.sort_key_index"
        ).fetchall()
    assert tuple(row[0] for row in rows) == SORTED["words"]


@pytest.mark.long
def test_older_lake_is_readable_and_gets_new_columns(
    settings: Settings, older_lake: list[tuple], local_catalog: TranscriptCatalog
):
    """Old rows have null in new columns, next to new rows, also in partly deleted files; repair
    writes them again."""
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


@pytest.mark.long
def test_opening_a_current_lake_changes_nothing(
    settings: Settings, local_catalog: TranscriptCatalog
):
    """Opening it writes no snapshot."""
    local_catalog.append(*make_document())

    def snapshots() -> int:
        with psycopg.connect(database_urls(settings).admin) as connection:
            row = connection.execute("select count(*) from lake.ducklake_snapshot").fetchone()
        assert row is not None
        return row[0]

    before = snapshots()
    LakeConnection(settings)._database()
    assert snapshots() == before


def test_docs_list_every_view():
    """docs/reference/lake.md has each view with its parameters and columns."""
    page = (ROOT / "docs" / "reference" / "lake.md").read_text(encoding="utf-8")
    page = page.split("\n## Views\n")[1]
    for name, view in VIEWS.items():
        section = page.split(f"### {name}\n")[1].split("\n#")[0]
        parameters, _, columns = section.rpartition("Columns:")
        assert view.summary in " ".join(section.split())
        listed = [re.findall(r"^- `(\w+)`", part, re.MULTILINE) for part in (parameters, columns)]
        assert listed[0] == [each.name for each in view.parameters]
        assert listed[1] == [each.name for each in view.columns]
