"""Erasing from the lake, and merging its files."""

import multiprocessing
import os
import signal
import threading

import boto3
import psycopg
import pytest
from psycopg import sql

from resources.lake.catalog import TranscriptCatalog
from resources.lake.connection import LakeConnection
from resources.postgres.urls import database_urls
from tests.support.lake_documents import ACCURACY, make_document
from tests.support.lake_rows import row_counts, transcript_ids
from ytcaption.domain.transcripts.lake_schema import TABLES
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

SECRET = "Zebra"
"""Sorts after all other texts, so that it is the maximum in every statistic."""


@pytest.fixture(autouse=True)
def plain_files(request: pytest.FixtureRequest, settings: Settings) -> None:
    """Write Parquet uncompressed, so that a text in a file can be found by its bytes."""
    catalog = request.getfixturevalue("catalog")
    transcript_ids(catalog)
    with psycopg.connect(database_urls(settings).admin) as connection:
        connection.execute(
            "update lake.ducklake_metadata set value = 'uncompressed' "
            "where key = 'parquet_compression'"
        )


def traces(text: str) -> list[str]:
    """Return where the text still is: in the lake's files, its copies or its catalog."""
    settings = load_settings()
    needle = text.encode()
    places = [
        str(path)
        for path in settings.home.rglob("*")
        if path.is_file() and needle in path.read_bytes()
    ]
    if settings.storage.s3_endpoint_url:
        client = boto3.client(
            "s3", endpoint_url=settings.storage.s3_endpoint_url, region_name="us-east-1"
        )
        bucket = settings.store_url.removeprefix("s3://").partition("/")[0]
        for item in client.list_objects_v2(Bucket=bucket).get("Contents", ()):
            body = client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            places += [item["Key"]] if needle in body else []
    with psycopg.connect(database_urls(settings).admin) as connection:
        for (table,) in connection.execute(
            "select table_name from information_schema.tables where table_schema = 'lake'"
        ).fetchall():
            rows = connection.execute(
                sql.SQL("select t::text from lake.{} t").format(sql.Identifier(table))
            ).fetchall()
            places += [table] if any(text in row[0] for row in rows) else []
    return places


def append_secret(catalog: TranscriptCatalog) -> str:
    """Append a transcription whose texts all begin with the secret; return its id."""
    document = make_document(SECRET, text=SECRET, title=f"{SECRET} title")
    catalog.append(*document)
    return document[0].id


@pytest.mark.long
def test_erase_leaves_no_byte(catalog: TranscriptCatalog):
    """The texts are in no file, copy, snapshot or statistic; other transcriptions are unchanged."""
    kept = make_document("kept")
    catalog.append(*kept)
    id = append_secret(catalog)
    catalog.query("select 1")  # makes copies of an S3 lake
    assert len(traces(SECRET)) > len(TABLES)
    catalog.erase(id)
    assert traces(SECRET) == []
    assert row_counts(catalog, kept[0].id)["words"] == 30
    assert catalog.query("select count(*) from words").rows == [(30,)]


@pytest.mark.slow
def test_erase_covers_merged_files_and_earlier_versions(catalog: TranscriptCatalog):
    """Rows in shared files are removed, and so are versions replaced or deleted before."""
    for name in ("first", "second"):
        catalog.append(*make_document(name))
    append_secret(catalog)
    id = append_secret(catalog)
    catalog.compact()
    catalog.delete(id)
    assert traces(SECRET)
    catalog.erase(id)
    assert traces(SECRET) == []
    assert catalog.query("select count(*) from words").rows == [(60,)]


@pytest.mark.slow
def test_writers_cache_does_not_restore_erased_statistics(catalog: TranscriptCatalog):
    """A writer that cached statistics before the erasure does not write them back."""
    other = TranscriptCatalog.from_settings(load_settings())
    id = append_secret(catalog)
    document = make_document("other")
    other.append(*document)
    other.delete(document[0].id)
    catalog.erase(id)
    other.append(*make_document("another"))
    assert traces(SECRET) == []
    assert other.query("select max(text) from words").rows == [(" hello9",)]


@pytest.mark.slow
def test_erase_removes_files_of_a_killed_writer(catalog: TranscriptCatalog):
    """A writer killed before its commit leaves files that belong to no snapshot."""
    catalog.append(*make_document("kept"))
    writer = multiprocessing.get_context("spawn").Process(target=_write_and_die)
    writer.start()
    writer.join(timeout=60)
    assert writer.exitcode == -signal.SIGKILL
    assert traces(SECRET)
    catalog.erase("nobody.aaaaaaaaaaaaaaaaaaaaaaaaaa")
    assert traces(SECRET) == []
    assert catalog.query("select count(*) from words").rows == [(30,)]


def _write_and_die() -> None:
    with LakeConnection(load_settings()).cursor() as cursor:
        cursor.begin()
        cursor.execute(
            f"insert into lake.main.words (transcription_id, text) select 'x', '{SECRET}'"
        )
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_erasing_one_of_two_transcriptions_keeps_the_media(catalog: TranscriptCatalog):
    """The media is removed with its last transcription."""
    base, tiny = make_document(model="base"), make_document(model="tiny")
    catalog.append(*base)
    catalog.append(*tiny)
    catalog.erase(base[0].id)
    assert row_counts(catalog, tiny[0].id)["media"] == 1
    catalog.erase(tiny[0].id)
    assert catalog.query("select count(*) from media").rows == [(0,)]


@pytest.mark.long
def test_compact_merges_files_and_keeps_rows(catalog: TranscriptCatalog):
    """Five appends make five files per table; `compact` leaves one."""
    for number in range(5):
        catalog.append(*make_document(str(number)), accuracy=ACCURACY)
    before = catalog.query("select * from words order by all").rows
    catalog.compact()
    assert catalog.query("select * from words order by all").rows == before
    paths = catalog.query("select value from duckdb_settings() where name = 'allowed_paths'").rows
    assert paths[0][0].count(".parquet") == len(TABLES)


@pytest.mark.slow
def test_query_lists_files_again_after_each_erasure(
    catalog: TranscriptCatalog, monkeypatch: pytest.MonkeyPatch
):
    """Files that vanish between listing and reading cause no error, also several times in a row."""
    import resources.lake.catalog as module

    catalog.append(*make_document("kept"))
    documents = [make_document(f"erased{number}") for number in range(2)]
    for document in documents:
        catalog.append(*document)
    ids = [document[0].id for document in documents]
    list_files = TranscriptCatalog._files_to_query

    def list_then_erase(self: TranscriptCatalog):
        files = list_files(self)
        if ids:
            self.erase(ids.pop())
        return files

    monkeypatch.setattr(module.TranscriptCatalog, "_files_to_query", list_then_erase)
    assert catalog.query("select count(*) from words").rows == [(30,)]
    assert not ids


@pytest.mark.slow
def test_erasure_waits_for_rows_being_read(catalog: TranscriptCatalog):
    """An export reads a file to its end before an erasure removes it."""
    id = append_secret(catalog)
    rows = catalog.rows_of("words", [id])
    first = next(rows)
    erasing = threading.Thread(target=catalog.erase, args=(id,))
    erasing.start()
    erasing.join(1)
    assert erasing.is_alive()
    assert first.num_rows + sum(batch.num_rows for batch in rows) == 30
    erasing.join(30)
    assert traces(SECRET) == []
