"""Appending to the lake and deleting from it, on a local folder and on S3."""

import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from resources.lake.catalog import TranscriptCatalog
from resources.lake.connection import LakeConnection
from resources.postgres.urls import database_urls
from tests.support.lake_documents import ACCURACY, make_document
from tests.support.lake_rows import row_counts, transcript_ids
from ytcaption.domain.errors import DatabaseUnavailable, LakeUnavailable
from ytcaption.domain.transcripts.lake_schema import TABLES
from ytcaption.domain.transcripts.metrics import WordErrors
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

WRITERS = 4
APPENDS = 2


@pytest.mark.long
def test_append_writes_rows_to_all_tables(catalog: TranscriptCatalog):
    """`append` returns the counts of the stored rows."""
    document = make_document(words=30)
    written = catalog.append(*document, accuracy=ACCURACY)
    assert written == {
        "transcripts": 1,
        "segments": 3,
        "words": 30,
        "caption_accuracy": 1,
        "media": 1,
    }
    assert row_counts(catalog, document[0].id) == written
    assert transcript_ids(catalog) == {document[0].id}


@pytest.mark.slow
def test_append_replaces_an_earlier_transcript(catalog: TranscriptCatalog):
    """Appending again keeps one copy of the rows; a new text leaves nothing of the old one."""
    catalog.append(*make_document(words=30, text="old"), accuracy=ACCURACY)
    catalog.append(*make_document(words=30, text="old"), accuracy=ACCURACY)
    catalog.append(*make_document(words=10, text="new"))
    assert row_counts(catalog, make_document()[0].id) == {
        "transcripts": 1,
        "segments": 1,
        "words": 10,
        "caption_accuracy": 0,
        "media": 1,
    }
    result = catalog.query("select count(*) from words where text like '%old%'")
    assert result.rows == [(0,)]


@pytest.mark.slow
def test_set_accuracy_replaces_the_row(catalog: TranscriptCatalog):
    """An earlier measurement is replaced; a transcription not in the lake gets no row."""
    transcript, source, info = make_document(words=30)
    catalog.set_accuracy(transcript, ACCURACY)
    assert row_counts(catalog, transcript.id)["caption_accuracy"] == 0
    catalog.append(transcript, source, info, accuracy=ACCURACY)
    catalog.set_accuracy(transcript, replace(ACCURACY, errors=WordErrors(30)))
    rows = catalog.query("select model, words, wer, substitutions from caption_accuracy").rows
    assert rows == [("base", 30, 0.0, 0)]
    catalog.append(transcript, source, info, accuracy=ACCURACY)
    parts = "select wer, substitutions, deletions, insertions, measured_at from caption_accuracy"
    assert catalog.query(parts).rows == [(0.2, 3, 2, 1, ACCURACY.measured_at)]
    catalog.delete(transcript.id)
    assert catalog.query(parts).rows == []


@pytest.mark.slow
def test_two_transcriptions_of_one_media_share_its_row(catalog: TranscriptCatalog):
    """The media row stays until its last transcription is deleted, with the newest description."""
    base = make_document(model="base", title="Before")
    tiny = make_document(model="tiny", title="After")
    catalog.append(*base)
    catalog.append(*tiny)
    assert catalog.query("select title from media").rows == [("After",)]
    catalog.delete(base[0].id)
    assert transcript_ids(catalog) == {tiny[0].id}
    assert row_counts(catalog, tiny[0].id)["media"] == 1
    catalog.delete(tiny[0].id)
    assert catalog.query("select count(*) from media").rows == [(0,)]


@pytest.mark.slow
def test_delete_removes_one_transcript(catalog: TranscriptCatalog):
    """Deleting removes one transcription from each table; repeating it changes nothing."""
    deleted, kept = make_document("gone"), make_document("kept")
    catalog.append(*deleted)
    catalog.append(*kept)
    catalog.delete(deleted[0].id)
    catalog.delete(deleted[0].id)
    assert set(row_counts(catalog, deleted[0].id).values()) == {0}
    assert row_counts(catalog, kept[0].id)["words"] == 30
    assert catalog.query("select distinct transcription_id from words").rows == [(kept[0].id,)]


@pytest.mark.slow
def test_deleted_rows_of_a_merged_file_are_hidden(catalog: TranscriptCatalog):
    """Queries read the Parquet files directly, without the rows deleted from them."""
    documents = [make_document(name) for name in ("first", "second", "third")]
    for document in documents:
        catalog.append(*document)
    catalog.compact()
    catalog.delete(documents[1][0].id)
    catalog.append(*make_document("third", words=10))
    assert catalog.query(
        "select media_id, count(*) from words group by all order by media_id"
    ).rows == [("youtube-first", 30), ("youtube-third", 10)]
    assert catalog.query("select count(*) from transcripts").rows == [(2,)]


@pytest.mark.slow
def test_silent_transcript_has_no_words(catalog: TranscriptCatalog):
    """Without speech there is a row of `transcripts`; the other tables keep their columns."""
    document = make_document(words=0)
    assert catalog.append(*document)["words"] == 0
    assert catalog.query("select word, probability from words").columns == ("word", "probability")
    assert catalog.query("select language, word_count from transcripts").rows == [(None, 0)]


@pytest.mark.long
def test_empty_lake_has_its_tables(catalog: TranscriptCatalog):
    """The first use may be a query."""
    assert transcript_ids(catalog) == set()
    assert catalog.query("select * from segments").rows == []


@pytest.mark.slow
def test_four_writing_processes_lose_nothing(settings: Settings, local_catalog: TranscriptCatalog):
    """Four processes append at once to a lake that does not exist yet, partly the same
    transcriptions: each is stored once and complete."""
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_append_many, args=(number,)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=120)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    result = local_catalog.query(
        "select t.media_id, count(distinct t.transcription_id), count(*), any_value(word_count) "
        "from transcripts t join words using (transcription_id) group by all"
    )
    assert {row[0] for row in result.rows} == {
        "youtube-shared",
        *(f"youtube-{writer}-{n}" for writer in range(WRITERS) for n in range(APPENDS)),
    }
    assert all((ids, words) == (1, word_count) for _, ids, words, word_count in result.rows)
    assert local_catalog.query("select count(*), count(distinct media_id) from media").rows == [
        (WRITERS * APPENDS + 1, WRITERS * APPENDS + 1)
    ]


@pytest.mark.slow
def test_writers_of_one_media_take_turns(settings: Settings, local_catalog: TranscriptCatalog):
    """DuckLake would let two writers add the same rows at once; writers of other media go on."""
    lake = LakeConnection(settings)
    with ThreadPoolExecutor() as pool:
        with lake.locked(media_id="youtube-first"):
            local_catalog.append(*make_document("second"))
            waiting = pool.submit(local_catalog.append, *make_document("first"))
            time.sleep(1)
            assert not waiting.done()
        assert waiting.result(timeout=30)["words"] == 30
        with lake.locked(exclusive=True):
            waiting = pool.submit(local_catalog.append, *make_document("third"))
            time.sleep(1)
            assert not waiting.done()
        assert waiting.result(timeout=30)["words"] == 30


@pytest.mark.long
def test_busy_lake_raises_after_a_wait(
    settings: Settings, local_catalog: TranscriptCatalog, monkeypatch: pytest.MonkeyPatch
):
    """A writer does not wait forever."""
    monkeypatch.setattr("resources.lake.connection._LOCK_WAIT_S", 0.2)
    with (
        LakeConnection(settings).locked(exclusive=True),
        pytest.raises(LakeUnavailable, match="busy"),
    ):
        local_catalog.append(*make_document())


def _append_many(writer: int) -> None:
    catalog = TranscriptCatalog.from_settings(load_settings())
    for number in range(APPENDS):
        catalog.append(*make_document(f"{writer}-{number}", words=10))
        catalog.append(*make_document("shared", words=10 * (writer + 1), text=f"writer{writer}-"))


@pytest.mark.slow
def test_moved_home_keeps_its_lake(settings: Settings, local_catalog: TranscriptCatalog):
    """File paths are relative to the data path, so a lake can be restored elsewhere."""
    document = make_document()
    local_catalog.append(*document)
    moved = settings.home.rename(settings.home.with_name("elsewhere"))
    restored = TranscriptCatalog.from_settings(
        Settings(home=moved, database_url=settings.storage.database_url, _env_file=None)  # pyright: ignore
    )
    assert restored.query("select count(*) from words").rows == [(30,)]
    restored.append(*make_document("second"))
    assert len(transcript_ids(restored)) == 2


@pytest.mark.slow
def test_fork_opens_its_own_lake(settings: Settings, local_catalog: TranscriptCatalog):
    """A run forked from a process that has the lake open writes without disturbing it."""
    local_catalog.append(*make_document("parent"))
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        local_catalog.append(*make_document("child"))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    local_catalog.append(*make_document("afterwards"))
    assert len(transcript_ids(local_catalog)) == 3


def test_unreachable_database_error_hides_the_password(settings: Settings, tmp_path: Path):
    """Without Postgres the error is DatabaseUnavailable, and no message holds the password."""
    url = "postgresql://captioner:hunter2@127.0.0.1:1/ytcaption"
    elsewhere = Settings(home=tmp_path, database_url=url, _env_file=None)  # pyright: ignore
    with pytest.raises(DatabaseUnavailable) as caught:
        TranscriptCatalog.from_settings(elsewhere).append(*make_document())
    assert "hunter2" not in _chained_messages(caught.value)


@pytest.mark.slow
def test_catalog_survives_broken_connections(settings: Settings, catalog: TranscriptCatalog):
    """The same catalog works after Postgres has dropped all connections."""
    catalog.append(*make_document("before"))
    with psycopg.connect(database_urls(settings).admin, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where pid <> pg_backend_pid() and datname = current_database()"
        )
    catalog.append(*make_document("after"))
    assert len(transcript_ids(catalog)) == 2


@pytest.mark.long
def test_failed_write_leaves_the_rows_unchanged(
    settings: Settings, local_catalog: TranscriptCatalog
):
    """All tables change together or not at all: here one of them cannot be written."""
    document = make_document(words=30)
    local_catalog.append(*document)
    folder = settings.home / "objects" / "lake" / "main" / "media"
    hidden = folder.rename(folder.with_name("hidden"))
    folder.write_text("in the way")
    with pytest.raises(LakeUnavailable):
        local_catalog.append(*make_document(words=10))
    folder.unlink()
    hidden.rename(folder)
    assert row_counts(local_catalog, document[0].id)["words"] == 30


@pytest.mark.slow
def test_s3_files_are_copied_once(s3_catalog: TranscriptCatalog, settings: Settings):
    """Query processes have no network: each file is cached until the lake drops it."""
    s3_catalog.append(*make_document(words=30))
    assert s3_catalog.query("select count(*) from words").rows == [(30,)]
    cache = settings.home / "cache" / "lake"
    first = {path.name: path.stat().st_ino for path in cache.iterdir()}
    assert len(first) == 4
    s3_catalog.query("select count(*) from words")
    assert {path.name: path.stat().st_ino for path in cache.iterdir()} == first
    s3_catalog.append(*make_document(words=10))
    assert s3_catalog.query("select count(*) from words").rows == [(10,)]
    assert not first.keys() & {path.name for path in cache.iterdir()}


@pytest.mark.slow
def test_truncated_copy_is_fetched_again(s3_catalog: TranscriptCatalog, settings: Settings):
    """A copy is used only if it has the size that the catalog states."""
    s3_catalog.append(*make_document(words=30))
    s3_catalog.query("select 1")
    for path in (settings.home / "cache" / "lake").iterdir():
        path.write_bytes(b"")
    assert s3_catalog.query("select count(*) from words").rows == [(30,)]


@pytest.mark.slow
def test_compact_leaves_only_needed_files(settings: Settings, local_catalog: TranscriptCatalog):
    """After maintenance `lake/` holds only what the current snapshot lists."""
    for _ in range(3):
        local_catalog.append(*make_document(), accuracy=ACCURACY)
    local_catalog.compact()
    files = [path for path in (settings.home / "objects" / "lake").rglob("*") if path.is_file()]
    assert len(files) == len(TABLES)


def _chained_messages(error: BaseException | None) -> str:
    """Return the messages of an error and its causes, which logs show."""
    messages = ""
    while error is not None:
        messages += f"{error!r} {error}\n"
        error = error.__cause__ or error.__context__
    return messages
