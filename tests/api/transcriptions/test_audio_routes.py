"""The stored audio, whole and in ranges, from a folder and from S3."""

import hashlib
import http.client
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from botocore.httpsession import URLLib3Session
from fastapi.testclient import TestClient

from api.app import create_app
from api.transcriptions.audio_routes import media_type
from resources.object_store.store import ObjectStore, audio_key, document_key
from resources.transcriptions.store import RequestStore
from tests.api.conftest import BASE_URL, RUN_ID, UNKNOWN_ID, World
from tests.api.keys import Keys
from tests.support.transcripts import make_transcript, spoken
from ytcaption.domain.caption_choice import CaptionChoice
from ytcaption.domain.captions.track_segments import CaptionTrack
from ytcaption.domain.media.media import MediaInfo, StoredAudio
from ytcaption.settings.settings import Settings

PATH = "/api/v1/transcriptions"
DATA = random.Random(0).randbytes(1_000_003)
SIZE = len(DATA)
TAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


def stored(world: World, data: bytes = DATA, title: str = "Ask not") -> str:
    """Return an id whose audio is stored while its run continues."""
    id = world.running()
    key = audio_key("youtube-dQw4w9WgXcQ", "webm")
    written = world.object_store.write_bytes(key, data)
    audio = StoredAudio(
        key, written.sha256, written.size_bytes, 11.0, "opus", "matroska,webm", 48_000, 2
    )
    world.run_store.audio_stored(id, RUN_ID, MediaInfo(title=title), audio)
    return id


@pytest.fixture(params=["folder", "s3"])
def anywhere(
    request: pytest.FixtureRequest,
    settings: Settings,
    request_store: RequestStore,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[TestClient, World]]:
    """Yield the app and a world whose objects are in a folder, then in S3."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    if request.param == "s3":
        bucket: ObjectStore = request.getfixturevalue("s3_object_store")
        settings = settings.changed(
            object_store_url=bucket.url, s3_endpoint_url=bucket.endpoint_url
        )
    world = World(request_store, ObjectStore.from_settings(settings))
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        yield client, world


def test_the_whole_audio(anywhere: tuple[TestClient, World]) -> None:
    """The stored bytes, with their tag, type and file name."""
    client, world = anywhere
    answer = client.get(f"{PATH}/{stored(world)}/audio")

    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["ETag"] == TAG
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["Content-Type"] == "audio/webm"
    assert answer.headers["Content-Disposition"] == 'inline; filename="Ask not.webm"'
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, SIZE - 1),
        ("bytes=262143-524290", 262_143, 524_290),
        ("bytes=-5", SIZE - 5, SIZE - 1),
        ("bytes=-99999999999", 0, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        (f"bytes=10-{SIZE + 500}", 10, SIZE - 1),
        ("Bytes= 3-7", 3, 7),
    ],
)
def test_a_range(anywhere: tuple[TestClient, World], header: str, first: int, last: int) -> None:
    """The answer is 206 with these bytes and their position."""
    client, world = anywhere
    answer = client.get(f"{PATH}/{stored(world)}/audio", headers={"Range": header})

    assert (answer.status_code, answer.content) == (206, DATA[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.headers["ETag"] == TAG


@pytest.mark.parametrize("header", [f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 9}", "bytes=-0"])
def test_a_range_after_the_end(client: TestClient, world: World, header: str) -> None:
    """416 says how many bytes there are."""
    answer = client.get(f"{PATH}/{stored(world)}/audio", headers={"Range": header})

    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "header",
    [
        "bytes=-", "bytes=", "bytes", "bytes=5-3", "bytes=a-b", "items=0-1", "bytes=0-1,5-6", "",
        "bytes=0x1-0x2", "bytes=١-٢", "bytes=--5", "bytes=0-1-2", "bytes=1e3-", "bytes=" + "9" * 30,
    ],
)  # fmt: skip
def test_an_invalid_range_is_ignored(client: TestClient, world: World, header: str) -> None:
    """All bytes are sent (RFC 9110 section 14.2)."""
    answer = client.get(f"{PATH}/{stored(world)}/audio", headers={b"Range": header.encode()})

    assert (answer.status_code, answer.content) == (200, DATA)


def test_a_range_of_other_bytes_is_not_sent(client: TestClient, world: World) -> None:
    """`If-Range` with another tag, a weak one or a date: all bytes, so that nothing is mixed."""
    url = f"{PATH}/{stored(world)}/audio"
    headers = {"Range": "bytes=0-9"}
    assert client.get(url, headers=headers | {"If-Range": TAG}).status_code == 206
    for known in ('"other"', f"W/{TAG}", "Tue, 24 Nov 2026 10:00:00 GMT", "*"):
        answer = client.get(url, headers=headers | {"If-Range": known})
        assert (answer.status_code, len(answer.content)) == (200, SIZE)


def test_known_audio_is_not_sent_again(client: TestClient, world: World) -> None:
    """304 if the request names the tag, with or without a range."""
    url = f"{PATH}/{stored(world)}/audio"
    for extra in ({}, {"Range": "bytes=0-9"}):
        answer = client.get(url, headers={"If-None-Match": TAG} | extra)
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", TAG)


def test_head_reads_nothing(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The headers of GET, whole and in part; the object is not read."""
    url = f"{PATH}/{stored(world)}/audio"
    got = client.get(url, headers={"Range": "bytes=5-9"})
    monkeypatch.setattr(ObjectStore, "read_range", lambda *_: pytest.fail("it was read"))

    whole, part = client.head(url), client.head(url, headers={"Range": "bytes=5-9"})

    assert (whole.status_code, whole.content, whole.headers["Content-Length"]) == (
        200, b"", str(SIZE),
    )  # fmt: skip
    assert (part.status_code, part.content) == (206, b"")
    for name in ("ETag", "Content-Type", "Content-Disposition", "Content-Length", "Content-Range"):
        assert part.headers[name] == got.headers[name]


def test_a_range_is_read_from_s3_by_range(
    anywhere: tuple[TestClient, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For ten bytes, ten bytes are read."""
    client, world = anywhere
    id = stored(world)
    read = []
    send = URLLib3Session.send

    def seen(self, request):
        response = send(self, request)
        if request.method == "GET":
            read.append(int(response.headers["Content-Length"]))
        return response

    monkeypatch.setattr(URLLib3Session, "send", seen)
    assert client.get(f"{PATH}/{id}/audio", headers={"Range": "bytes=10-19"}).status_code == 206
    assert read in ([], [10])  # a folder is not read


def test_the_audio_is_available_before_the_text(client: TestClient, world: World) -> None:
    """409 until it is stored, then 200, while the run continues."""
    id = world.queued()
    early = client.get(f"{PATH}/{id}/audio")
    assert (early.status_code, early.json()["code"]) == (409, "result_not_ready")
    assert (early.json()["transcription_status"], early.headers["Retry-After"]) == ("queued", "2")
    assert client.get(f"{PATH}/{stored(world)}/audio").status_code == 200


def test_captions_need_no_audio(client: TestClient, world: World) -> None:
    """The text comes from the source: 409 says so and how to have the audio transcribed, without
    Retry-After."""
    id = world.running()
    choice = CaptionChoice("There are captions.", "manual", "en", "en", "en")
    world.run_store.captions_settled(
        id, RUN_ID, choice, CaptionTrack("vtt", b"WEBVTT"), MediaInfo(title="A talk")
    )
    transcript = make_transcript(spoken("Good night."), id=id)
    made = replace(transcript.provenance, source="manual_captions", captions=choice.to_dict())
    transcript = replace(transcript, provenance=made)
    key = document_key(id)
    written = world.object_store.write_bytes(key, transcript.to_json())
    world.run_store.transcript_stored(id, RUN_ID, transcript, key, written.sha256)
    world.run_store.complete(id, RUN_ID)
    answer = client.get(f"{PATH}/{id}/audio")
    assert (answer.status_code, answer.json()["code"]) == (409, "result_not_ready")
    assert "captions=never" in answer.json()["detail"]
    provenance = client.get(f"{PATH}/{id}").json()["provenance"]
    assert (provenance["source"], provenance["captions"]) == ("manual_captions", choice.to_dict())
    assert client.get(f"{PATH}/{id}/result?format=txt").text == "Good night.\n"


def test_audio_that_was_never_downloaded(client: TestClient, world: World) -> None:
    """If the download failed, 409 says how to get it and promises nothing."""
    answer = client.get(f"{PATH}/{world.failed()}/audio")
    assert answer.status_code == 409
    assert "Retry-After" not in answer.headers
    assert "Retry" in answer.json()["detail"]


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"!", b""])
def test_a_file_of_another_length_is_not_sent(
    client: TestClient, world: World, data: bytes
) -> None:
    """The answer is 500 with a code of its own, for the whole file and for a range."""
    url = f"{PATH}/{stored(world)}/audio"
    world.object_store.write_bytes(audio_key("youtube-dQw4w9WgXcQ", "webm"), data)
    for headers in ({}, {"Range": "bytes=0-9"}):
        answer = client.get(url, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (500, "object_corrupt")


def test_a_lost_file_is_reported(client: TestClient, world: World) -> None:
    """The answer is 500 with a code of its own and names no path."""
    id = stored(world)
    world.object_store.delete(audio_key("youtube-dQw4w9WgXcQ", "webm"))
    answer = client.get(f"{PATH}/{id}/audio")
    assert (answer.status_code, answer.json()["code"]) == (500, "object_not_found")
    assert "audio/" not in answer.text


def test_damaged_audio_is_never_sent_completely(server_url: str, world: World) -> None:
    """A file of the right length with wrong bytes breaks off before its end."""
    id = stored(world)
    damaged = DATA[:500_000] + b"?" + DATA[500_001:]
    world.object_store.write_bytes(audio_key("youtube-dQw4w9WgXcQ", "webm"), damaged)
    connection = http.client.HTTPConnection(urlsplit(server_url).netloc, timeout=10)
    connection.request("GET", f"{PATH}/{id}/audio")
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()


def test_a_player_that_leaves_is_no_error(server_url: str, world: World) -> None:
    """After broken connections the next one is answered, and no file stays open."""
    id = stored(world, DATA * 20)
    for _ in range(5):
        connection = http.client.HTTPConnection(urlsplit(server_url).netloc, timeout=10)
        connection.request("GET", f"{PATH}/{id}/audio")
        connection.getresponse().read(1_000)
        connection.close()
    results = []

    def read() -> None:
        connection = http.client.HTTPConnection(urlsplit(server_url).netloc, timeout=30)
        connection.request("GET", f"{PATH}/{id}/audio", headers={"Range": "bytes=-1000003"})
        results.append(connection.getresponse().read() == DATA)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8


def test_only_requesters_get_the_audio(keys: Keys, client: TestClient, world: World) -> None:
    """To others the id does not exist, nor to a key without the scope."""
    url = f"{PATH}/{stored(world)}/audio"
    assert client.get(url, headers=keys.header("admin")).status_code == 200
    for name in ("clara", "reader"):
        answer = client.get(url, headers=keys.header(name))
        assert (answer.status_code, answer.json()["code"]) == (404, "transcription_not_found")
    assert client.get(url).status_code == 401


def test_an_unknown_id(client: TestClient) -> None:
    """It is 404."""
    assert client.get(f"{PATH}/{UNKNOWN_ID}/audio").status_code == 404


@pytest.mark.parametrize(
    ("container", "codec", "expected"),
    [
        ("matroska,webm", "opus", ("audio/webm", ".webm")),
        ("matroska,webm", "aac", ("audio/x-matroska", ".mka")),
        ("mov,mp4,m4a,3gp,3g2,mj2", "aac", ("audio/mp4", ".m4a")),
        ("ogg", "vorbis", ("audio/ogg", ".ogg")),
        ("mp3", "mp3float", ("audio/mpeg", ".mp3")),
        ("flac", "flac", ("audio/flac", ".flac")),
        ("wav", "pcm_s16le", ("audio/wav", ".wav")),
        ("nsv", "mp3", ("application/octet-stream", ".bin")),
    ],
)
def test_the_type_follows_from_the_container(
    container: str, codec: str, expected: tuple[str, str]
) -> None:
    """As browsers name it; never a page."""
    audio = StoredAudio("audio/a.media", "0" * 64, 1, 1.0, "opus", "ogg", 48_000, 2)
    assert media_type(replace(audio, container=container, codec=codec)) == expected
