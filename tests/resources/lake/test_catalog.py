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
from ytcaption.domain.errors import DatabaseUnavailable, LakeUnavailable
from ytcaption.domain.transcripts.lake_schema import TABLES
from ytcaption.domain.transcripts.metrics import WordErrors
from ytcaption.settings import Settings, load_settings

WRITERS = 4
APPENDS = 2


def test_appended_transcript_is_rows_of_all_tables(catalog: TranscriptCatalog):
    """What `append` says it wrote is what can be counted."""
    document = make_document(words=30)
    written = catalog.append(*document, accuracy=ACCURACY)
    assert written == {
        "transcripts": 1,
        "segments": 3,
        "words": 30,
        "caption_accuracy": 1,
        "media": 1,
    }
    assert catalog.row_counts(document[0].id) == written
    assert catalog.transcript_ids() == {document[0].id}


def test_transcript_appended_again_takes_the_place_of_the_earlier_one(catalog: TranscriptCatalog):
    """Repeating leaves the rows once; a new text leaves nothing of the old one."""
    catalog.append(*make_document(words=30, text="old"), accuracy=ACCURACY)
    catalog.append(*make_document(words=30, text="old"), accuracy=ACCURACY)
    catalog.append(*make_document(words=10, text="new"))
    assert catalog.row_counts(make_document()[0].id) == {
        "transcripts": 1,
        "segments": 1,
        "words": 10,
        "caption_accuracy": 0,
        "media": 1,
    }
    result = catalog.query("select count(*) from words where text like '%old%'")
    assert result.rows == [(0,)]


def test_what_is_measured_later_is_one_row(catalog: TranscriptCatalog):
    """In place of what was measured before; of a transcription that is not there, nothing."""
    transcript, source, info = make_document(words=30)
    catalog.measured(transcript, ACCURACY)
    assert catalog.row_counts(transcript.id)["caption_accuracy"] == 0
    catalog.append(transcript, source, info, accuracy=ACCURACY)
    catalog.measured(transcript, replace(ACCURACY, errors=WordErrors(30)))
    rows = catalog.query("select model, words, wer, substitutions from caption_accuracy").rows
    assert rows == [("base", 30, 0.0, 0)]
    catalog.append(transcript, source, info, accuracy=ACCURACY)
    parts = "select wer, substitutions, deletions, insertions, measured_at from caption_accuracy"
    assert catalog.query(parts).rows == [(0.2, 3, 2, 1, ACCURACY.measured_at)]
    catalog.delete(transcript.id)
    assert catalog.query(parts).rows == []


def test_two_transcriptions_of_one_media_share_its_row(catalog: TranscriptCatalog):
    """The media stays as long as one of its transcriptions does, with the newest description."""
    base = make_document(model="base", title="Before")
    tiny = make_document(model="tiny", title="After")
    catalog.append(*base)
    catalog.append(*tiny)
    assert catalog.query("select title from media").rows == [("After",)]
    catalog.delete(base[0].id)
    assert catalog.transcript_ids() == {tiny[0].id}
    assert catalog.row_counts(tiny[0].id)["media"] == 1
    catalog.delete(tiny[0].id)
    assert catalog.query("select count(*) from media").rows == [(0,)]


def test_deleted_transcript_is_gone_and_others_stay(catalog: TranscriptCatalog):
    """Deleting takes one transcription out of each table; doing it again changes nothing."""
    gone, kept = make_document("gone"), make_document("kept")
    catalog.append(*gone)
    catalog.append(*kept)
    catalog.delete(gone[0].id)
    catalog.delete(gone[0].id)
    assert set(catalog.row_counts(gone[0].id).values()) == {0}
    assert catalog.row_counts(kept[0].id)["words"] == 30
    assert catalog.query("select distinct transcription_id from words").rows == [(kept[0].id,)]


def test_deleted_rows_of_a_merged_file_stay_hidden(catalog: TranscriptCatalog):
    """Queries read the Parquet files themselves, and leave out what was deleted from them."""
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


def test_silent_transcript_has_no_words(catalog: TranscriptCatalog):
    """A transcript without speech is a row of `transcripts`; the others keep their columns."""
    document = make_document(words=0)
    assert catalog.append(*document)["words"] == 0
    assert catalog.query("select word, probability from words").columns == ("word", "probability")
    assert catalog.query("select language, word_count from transcripts").rows == [(None, 0)]


def test_lake_that_nobody_wrote_to_has_its_tables(catalog: TranscriptCatalog):
    """The first use may be a query."""
    assert catalog.transcript_ids() == set()
    assert catalog.query("select * from segments").rows == []


def test_nothing_of_four_writing_processes_is_lost(
    settings: Settings, local_catalog: TranscriptCatalog
):
    """Four processes append at once to a lake that does not exist yet, partly the same
    transcriptions: each is there once, whole."""
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_append_many, args=(number,)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=120)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    found = local_catalog.query(
        "select t.media_id, count(distinct t.transcription_id), count(*), any_value(word_count) "
        "from transcripts t join words using (transcription_id) group by all"
    )
    assert {row[0] for row in found.rows} == {
        "youtube-shared",
        *(f"youtube-{writer}-{n}" for writer in range(WRITERS) for n in range(APPENDS)),
    }
    assert all((ids, words) == (1, counted) for _, ids, words, counted in found.rows)
    assert local_catalog.query("select count(*), count(distinct media_id) from media").rows == [
        (WRITERS * APPENDS + 1, WRITERS * APPENDS + 1)
    ]


def test_writers_of_one_media_take_turns(settings: Settings, local_catalog: TranscriptCatalog):
    """DuckLake lets two writers add the same rows at once, so we do not; other media go on."""
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


def test_lake_that_stays_busy_is_told(
    settings: Settings, local_catalog: TranscriptCatalog, monkeypatch: pytest.MonkeyPatch
):
    """A writer does not wait for ever."""
    monkeypatch.setattr("resources.lake.connection._LOCK_WAIT", "200ms")
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


def test_home_that_was_moved_keeps_its_lake(settings: Settings, local_catalog: TranscriptCatalog):
    """Files are known by their place below the data path, so a lake can be restored elsewhere."""
    document = make_document()
    local_catalog.append(*document)
    moved = settings.home.rename(settings.home.with_name("elsewhere"))
    restored = TranscriptCatalog.from_settings(
        Settings(home=moved, database_url=settings.database_url, _env_file=None)  # pyright: ignore
    )
    assert restored.query("select count(*) from words").rows == [(30,)]
    restored.append(*make_document("second"))
    assert len(restored.transcript_ids()) == 2


def test_fork_opens_a_lake_of_its_own(settings: Settings, local_catalog: TranscriptCatalog):
    """A run forked from a process that has the lake open writes without disturbing it."""
    local_catalog.append(*make_document("parent"))
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        local_catalog.append(*make_document("child"))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    local_catalog.append(*make_document("afterwards"))
    assert len(local_catalog.transcript_ids()) == 3


def test_database_that_does_not_answer_is_said_without_its_password(
    settings: Settings, tmp_path: Path
):
    """No Postgres is DatabaseUnavailable, in words that hold no secret."""
    url = "postgresql://captioner:hunter2@127.0.0.1:1/ytcaption"
    elsewhere = Settings(home=tmp_path, database_url=url, _env_file=None)  # pyright: ignore
    with pytest.raises(DatabaseUnavailable) as caught:
        TranscriptCatalog.from_settings(elsewhere).append(*make_document())
    assert "hunter2" not in _whole_story(caught.value)


def test_lake_outlives_connections_that_break(settings: Settings, catalog: TranscriptCatalog):
    """After Postgres has dropped all connections the same catalog goes on."""
    catalog.append(*make_document("before"))
    with psycopg.connect(database_urls(settings).admin, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where pid <> pg_backend_pid() and datname = current_database()"
        )
    catalog.append(*make_document("after"))
    assert len(catalog.transcript_ids()) == 2


def test_write_that_fails_leaves_the_rows_as_they_were(
    settings: Settings, local_catalog: TranscriptCatalog
):
    """The four tables change together or not at all: here one of them cannot be written."""
    document = make_document(words=30)
    local_catalog.append(*document)
    folder = settings.home / "objects" / "lake" / "main" / "media"
    hidden = folder.rename(folder.with_name("hidden"))
    folder.write_text("in the way")
    with pytest.raises(LakeUnavailable):
        local_catalog.append(*make_document(words=10))
    folder.unlink()
    hidden.rename(folder)
    assert local_catalog.row_counts(document[0].id)["words"] == 30


def test_s3_lake_is_copied_once_for_queries(s3_catalog: TranscriptCatalog, settings: Settings):
    """Queries have no network: files come to a cache, where each stays until the lake drops it."""
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


def test_truncated_copy_is_fetched_again(s3_catalog: TranscriptCatalog, settings: Settings):
    """A copy is trusted only with the size that the catalog states."""
    s3_catalog.append(*make_document(words=30))
    s3_catalog.query("select 1")
    for path in (settings.home / "cache" / "lake").iterdir():
        path.write_bytes(b"")
    assert s3_catalog.query("select count(*) from words").rows == [(30,)]


def test_folder_of_the_lake_keeps_only_files_that_it_needs(
    settings: Settings, local_catalog: TranscriptCatalog
):
    """After upkeep there is nothing below `lake/` but what the current snapshot lists."""
    for _ in range(3):
        local_catalog.append(*make_document(), accuracy=ACCURACY)
    local_catalog.compact()
    files = [path for path in (settings.home / "objects" / "lake").rglob("*") if path.is_file()]
    assert len(files) == len(TABLES)


def _whole_story(error: BaseException | None) -> str:
    """The messages of an error and of all that led to it, which logs show."""
    story = ""
    while error is not None:
        story += f"{error!r} {error}\n"
        error = error.__cause__ or error.__context__
    return story
