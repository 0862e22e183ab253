"""The object store when the disk is full, the process dies, or S3 is gone."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.object_store import s3 as object_store_s3
from resources.object_store.store import ObjectStore
from tests.support.patience import wait_for
from tests.support.servers.s3_server import S3Fault, S3Server
from ytcaption.domain.errors import (
    DiskFull,
    ObjectCorrupt,
    ObjectStoreUnavailable,
    SetupError,
)

LIMIT_BYTES = 1024 * 1024


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file of this process may grow beyond 1 MiB: the kernel fails the write."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_leaves_what_was_published(object_store: ObjectStore, small_disk: None):
    """DiskFull; the earlier bytes are whole, nothing half-written is left, small writes go on."""
    object_store.write_bytes("audio/a.m4a", b"published")
    with pytest.raises(DiskFull) as caught:
        object_store.write_bytes("audio/a.m4a", b"x" * (3 * LIMIT_BYTES))
    assert caught.value.retryable
    assert object_store.read_bytes("audio/a.m4a") == b"published"
    assert object_store.folder is not None
    assert [path.name for path in (object_store.folder / "audio").iterdir()] == ["a.m4a"]
    object_store.write_bytes("audio/a.m4a", b"space again")
    assert object_store.read_bytes("audio/a.m4a") == b"space again"


@pytest.mark.long
def test_a_full_disk_while_copying_from_s3(s3_object_store: ObjectStore, small_disk: None):
    """DiskFull for the copy; the object is untouched."""
    s3_object_store.write_bytes("audio/a.m4a", b"x" * (2 * LIMIT_BYTES))
    with pytest.raises(DiskFull), s3_object_store.local_file("audio/a.m4a"):
        pass
    assert len(s3_object_store.read_bytes("audio/a.m4a")) == 2 * LIMIT_BYTES


@pytest.mark.long
def test_a_killed_writer_publishes_nothing(object_store: ObjectStore):
    """After kill -9 in the middle of a write the old bytes are there, and the next write takes over
    what was left."""
    object_store.write_bytes("audio/a.m4a", b"published")
    assert object_store.folder is not None
    left = object_store.folder / "audio" / ".a.m4a.tmp"
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, object_store.url, str(LIMIT_BYTES)],
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    wait_for(lambda: left.exists() and left.stat().st_size >= LIMIT_BYTES)
    writer.kill()
    writer.wait()
    writer.stdout.close()
    assert left.exists()
    assert list(object_store.list()) == ["audio/a.m4a"]
    assert object_store.read_bytes("audio/a.m4a") == b"published"
    object_store.write_bytes("audio/a.m4a", b"new")
    assert object_store.read_bytes("audio/a.m4a") == b"new"
    assert not left.exists()


KILLED_WRITER = """
import os, sys, threading
from pathlib import Path
from resources.object_store.store import ObjectStore
reader, writer = os.pipe()
def feed():
    # A little more than a chunk, and then no end.
    os.write(writer, b"x")
    for _ in range(200):
        os.write(writer, b"x" * 65536)
    threading.Event().wait()
threading.Thread(target=feed, daemon=True).start()
ObjectStore(url=sys.argv[1]).write_file("audio/a.m4a", Path(f"/dev/fd/{reader}"))
"""


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    """A file in the folder's place is told in one sentence without its path."""
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(ObjectStoreUnavailable) as caught:
        ObjectStore(url=str(tmp_path / "store")).write_bytes("audio/a.m4a", b"x")
    assert str(tmp_path) not in str(caught.value)


def test_everything_published_is_closed_to_others(object_store: ObjectStore):
    """Files are 0600 and folders 0700."""
    object_store.write_bytes("audio/a.m4a", b"x")
    assert object_store.folder is not None
    assert os.stat(object_store.folder / "audio/a.m4a").st_mode & 0o777 == 0o600
    assert os.stat(object_store.folder / "audio").st_mode & 0o777 == 0o700


@pytest.mark.long
def test_s3_that_does_not_answer(s3_object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch):
    """Every use raises ObjectStoreUnavailable, which can be repeated."""
    monkeypatch.setattr(object_store_s3, "_ATTEMPTS", 1)  # boto3 waits seconds between attempts
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        store = ObjectStore(url="s3://bucket", endpoint_url=url)
        for use in (
            lambda: store.write_bytes("audio/a.m4a", b"x"),
            lambda: store.write_file("audio/a.m4a", Path(__file__)),
            lambda: store.read_bytes("audio/a.m4a"),
            lambda: list(store.list()),
        ):
            with pytest.raises(ObjectStoreUnavailable) as caught:
                use()
            assert caught.value.retryable
            assert url not in str(caught.value)


@pytest.mark.long
@pytest.mark.parametrize("fault", [S3Fault.REFUSES, S3Fault.CUTS])
def test_s3_that_fails(
    fault: S3Fault,
    s3: S3Server,
    s3_object_store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """It refuses, or cuts answers off: every use says so, and the next one works."""
    monkeypatch.setattr(object_store_s3, "_ATTEMPTS", 1)
    object_store_s3._client.cache_clear()
    s3_object_store.write_bytes("audio/a.m4a", b"published" * 1000)

    def copy() -> bytes:
        with s3_object_store.local_file("audio/a.m4a") as path:
            return path.read_bytes()

    for use in (
        lambda: s3_object_store.read_bytes("audio/a.m4a"),
        lambda: b"".join(s3_object_store.read_range("audio/a.m4a", 0, 9000)),
        lambda: list(s3_object_store.list()),
        copy,
    ):
        with s3.failing(fault), pytest.raises(ObjectStoreUnavailable) as caught:
            use()
        assert caught.value.retryable
        assert use()
    object_store_s3._client.cache_clear()


def test_a_bucket_that_does_not_exist(s3_object_store: ObjectStore):
    """Not retryable: somebody has to make it."""
    store = ObjectStore(url="s3://no-such-bucket", endpoint_url=s3_object_store.endpoint_url)
    for use in (
        lambda: store.write_bytes("audio/a.m4a", b"x"),
        lambda: store.write_file("audio/a.m4a", Path(__file__)),
        lambda: store.read_bytes("audio/a.m4a"),
    ):
        with pytest.raises(SetupError, match="bucket"):
            use()


def test_wrong_credentials(s3_object_store: ObjectStore):
    """S3 refuses them, and the message says which variables to look at."""
    from moto.core import set_initial_no_auth_action_count

    s3_object_store.write_bytes("audio/a.m4a", b"x")

    @set_initial_no_auth_action_count(0)
    def refused() -> None:
        for use in (
            lambda: s3_object_store.write_bytes("audio/a.m4a", b"y"),
            lambda: s3_object_store.write_file("audio/a.m4a", Path(__file__)),
            lambda: s3_object_store.read_bytes("audio/a.m4a"),
            lambda: s3_object_store.exists("audio/a.m4a"),
        ):
            with pytest.raises(SetupError, match="AWS_ACCESS_KEY_ID"):
                use()

    refused()
    assert s3_object_store.read_bytes("audio/a.m4a") == b"x"


def test_no_credentials(s3_object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch):
    """No source of credentials is a matter of setting up, told without trying for long."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    object_store_s3._client.cache_clear()
    try:
        with pytest.raises(SetupError, match="AWS_ACCESS_KEY_ID"):
            s3_object_store.read_bytes("audio/a.m4a")
    finally:
        object_store_s3._client.cache_clear()


def test_bytes_that_change_on_their_way_are_read_again(s3: S3Server, s3_object_store: ObjectStore):
    """One wrong bit in one answer; what stays wrong is called corrupt, with what to do."""
    data = b"published" * 1000
    written = s3_object_store.write_bytes("audio/a.m4a", data)

    def copied() -> bytes:
        with s3_object_store.local_file("audio/a.m4a", written.sha256) as path:
            return path.read_bytes()

    def read() -> bytes:
        return s3_object_store.read_bytes("audio/a.m4a", written.sha256)

    with s3.failing(S3Fault.FLIPS, answers=1):
        assert read() == data
    with s3.failing(S3Fault.FLIPS, answers=2):  # boto3 asks for the size first
        assert copied() == data
    assert s3.faults[S3Fault.FLIPS] == 3
    for use in (read, copied):
        with s3.failing(S3Fault.FLIPS), pytest.raises(ObjectCorrupt, match="with force"):
            use()
