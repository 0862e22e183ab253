"""Tests of the files that callers' queries read: copies without others' rows."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from resources.lake import caller_files
from resources.lake.catalog import TranscriptCatalog
from resources.transcriptions.store import RequestStore
from tests.support.lake_documents import make_document
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings

COUNT = "select count(distinct transcription_id) from segments"


@pytest.fixture
def ids(local_catalog: TranscriptCatalog, request_store: RequestStore) -> list[str]:
    """Return two transcriptions that Anna and Bert share, and one of Bert's, in the same files."""
    documents = [make_document(name) for name in ("first", "second", "third")]
    for index, document in enumerate(documents):
        local_catalog.append(*document)
        for owner in ("anna", "bert")[index == 2 :]:
            request_store.submit(document[1], TranscriptionOptions("base"), owner=owner)
    local_catalog.compact()
    return [document[0].id for document in documents]


def copies_of(settings: Settings) -> list[Path]:
    """Return all files and folders with copies."""
    return sorted((settings.home / "cache" / "lake-shares").rglob("*"))


@pytest.mark.long
def test_a_copy_in_progress_is_not_completed_after_an_erasure(
    settings: Settings,
    local_catalog: TranscriptCatalog,
    ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
):
    """No copy holds the erased text, and the query reads the remaining rows."""
    is_written, is_erased = threading.Event(), threading.Event()
    write = caller_files._write_rows

    def write_slowly(table, file, keys, path):
        write(table, file, keys, path)
        is_written.set()
        assert is_erased.wait(60)

    monkeypatch.setattr(caller_files, "_write_rows", write_slowly)
    with ThreadPoolExecutor(1) as pool:
        query = pool.submit(TranscriptCatalog.from_settings(settings).query, COUNT, owner="anna")
        assert is_written.wait(60)
        local_catalog.erase(ids[0])
        try:
            assert copies_of(settings) == []
        finally:
            is_erased.set()
        assert query.result().rows == [(1,)]
    for path in copies_of(settings):
        assert not duckdb.sql(f"from '{path}' as row where row::text like '%first%'").fetchall()


@pytest.mark.long
def test_a_caller_has_one_copy_of_a_file(
    settings: Settings,
    local_catalog: TranscriptCatalog,
    request_store: RequestStore,
    ids: list[str],
):
    """A request changes which rows the caller sees; the earlier copies are replaced."""
    assert local_catalog.query(COUNT, owner="anna").rows == [(2,)]
    first = copies_of(settings)
    request_store.submit(make_document("third")[1], TranscriptionOptions("base"), owner="clara")
    assert local_catalog.query(COUNT, owner="clara").rows == [(1,)]
    assert len(copies_of(settings)) == 2 * len(first) and set(first) < set(copies_of(settings))
    request_store.submit(make_document("second")[1], TranscriptionOptions("base"), owner="clara")
    assert local_catalog.query(COUNT, owner="clara").rows == [(2,)]
    assert len(copies_of(settings)) == 2 * len(first) and set(first) < set(copies_of(settings))


@pytest.mark.long
def test_copies_are_limited_in_bytes(
    settings: Settings,
    local_catalog: TranscriptCatalog,
    ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
):
    """Of those that no query can be reading."""
    monkeypatch.setattr(caller_files, "_MAX_COPIES_BYTES", 0)
    monkeypatch.setattr(caller_files, "START_S", -settings.analytics.query_timeout_s - 60)
    files = local_catalog._files_of("anna")
    assert ids and any(files.values())
    assert copies_of(settings) == []
