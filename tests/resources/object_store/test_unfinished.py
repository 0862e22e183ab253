"""Writes that were not finished, in a folder and in S3: found and removed, by key."""

import fcntl
from collections.abc import Callable

import boto3
import pytest

from resources.object_store.store import ObjectStore, audio_key, document_key

WANTED = ["audio/url-a.webm", "audio/url-a.m4a"]
OTHERS = ["audio/url-ab.webm", "audio/url-b.webm", "lake/url-a.webm"]

Begin = Callable[[str], None]


@pytest.fixture(params=["object_store", "s3_object_store"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """Both kinds."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def begin(store: ObjectStore) -> Begin:
    """Begins to write a key, as a process does that is killed then."""
    if store.folder is not None:
        root = store.folder

        def begin_file(key: str) -> None:
            folder, _, name = key.rpartition("/")
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / f".{name}.tmp").write_bytes(b"half")

        return begin_file
    client = boto3.client("s3", endpoint_url=store.endpoint_url, region_name=store.region)
    bucket = store.url.removeprefix("s3://").partition("/")[0]

    def begin_upload(key: str) -> None:
        name = store.uri(key).removeprefix(f"s3://{bucket}/")
        upload = client.create_multipart_upload(Bucket=bucket, Key=name)
        part = {"Bucket": bucket, "Key": name, "UploadId": upload["UploadId"]}
        client.upload_part(**part, PartNumber=1, Body=b"half")

    return begin_upload


def begun(store: ObjectStore) -> list[str]:
    """Keys that are being written."""
    names = [each.key.partition(" ")[0] for each in store.unfinished()]
    return sorted(name.replace("/.", "/").removesuffix(".tmp") for name in names)


def test_all_that_was_not_finished_is_found(store: ObjectStore, begin: Begin):
    """Each write, in every folder; what is published is none."""
    store.write_bytes("audio/url-a.webm", b"whole")
    assert begun(store) == []
    for key in (*WANTED, *OTHERS):
        begin(key)
    assert begun(store) == sorted([*WANTED, *OTHERS])


def test_what_was_not_finished_of_one_media_goes(store: ObjectStore, begin: Begin):
    """Whatever its container; neither that of others, nor what is published. Again, nothing."""
    store.write_bytes("audio/url-a.webm", b"whole")
    for key in (*WANTED, *OTHERS):
        begin(key)
    for _ in range(2):
        store.discard_unfinished(audio_key("url-a", ""))
        assert begun(store) == sorted(OTHERS)
    assert store.read_bytes("audio/url-a.webm") == b"whole"


def test_what_was_not_finished_of_one_document_goes(store: ObjectStore, begin: Begin):
    """Where nothing was begun, nothing happens."""
    store.discard_unfinished(document_key("url-a.one"))
    for id in ("url-a.one", "url-a.two"):
        begin(document_key(id))
    store.discard_unfinished(document_key("url-a.one"))
    assert begun(store) == [document_key("url-a.two")]


def test_what_somebody_writes_to_a_folder_stays(object_store: ObjectStore):
    """Its writer holds a lock on it; S3 has none, so there nobody may be writing."""
    assert object_store.folder is not None
    folder = object_store.folder / "audio"
    folder.mkdir(parents=True)
    with (folder / ".url-a.webm.tmp").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        object_store.discard_unfinished(audio_key("url-a", ""))
        assert begun(object_store) == ["audio/url-a.webm"]
    object_store.discard_unfinished(audio_key("url-a", ""))
    assert begun(object_store) == []
