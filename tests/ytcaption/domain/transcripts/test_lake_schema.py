"""The lake's columns and rows."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from tests.support.lake_documents import make_document
from tests.support.paths import ROOT
from ytcaption.domain.media.media import MediaInfo, MediaSource
from ytcaption.domain.transcripts.lake_rows import counted_word, lake_rows
from ytcaption.domain.transcripts.lake_schema import TABLES, arrow_schema

pytestmark = pytest.mark.unit

LAKE_PAGE = ROOT / "docs" / "reference" / "lake.md"


def test_every_segment_and_word_is_a_row_in_time_order():
    """30 words in 3 segments are 30 and 3 rows, numbered from 0, under their transcription's id."""
    transcript, source, info = make_document(words=30)
    rows = lake_rows(transcript, source, info)
    assert {name: table.num_rows for name, table in rows.items()} == {
        "transcripts": 1,
        "segments": 3,
        "words": 30,
        "caption_accuracy": 0,
        "media": 1,
    }
    assert rows["words"]["word_index"].to_pylist() == list(range(30))
    assert rows["segments"]["segment_index"].to_pylist() == [0, 1, 2]
    assert rows["words"]["start_s"].to_pylist() == [word.start_s for word in transcript.words]
    assert set(rows["words"]["transcription_id"].to_pylist()) == {transcript.id}


def test_transcript_row_says_how_the_text_came_about():
    """Provenance, counts and language are columns of `transcripts`."""
    transcript, source, info = make_document(words=30, model="tiny")
    (row,) = lake_rows(transcript, source, info)["transcripts"].to_pylist()
    assert row["model"] == "tiny"
    assert row["options"] == '{"model": "tiny", "task": "transcribe"}'
    assert row["model_revision"] == "ab" * 32
    assert row["word_count"] == 30
    assert row["created_at"] == datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert row["text"] == transcript.text


def test_words_joined_are_the_segments_text():
    """The words' `text` keeps the spaces, so that nothing is lost."""
    rows = lake_rows(*make_document(words=10))
    (segment,) = rows["segments"].to_pylist()
    assert "".join(rows["words"]["text"].to_pylist()).strip() == segment["text"]


def test_transcript_without_speech_is_one_row_without_words():
    """Silence is a transcript too: no language, no segments, the same columns."""
    transcript, source, info = make_document(words=0)
    rows = lake_rows(transcript, source, info)
    assert rows["transcripts"]["language"].to_pylist() == [None]
    assert rows["words"].num_rows == 0
    assert rows["words"].schema.equals(arrow_schema("words"))


def test_translated_words_are_english():
    """`language` of words is that of the text, of the transcript that of the speech."""
    transcript, source, info = make_document()
    rows = lake_rows(replace(transcript, task="translate", language="de"), source, info)
    assert rows["transcripts"]["language"].to_pylist() == ["de"]
    assert set(rows["words"]["language"].to_pylist()) == {"en"}


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        (" Hello,", "hello"),
        (" “Don’t", "don’t"),
        (" ... ", None),
        (" $5", "$5"),
        ("你好。", "你好"),
        (" STRASSE", "strasse"),
        ("", None),
    ],
)
def test_counted_word_is_case_folded_without_punctuation_around(text: str, counted: str | None):
    """What one groups by has neither case nor punctuation, but keeps apostrophes and signs."""
    assert counted_word(text) == counted


def test_signed_media_url_loses_its_query():
    """Who may query the lake must not get a key that was in a URL."""
    transcript, _, info = make_document()
    url = "https://cdn.example.com/talk.mp3?X-Amz-Signature=abc"
    source = MediaSource(transcript.media_id, "direct", url)
    (row,) = lake_rows(transcript, source, replace(info, webpage_url=url))["media"].to_pylist()
    assert row["url"] == row["webpage_url"] == "https://cdn.example.com/talk.mp3"


def test_untrusted_text_is_stored_as_far_as_possible():
    """An invalid date becomes null; NUL characters are removed."""
    transcript, source, _ = make_document()
    info = MediaInfo(title="one\x00two", upload_date="20260102x")
    (row,) = lake_rows(transcript, source, info)["media"].to_pylist()
    assert (row["title"], row["upload_date"]) == ("onetwo", None)
    (row,) = lake_rows(transcript, source, MediaInfo(upload_date="2026-01-02"))["media"].to_pylist()
    assert row["upload_date"] == date(2026, 1, 2)


def test_a_title_that_came_with_a_request_is_not_stored():
    """It belongs to the requester; the lake's readers join it for its owner."""
    transcript, source, _ = make_document()
    named = replace(source, kind="upload", url=None, title="interview.wav")
    (row,) = lake_rows(transcript, named, MediaInfo())["media"].to_pylist()
    assert row["title"] is None


def test_rows_of_another_media_are_refused():
    """A transcript is never filed under a media item that it was not made from."""
    transcript, _, info = make_document("first")
    with pytest.raises(ValueError, match="was not made from"):
        lake_rows(transcript, make_document("second")[1], info)


@pytest.mark.parametrize("table", TABLES)
def test_every_field_says_what_it_is_and_in_which_unit(table: str):
    """Each column has a description, and each number of seconds its unit."""
    for field in arrow_schema(table):
        assert field.metadata[b"description"]
        if field.name.endswith("_s"):
            assert pa.types.is_float64(field.type)
            assert field.metadata[b"unit"] == b"s"


def test_page_on_the_lake_lists_every_column():
    """docs/reference/lake.md is what the schema says, column by column, with its description."""
    page = LAKE_PAGE.read_text(encoding="utf-8")
    for table, columns in TABLES.items():
        section = page.split(f"### {table}\n")[1].split("\n#")[0]
        listed = [line.split("|")[1:4] for line in section.splitlines() if line.startswith("| `")]
        assert [(name.strip(), text.strip()) for name, _, text in listed] == [
            (f"`{column.name}`", column.comment) for column in columns
        ]
