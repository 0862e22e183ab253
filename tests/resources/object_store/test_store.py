"""Bytes by key, in a folder and in S3 alike."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.httpsession import URLLib3Session

from resources.object_store.directory import BLOCK_BYTES
from resources.object_store.store import ObjectStore, audio_key, document_key
from ytcaption.domain.errors import ObjectCorrupt, ObjectNotFound, SetupError, StorageError

DATA = b"RIFF" + bytes(range(256)) * 5_000


@pytest.fixture(params=["object_store", "s3_object_store"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """Both kinds."""
    return request.getfixturevalue(request.param)


def test_bytes_come_back(store: ObjectStore):
    """What was written is read, with its SHA-256 and size told at the writing."""
    written = store.write_bytes("transcripts/a.json", DATA)
    assert written.sha256 == hashlib.sha256(DATA).hexdigest()
    assert written.size_bytes == len(DATA)
    assert store.read_bytes("transcripts/a.json", written.sha256) == DATA


def test_a_file_comes_back(store: ObjectStore, tmp_path: Path):
    """A file's bytes are stored and can be read through a local path."""
    source = tmp_path / "source"
    source.write_bytes(DATA)
    written = store.write_file("audio/a.m4a", source)
    assert written == store.write_bytes("audio/b.m4a", DATA)
    with store.local_file("audio/a.m4a", written.sha256) as path:
        assert path.read_bytes() == DATA


def test_a_large_file_comes_back_from_s3(s3_object_store: ObjectStore, tmp_path: Path):
    """A file above boto3's part size goes up in parts and comes back whole."""
    source = tmp_path / "source"
    source.write_bytes(b"0123456789abcdef" * (20 * 1024 * 1024 // 16))
    written = s3_object_store.write_file("audio/large.webm", source)
    with s3_object_store.local_file("audio/large.webm", written.sha256) as path:
        assert path.stat().st_size == written.size_bytes == 20 * 1024 * 1024
    assert not path.exists()


def test_writing_again_replaces(store: ObjectStore):
    """The later bytes are the ones that are read."""
    store.write_bytes("transcripts/a.json", b"old and longer")
    store.write_bytes("transcripts/a.json", b"new")
    assert store.read_bytes("transcripts/a.json") == b"new"


def test_no_bytes_are_bytes(store: ObjectStore):
    """An empty object exists and is empty."""
    store.write_bytes("transcripts/a.json", b"")
    assert store.exists("transcripts/a.json")
    assert store.read_bytes("transcripts/a.json") == b""


def test_other_bytes_are_refused(store: ObjectStore):
    """Bytes that are not those of the SHA-256 raise ObjectCorrupt, read either way."""
    store.write_bytes("transcripts/a.json", b"tampered")
    right = hashlib.sha256(b"original").hexdigest()
    with pytest.raises(ObjectCorrupt):
        store.read_bytes("transcripts/a.json", right)
    with pytest.raises(ObjectCorrupt), store.local_file("transcripts/a.json", right):
        pass


def test_a_range_is_read_in_blocks(store: ObjectStore):
    """The requested bytes, both ends included, and never many at once."""
    store.write_bytes("audio/a.m4a", DATA)
    assert store.size("audio/a.m4a") == len(DATA)
    for start, end in ((0, len(DATA)), (0, 1), (5, 700_001), (len(DATA) - 1, len(DATA)), (7, 7)):
        blocks = list(store.read_range("audio/a.m4a", start, end))
        assert b"".join(blocks) == DATA[start:end]
        assert all(len(block) <= BLOCK_BYTES for block in blocks)


def test_only_the_range_leaves_s3(s3_object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch):
    """The request to S3 is for the range, not for the object."""
    s3_object_store.write_bytes("audio/a.m4a", DATA)
    ranges = []
    send = URLLib3Session.send

    def seen(self: URLLib3Session, request: Any) -> Any:
        response = send(self, request)
        ranges.append((request.headers["Range"], response.headers["Content-Length"]))
        return response

    monkeypatch.setattr(URLLib3Session, "send", seen)
    assert b"".join(s3_object_store.read_range("audio/a.m4a", 10, 20)) == DATA[10:20]
    assert [(_text(sent), got) for sent, got in ranges] == [("bytes=10-19", "10")]


def test_a_range_beyond_the_end_is_no_range(store: ObjectStore):
    """Fewer bytes than were promised raise ObjectCorrupt, and no key ObjectNotFound."""
    store.write_bytes("audio/a.m4a", b"0123456789")
    for start, end in ((5, 11), (10, 11), (20, 30)):
        with pytest.raises(ObjectCorrupt):
            list(store.read_range("audio/a.m4a", start, end))
    with pytest.raises(ObjectNotFound):
        list(store.read_range("audio/none.m4a", 0, 1))
    with pytest.raises(ObjectNotFound):
        store.size("audio/none.m4a")


def _text(header: bytes | str) -> str:
    return header.decode() if isinstance(header, bytes) else header


def test_a_missing_key_is_not_found(store: ObjectStore):
    """Reading what is not there raises ObjectNotFound; deleting it does nothing."""
    assert not store.exists("audio/none.m4a")
    with pytest.raises(ObjectNotFound):
        store.read_bytes("audio/none.m4a")
    with pytest.raises(ObjectNotFound), store.local_file("audio/none.m4a"):
        pass
    store.delete("audio/none.m4a")


def test_what_is_deleted_is_gone(store: ObjectStore):
    """A deleted key is not found, and its neighbour is."""
    store.write_bytes("audio/a.m4a", b"a")
    store.write_bytes("audio/b.m4a", b"b")
    store.delete("audio/a.m4a")
    assert list(store.list("audio")) == ["audio/b.m4a"]


def test_keys_are_listed_below_a_folder(store: ObjectStore):
    """Whole keys of one folder and its subfolders, not of one whose name begins alike."""
    assert list(store.list()) == []
    for key in ("lake/main/segments/b.parquet", "lake/a.parquet", "lakeside/a", "audio/a.m4a"):
        store.write_bytes(key, b"x")
    assert list(store.list("lake")) == list(store.list("lake/"))
    assert set(store.list("lake")) == {"lake/a.parquet", "lake/main/segments/b.parquet"}
    assert len(list(store.list())) == 4
    assert list(store.list("nothing")) == []


def test_the_uri_says_where_it_lies(object_store: ObjectStore, s3_object_store: ObjectStore):
    """Other tools find the same bytes by the URI."""
    object_store.write_bytes("lake/a.parquet", b"x")
    assert object_store.folder is not None
    assert object_store.uri("lake/a.parquet") == (object_store.folder / "lake/a.parquet").as_uri()
    assert s3_object_store.uri("lake/") == f"{s3_object_store.url}/lake"
    assert s3_object_store.folder is None


@pytest.mark.parametrize(
    "key",
    [
        "../secret",
        "audio/../../secret",
        "/etc/passwd",
        "audio//a",
        "audio/",
        ".hidden",
        "audio/.a.m4a.tmp",
        "a\x00b",
        "audio/a b",
        "audio\\..\\a",
        "a" * 513,
        "",
        "audio/a\n",
    ],
)
def test_a_key_that_leads_elsewhere_is_refused(store: ObjectStore, key: str):
    """Neither writing, reading, deleting nor naming leaves the store."""
    for use in (
        lambda: store.write_bytes(key, b"x"),
        lambda: store.read_bytes(key),
        lambda: store.delete(key),
        lambda: store.exists(key),
        lambda: store.write_file(key, Path(__file__)),
    ):
        with pytest.raises(StorageError, match="not allowed"):
            use()


def test_key_builders_check_what_they_are_given():
    """An id with a slash makes no key."""
    assert audio_key("youtube-abc", "webm") == "audio/youtube-abc.webm"
    assert document_key("youtube-abc.x") == "transcripts/youtube-abc.x.json"
    with pytest.raises(StorageError):
        audio_key("../../abc", "webm")


def test_writers_of_one_key_leave_one_whole_object(store: ObjectStore):
    """Of eight at once, one's bytes are there, whole."""
    candidates = [bytes([number]) * 300_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda data: store.write_bytes("audio/a.m4a", data), candidates))
    assert store.read_bytes("audio/a.m4a") in candidates
    assert list(store.list("audio")) == ["audio/a.m4a"]


@pytest.mark.parametrize("url", ["", "http://host/x", "file://host/x", "s3://", "gs://bucket/x"])
def test_a_url_that_is_none_of_ours_is_refused(url: str):
    """The message names the setting."""
    with pytest.raises(SetupError, match="YTCAPTION_OBJECT_STORE_URL"):
        ObjectStore(url=url).exists("audio/a.m4a")


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_a_folder_can_be_written_in_several_ways(tmp_path: Path, form: str):
    """A path and both file URLs lead to the same folder."""
    ObjectStore(url=form.format(tmp_path)).write_bytes("audio/a.m4a", b"x")
    assert (tmp_path / "audio/a.m4a").read_bytes() == b"x"


def test_a_folder_with_a_space_and_an_umlaut(tmp_path: Path):
    """A URL's percent-encoding is undone."""
    folder = tmp_path / "Töne und %41"
    ObjectStore(url=folder.as_uri()).write_bytes("audio/a.m4a", b"x")
    assert (folder / "audio/a.m4a").read_bytes() == b"x"
