"""Uploads: inspected, stored once, transcribed like any other media."""

import hashlib
import os
import resource
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.uploads import stream as upload_stream
from resources.download.uploads import Uploads
from resources.object_store.store import ObjectStore, upload_key
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_media, get_transcription
from resources.transcriptions.store import RequestStore
from tests.api.conftest import BASE_URL, DatabaseSwitch
from tests.api.uploads.bodies import (
    FILE,
    FORM,
    JFK,
    UPLOADS,
    form,
    media_of,
    nothing_is_left,
)
from tests.support.patience import wait_for
from tests.support.servers.media_server import DATA
from ytcaption.domain.media.media import upload_media_id
from ytcaption.settings.settings import Settings


@pytest.mark.long
def test_a_form_becomes_a_transcription(
    client: TestClient, request_store: RequestStore, object_store: ObjectStore
) -> None:
    """202 as for a link; bytes, title, options, priority and metadata are stored."""
    answer = client.post(
        UPLOADS,
        files={"file": ("Ask not.flac", JFK, "audio/flac")},
        data={
            "model": "tiny",
            "language": "German",
            "task": "translate",
            "initial_prompt": "Eine Rede.",
            "hotwords": "Kennedy",
            "temperature": "0.2",
            "priority": "bulk",
            "metadata": '{"ticket": 4711}',
        },
    )

    body = answer.json()
    assert answer.status_code == 202
    assert media_of(body["id"]) == upload_media_id(hashlib.sha256(JFK).hexdigest())
    assert body["status"] == "queued"
    assert answer.headers["Location"] == body["status_url"]
    assert answer.headers["Retry-After"] == "2"
    row = get_transcription(request_store.postgres, body["id"])
    assert row.priority == "bulk"
    assert row.options.to_dict() == {
        "model": "tiny",
        "language": "de",
        "task": "translate",
        "initial_prompt": "Eine Rede.",
        "hotwords": "Kennedy",
        "temperature": 0.2,
    }
    assert get_media(request_store.postgres, row.media_id).title == "Ask not"
    assert object_store.read_bytes(upload_key(row.media_id)) == JFK
    with request_store.postgres.transaction() as connection:
        stored = connection.execute("select metadata from ytcaption.request").fetchone()
    assert stored == {"metadata": {"ticket": 4711}}
    assert client.get(body["status_url"]).json()["media"]["kind"] == "upload"


@pytest.mark.parametrize(
    ("query", "headers", "title"),
    [
        ("&filename=Ask%20not.flac", {}, "Ask not"),
        ("", {"Content-Disposition": 'attachment; filename="talk.flac"'}, "talk"),
        ("", {"Content-Disposition": "attachment; filename*=UTF-8''f%C3%BCr.flac"}, "für"),
        ("", {"Content-Disposition": "attachment; filename*=undefined''a"}, None),
        ("", {"Content-Type": "application/x-www-form-urlencoded"}, None),  # curl --data-binary
        ("", {"Content-Type": "audio/flac"}, None),
    ],
)
def test_a_bare_file_becomes_one_too(
    client: TestClient, request_store: RequestStore, query: str, headers: dict, title: str | None
) -> None:
    """Options are in the query; the name is there or in Content-Disposition."""
    answer = client.post(
        f"{UPLOADS}?model=tiny.en&priority=bulk&metadata=%7B%22a%22:1%7D{query}",
        content=JFK,
        headers=headers,
    )

    assert answer.status_code == 202, answer.text
    row = get_transcription(request_store.postgres, answer.json()["id"])
    assert row.options.to_dict() == {"model": "tiny.en", "language": "en", "task": "transcribe"}
    assert get_media(request_store.postgres, row.media_id).title == title


@pytest.mark.long
def test_equal_files_are_one_media(client: TestClient, object_store: ObjectStore) -> None:
    """In a form or bare, under any name, at the same time: one id, stored once."""

    def send(name: str) -> str:
        if name == "bare":
            return client.post(UPLOADS, content=JFK).json()["id"]
        return client.post(UPLOADS, files={"file": (name, JFK)}).json()["id"]

    with ThreadPoolExecutor(4) as threads:
        ids = set(threads.map(send, ["a.flac", "b.flac", "bare", "c"]))

    assert len(ids) == 1
    assert list(object_store.list()) == [upload_key(media_of(ids.pop()))]


@pytest.mark.long
def test_a_repeated_upload_is_answered_the_same(client: TestClient, request_store) -> None:
    """The Idempotency-Key covers content and options: another of either is 422."""
    headers = {"Idempotency-Key": "once"}

    def send(content: bytes = JFK, **data: str) -> httpx.Response:
        return client.post(UPLOADS, files={"file": ("a", content)}, data=data, headers=headers)

    first, again = send(model="tiny"), send(model="tiny")
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    for other in (send(model="base"), send((DATA / "noise.flac").read_bytes(), model="tiny")):
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    with request_store.postgres.transaction() as connection:
        count = connection.execute("select count(*) as n from ytcaption.request").fetchone()
    assert count == {"n": 1}


@pytest.fixture
def small_uploads(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Yield the app with a limit of 1 MiB."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    small = settings.changed(max_upload_bytes=1024**2)
    with TestClient(create_app(small), base_url=BASE_URL) as client:
        yield client


def test_too_large_a_file_is_refused(
    small_uploads: TestClient, settings: Settings, object_store: ObjectStore
) -> None:
    """413 by Content-Length or while it arrives; the connection is closed, nothing is stored."""
    large = bytes(1024**2 + 1)

    def blocks() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(64 * 1024)

    def epilogue() -> Iterator[bytes]:
        yield form((FILE, JFK))
        yield from blocks()

    answers = [
        small_uploads.post(UPLOADS, content=large),
        small_uploads.post(UPLOADS, content=blocks()),
        small_uploads.post(UPLOADS, files={"file": ("a", large)}),
        small_uploads.post(UPLOADS, content=epilogue(), headers=FORM),
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
        assert answer.headers["Connection"] == "close"
    assert "1 MiB" in answers[0].json()["detail"]
    assert nothing_is_left(settings, object_store)
    assert small_uploads.post(UPLOADS, content=JFK).status_code == 202


def test_too_long_audio_is_refused(settings: Settings, object_store: ObjectStore) -> None:
    """By its headers, before a run decodes it."""
    short = settings.changed(max_audio_s=5.0)
    with TestClient(create_app(short), base_url=BASE_URL) as client:
        answer = client.post(UPLOADS, content=JFK)

    assert (answer.status_code, answer.json()["code"]) == (422, "media_too_long")
    assert nothing_is_left(settings, object_store)


def test_a_full_disk_leaves_nothing(
    client: TestClient, settings: Settings, object_store: ObjectStore
) -> None:
    """503 with Retry-After; once there is space, the same file is accepted."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # the disk: EFBIG
    try:
        answer = client.post(UPLOADS, content=JFK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert (answer.status_code, answer.json()["code"]) == (503, "disk_full")
    assert answer.headers["Retry-After"] == "5"
    assert nothing_is_left(settings, object_store)
    assert client.post(UPLOADS, content=JFK).status_code == 202


def test_more_than_the_disk_has_is_refused_at_once(
    settings: Settings, object_store: ObjectStore
) -> None:
    """By the announced Content-Length."""
    huge = settings.changed(max_upload_bytes=1 << 60)
    with TestClient(create_app(huge), base_url=BASE_URL) as client:
        answer = client.post(UPLOADS, content=b"x", headers={"Content-Length": str(1 << 50)})

    assert (answer.status_code, answer.json()["code"]) == (503, "disk_full")
    assert nothing_is_left(settings, object_store)


@pytest.mark.slow
def test_a_request_that_cannot_be_stored_removes_its_file(
    database_switch: DatabaseSwitch, settings: Settings, object_store: ObjectStore
) -> None:
    """Without the database it is 503 and leaves no file."""
    with TestClient(create_app(database_switch.settings), base_url=BASE_URL) as client:
        database_switch.off()
        answer = client.post(UPLOADS, content=JFK)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert nothing_is_left(settings, object_store)
        database_switch.on()
        assert client.post(UPLOADS, content=JFK).status_code == 202


@pytest.mark.long
def test_a_paused_intake_is_reported_before_the_file(
    server_url: str, client: TestClient, object_store: ObjectStore
) -> None:
    """503 before a byte of the body has arrived; a repeated request is answered."""
    headers = {"Idempotency-Key": "k"}
    kept = client.post(UPLOADS, content=JFK, headers=headers).json()
    client.post("/api/v1/admin/pause", json={"part": "intake", "reason": "Disk."})

    for path in (UPLOADS, "/v1/audio/transcriptions"):
        connection = broken_off(server_url, "Content-Length: 5000000", b"", path)
        connection.settimeout(5)
        answer = b""
        while b"}" not in answer:
            answer += connection.recv(65_536)
        assert b"intake_paused" in answer
    assert client.post(UPLOADS, content=JFK, headers=headers).json() == kept


@pytest.mark.long
def test_another_request_keeps_its_file(
    client: TestClient, settings: Settings, object_store: ObjectStore
) -> None:
    """A refusal removes only what it stored itself."""
    headers = {"Idempotency-Key": "k"}
    id = client.post(UPLOADS, content=JFK, headers=headers).json()["id"]

    assert client.post(f"{UPLOADS}?model=tiny", content=JFK, headers=headers).status_code == 422

    assert object_store.exists(upload_key(media_of(id)))


def test_files_of_a_killed_process_are_removed(
    settings: Settings, object_store: ObjectStore, postgres: Postgres
) -> None:
    """The next upload removes files that were not written to for an hour, and nothing else."""
    uploads = Uploads.from_settings(settings, object_store, postgres)
    with uploads.incoming() as going_on:
        left = going_on.path.with_name("left.part")
        left.write_bytes(b"x")
        os.utime(left, (time.time() - 4_000,) * 2)
        with uploads.incoming():
            assert not left.exists()
            assert going_on.path.exists()
    assert not going_on.path.exists()


def broken_off(url: str, head: str, body: bytes, path: str = UPLOADS) -> socket.socket:
    """Send a request that announces more than it sends."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    request = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{head}\r\n\r\n"
    connection.sendall(request.encode() + body)
    return connection


def test_a_client_that_breaks_off_leaves_nothing(
    server_url: str, settings: Settings, object_store: ObjectStore, caplog
) -> None:
    """Bare, chunked or in a form: the temporary file is removed with the connection, without a
    traceback."""
    parts = settings.home / "uploads"
    half = form((FILE, JFK))[:100_000]
    for head, body in (
        ("Content-Length: 5000000", bytes(1_500_000)),
        ("Transfer-Encoding: chunked", b"16e360\r\n" + bytes(1_500_000)),
        (f"Content-Length: 5000000\r\nContent-Type: {FORM['Content-Type']}", half),
    ):
        connection = broken_off(server_url, head, body)
        wait_for(lambda: bool(list(parts.glob("*.part"))))
        connection.close()
        wait_for(lambda: nothing_is_left(settings, object_store))
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("path", "head", "code"),
    [
        (f"{UPLOADS}?model=huge", "Content-Length: 5000000", "unknown_model"),
        (f"{UPLOADS}?colour=red", "Content-Length: 5000000", "invalid_request"),
        (UPLOADS, f"Content-Length: {1 << 40}", "upload_too_large"),
        (UPLOADS, "Content-Length: 5\r\nIdempotency-Key: " + "x" * 300, "invalid_request"),
    ],
)
def test_wrong_options_are_refused_before_the_body(
    server_url: str, path: str, head: str, code: str
) -> None:
    """By the query and the headers, before a byte of the body has arrived."""
    connection = broken_off(server_url, head, b"", path)
    connection.settimeout(5)

    answer = b""
    while b"}" not in answer:
        answer += connection.recv(65_536)

    assert code in answer.decode()


def test_a_stalled_client_is_disconnected(
    server_url: str, settings: Settings, object_store: ObjectStore, monkeypatch
) -> None:
    """408 after a while without a byte; its file is removed."""
    monkeypatch.setattr(upload_stream, "IDLE_S", 0.3)
    connection = broken_off(server_url, "Content-Length: 5000000", bytes(10_000))

    answer = connection.recv(65_536).decode()

    assert answer.startswith("HTTP/1.1 408 ")
    assert "request_timeout" in answer + connection.recv(65_536).decode()
    wait_for(lambda: nothing_is_left(settings, object_store))
