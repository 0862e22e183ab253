"""Verifying the lake against the documents, and repairing it."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import boto3
import pytest

from resources.lake.catalog import TranscriptCatalog
from resources.lake.verify import Document
from tests.support.lake_documents import make_document
from tests.support.lake_rows import transcript_ids
from ytcaption.domain.errors import LakeUnavailable, ObjectCorrupt
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

NAMES = ("first", "second", "third")


@dataclass
class Documents:
    """The truth: the documents that Postgres and the object store would return."""

    documents: dict[str, Document] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def completed(self) -> list[str]:
        """Return all ids."""
        return list(self.documents)

    def document(self, id: str) -> Document | None:
        """Return one document."""
        if id in self.broken:
            raise ObjectCorrupt("The document is damaged.")
        return self.documents.get(id)


@pytest.fixture
def documents() -> Documents:
    """Return three transcripts."""
    documents = [make_document(name) for name in NAMES]
    return Documents({document[0].id: document for document in documents})


@pytest.fixture
def filled(catalog: TranscriptCatalog, documents: Documents) -> TranscriptCatalog:
    """Return a lake that holds them."""
    for document in documents.documents.values():
        catalog.append(*document)
    return catalog


@pytest.fixture
def filled_folder(local_catalog: TranscriptCatalog, documents: Documents) -> TranscriptCatalog:
    """Return a lake in a folder that holds them."""
    for document in documents.documents.values():
        local_catalog.append(*document)
    return local_catalog


def word_files(settings: Settings) -> list[Path]:
    """Return the data files of table `words`."""
    files = (settings.home / "objects" / "lake" / "main" / "words").glob("*.parquet")
    return sorted(path for path in files if not path.stem.endswith("-delete"))


def is_whole(catalog: TranscriptCatalog) -> bool:
    """Return whether all three transcripts can be queried, each with its 30 words."""
    rows = catalog.query("select media_id, count(*) from words group by all order by all").rows
    return rows == [(f"youtube-{name}", 30) for name in NAMES]


@pytest.mark.slow
def test_sound_lake_is_reported_sound(filled: TranscriptCatalog, documents: Documents):
    """A lake that matches the documents has no findings."""
    report = filled.verify(documents.completed, documents.document)
    assert report.is_sound
    assert (report.file_count, report.transcription_count) == (12, 3)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["emptied", "removed", "cut", "overwritten"])
def test_damaged_file_is_found_and_rebuilt(
    damage: str, filled_folder: TranscriptCatalog, documents: Documents, settings: Settings
):
    """An empty, missing, truncated or overwritten file is reported; repair restores its rows."""
    path = word_files(settings)[1]
    data = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(
            {
                "emptied": b"",
                "cut": data[: len(data) // 2],
                "overwritten": data[:4] + bytes(len(data) - 12) + data[-8:],
            }[damage]
        )
    with pytest.raises(LakeUnavailable, match="lake verify --repair"):
        filled_folder.query("select sum(end_s), max(text) from words")

    report = filled_folder.verify(documents.completed, documents.document)
    assert report.damaged_files == (str(path),)
    assert len(report.different) == 1
    assert not report.is_sound

    repaired = filled_folder.verify(documents.completed, documents.document, repair=True)
    assert repaired.is_sound
    assert is_whole(filled_folder)
    assert filled_folder.verify(documents.completed, documents.document).damaged_files == ()


@pytest.mark.slow
def test_changed_byte_in_a_readable_file_is_found(
    filled_folder: TranscriptCatalog, documents: Documents, settings: Settings
):
    """Rows are compared by value, so a file that decodes to other values is found."""
    path = word_files(settings)[0]
    for position in range(100, 400, 30):
        data = bytearray(path.read_bytes())
        data[position] ^= 0x01
        path.write_bytes(data)
    report = filled_folder.verify(documents.completed, documents.document, repair=True)
    assert len(report.different) == 1
    assert is_whole(filled_folder)


@pytest.mark.slow
def test_all_files_lost_are_rebuilt(
    filled_folder: TranscriptCatalog, documents: Documents, settings: Settings
):
    """An emptied lake folder is rebuilt from the documents."""
    for path in (settings.home / "objects" / "lake").rglob("*.parquet"):
        path.unlink()
    assert filled_folder.verify(documents.completed, documents.document, repair=True).is_sound
    assert is_whole(filled_folder)


@pytest.mark.slow
def test_damaged_merged_file_is_rebuilt(
    filled_folder: TranscriptCatalog, documents: Documents, settings: Settings
):
    """All transcripts of a merged file are restored, the deleted one once only."""
    filled_folder.compact()
    (merged,) = word_files(settings)
    second = make_document("second", words=30)
    filled_folder.append(*second)
    merged.write_bytes(b"")
    assert filled_folder.verify(documents.completed, documents.document, repair=True).is_sound
    assert is_whole(filled_folder)


@pytest.mark.slow
def test_damaged_list_of_deleted_rows_is_rebuilt(
    filled_folder: TranscriptCatalog, documents: Documents, settings: Settings
):
    """Without it the valid rows are unknown, so its data file is dropped too."""
    filled_folder.compact()
    filled_folder.append(*make_document("second"))
    for path in (settings.home / "objects" / "lake").rglob("*-delete.parquet"):
        path.write_bytes(b"")
    report = filled_folder.verify(documents.completed, documents.document, repair=True)
    assert len(report.damaged_files) == 4
    assert is_whole(filled_folder)


@pytest.mark.slow
def test_object_missing_from_s3_is_rebuilt(s3_catalog: TranscriptCatalog, documents: Documents):
    """An object missing from the bucket is found although a local copy exists."""
    for document in documents.documents.values():
        s3_catalog.append(*document)
    assert is_whole(s3_catalog)
    settings = load_settings()
    client = boto3.client(
        "s3", endpoint_url=settings.storage.s3_endpoint_url, region_name="us-east-1"
    )
    bucket = settings.store_url.removeprefix("s3://").partition("/")[0]
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]]
    words = [key for key in keys if "/words/" in key]
    client.delete_object(Bucket=bucket, Key=words[0])
    client.put_object(Bucket=bucket, Key=words[1], Body=b"")
    report = s3_catalog.verify(documents.completed, documents.document, repair=True)
    assert set(report.damaged_files) == {f"s3://{bucket}/{key}" for key in words[:2]}
    assert is_whole(s3_catalog)


@pytest.mark.slow
def test_unreachable_store_is_not_damage(
    s3_catalog: TranscriptCatalog, documents: Documents, monkeypatch: pytest.MonkeyPatch
):
    """When S3 cannot be reached, nothing is removed."""
    s3_catalog.append(*documents.documents[documents.completed()[0]])
    monkeypatch.setenv("YTCAPTION_S3_ENDPOINT_URL", "http://127.0.0.1:1")
    unreachable = TranscriptCatalog.from_settings(load_settings())
    with pytest.raises(LakeUnavailable):
        unreachable.verify(documents.completed, documents.document, repair=True)
    assert s3_catalog.query("select count(*) from words").rows == [(30,)]


@pytest.mark.slow
def test_rows_that_differ_from_the_document_are_replaced(
    filled: TranscriptCatalog, documents: Documents
):
    """The document decides: on a text, a title, a transcript missing from the lake."""
    first, second, third = documents.documents
    documents.documents[first] = make_document("first", text="better")
    transcript, source, info = documents.documents[second]
    documents.documents[second] = (transcript, source, replace(info, title="Renamed"))
    filled.delete(third)
    report = filled.verify(documents.completed, documents.document)
    assert set(report.different) == {first, second, third}
    assert not report.is_sound
    filled.verify(documents.completed, documents.document, repair=True)
    assert is_whole(filled)
    assert filled.query("select count(*) from words where text like ' better%'").rows == [(30,)]
    assert filled.query("select title from media where media_id = 'youtube-second'").rows == [
        ("Renamed",)
    ]


@pytest.mark.long
def test_the_title_of_an_upload_is_not_compared(
    local_catalog: TranscriptCatalog, documents: Documents
):
    """Earlier versions stored it, and readers no longer use it. That of other media is compared."""
    transcript, source, info = next(iter(documents.documents.values()))
    source = replace(source, kind="upload", url=None)
    local_catalog.append(transcript, source, replace(info, title="interview.wav"))
    documents.documents = {transcript.id: (transcript, source, replace(info, title=None))}
    assert local_catalog.verify(documents.completed, documents.document).is_sound


@pytest.mark.slow
def test_transcript_without_document_is_removed(filled: TranscriptCatalog, documents: Documents):
    """A transcript erased elsewhere must not stay in the lake."""
    erased = documents.completed()[0]
    del documents.documents[erased]
    assert filled.verify(documents.completed, documents.document).orphaned == (erased,)
    filled.verify(documents.completed, documents.document, repair=True)
    assert erased not in transcript_ids(filled)
    assert len(transcript_ids(filled)) == 2


@pytest.mark.long
def test_transcript_about_to_complete_is_kept(filled: TranscriptCatalog, documents: Documents):
    """Rows are written before the transcription completes; its document counts."""
    report = filled.verify(lambda: documents.completed()[:2], documents.document, repair=True)
    assert report.orphaned == report.different == ()
    assert len(transcript_ids(filled)) == 3


@pytest.mark.slow
def test_unreadable_document_is_reported_and_its_rows_stay(
    filled: TranscriptCatalog, documents: Documents
):
    """A damaged document is no reason to remove good rows."""
    broken = documents.completed()[0]
    documents.broken.add(broken)
    report = filled.verify(documents.completed, documents.document, repair=True)
    assert report.unreadable == {broken: "The document is damaged."}
    assert not report.is_sound
    assert is_whole(filled)
