"""What is sent to break uploads: refused with a sentence, and gone without a trace."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api.uploads.form import MAX_FIELD_BYTES
from api.uploads.stream import MAX_TITLE_LENGTH, title_of
from resources.object_store.store import ObjectStore, upload_key
from resources.transcriptions.reads import get_media
from resources.transcriptions.store import RequestStore
from tests.api.conftest import Start
from tests.api.uploads.bodies import (
    FILE,
    FORM,
    JFK,
    UPLOADS,
    disposition,
    form,
    media_of,
    nothing_is_left,
)
from tests.support.media_files import write_media
from tests.support.rows import recent_transcriptions
from tests.support.servers.media_server import DATA
from tests.ytcaption_assets.assets.conftest import Graph
from ytcaption.settings.settings import Settings


def cut_wav() -> bytes:
    """A WAV whose header promises more than there is."""
    return (DATA / "stereo-2spk.wav").read_bytes()[:20_000]


def zipped(data: bytes) -> bytes:
    """In a ZIP archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("../../a.flac", data)
    return archive.getvalue()


@pytest.mark.long
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        ((DATA / "broken-empty.wav").read_bytes(), "empty_file"),
        ((DATA / "broken-not-audio.mp3").read_bytes(), "not_media"),
        (cut_wav(), "audio_truncated"),
        (b"#EXTM3U\nhttp://169.254.169.254/latest/\n", "not_media"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not_media"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "no_audio_track"),
        (gzip.compress(JFK), "not_media"),
        (zipped(JFK), "not_media"),
        (gzip.compress(bytes(64 * 1024**2)), "not_media"),
        (b'<?xml version="1.0"?><MPD><BaseURL>http://10.0.0.1/</BaseURL></MPD>', "not_media"),
        (b"v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 5004 RTP/AVP 0\r\n", "not_media"),
        (b"[playlist]\nFile1=file:///etc/passwd\n", "not_media"),
        (b"#EXTM3U\n#EXTINF:1,\nsubfile,,start,0,end,9,,:/etc/passwd\n", "not_media"),
    ],
    ids=[
        *(
            "nothing",
            "nothing but a name",
            "noise",
            "a cut WAV",
            "an HLS manifest",
            "a concat list",
        ),
        *("a picture", "gzip", "zip", "a gzip bomb", "a DASH manifest", "SDP", "a playlist"),
        "a playlist of a part",
    ],
)
def test_files_without_audio_are_refused(
    client: TestClient,
    settings: Settings,
    object_store: ObjectStore,
    request_store: RequestStore,
    content: bytes,
    code: str,
) -> None:
    """422 with the cause, before anything is queued; nothing of it stays."""
    for answer in (
        client.post(UPLOADS, files={"file": ("a.mp3", content)}),
        client.post(UPLOADS, content=content),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert "/" not in answer.json()["detail"]
    assert nothing_is_left(settings, object_store)
    assert recent_transcriptions(request_store.postgres) == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "huge"}, "unknown_model"),
        ({"language": "klingon"}, "unknown_language"),
        ({"model": "tiny.en", "task": "translate"}, "invalid_option"),
        ({"task": "sing"}, "invalid_request"),
        ({"temperature": "hot"}, "invalid_request"),
        ({"priority": "now"}, "invalid_request"),
        ({"colour": "red"}, "invalid_request"),
        ({"metadata": "{"}, "invalid_request"),
        ({"metadata": "[]"}, "invalid_request"),
        ({"metadata": '{"a": "\\u0000"}'}, "invalid_request"),
        ({"metadata": '{"a": NaN}'}, "invalid_request"),
        ({"metadata": '{"a":' * 5_000}, "invalid_request"),
        ({"metadata": json.dumps({"a": "x" * 5_000})}, "invalid_request"),
        ({"hotwords": "x" * 1_001}, "invalid_request"),
        ({"hotwords": "a\x00b"}, "invalid_request"),
        ({"hotwords": "x" * MAX_FIELD_BYTES}, "invalid_request"),
        ({"x" * MAX_FIELD_BYTES: "x"}, "malformed_upload"),
        ({f"f{n}": "" for n in range(40)}, "invalid_request"),
        ({"model": ["base", "tiny"]}, "invalid_request"),
    ],
)
def test_wrong_fields_are_refused(
    client: TestClient, settings: Settings, object_store: ObjectStore, fields: dict, code: str
) -> None:
    """Behind the file or in front of it, as for a JSON body; nothing of the file stays."""
    answer = client.post(UPLOADS, files={"file": ("a.flac", JFK)}, data=fields)

    assert answer.status_code in (400, 422)
    assert answer.json()["code"] == code
    if code == "invalid_request":
        assert answer.json()["errors"][0]["pointer"].startswith("#")
    assert nothing_is_left(settings, object_store)


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"Content-Type": "multipart/form-data"}, form((FILE, JFK)), "malformed_upload"),
        (
            {"Content-Type": "multipart/form-data; boundary=" + "x" * 300},
            form((FILE, JFK)),
            "malformed_upload",
        ),
        (
            {"Content-Type": "multipart/form-data; boundary=y2"},
            form((FILE, JFK)),
            "malformed_upload",
        ),
        (FORM, b"", "malformed_upload"),
        (FORM, JFK, "malformed_upload"),
        (FORM, form((FILE, JFK))[:-6], "malformed_upload"),
        (FORM, form((FILE, JFK))[:5_000], "malformed_upload"),
        (FORM, form((FILE, JFK), end=b"garbage"), "malformed_upload"),
        (FORM, form(("Content-Type: audio/flac", JFK)), "malformed_upload"),
        (FORM, form(("X: " + "y" * 70_000, JFK)), "malformed_upload"),
        (FORM, form((disposition("file", "\r\nX: y" * 20), JFK)), "malformed_upload"),
        (FORM, form(), "invalid_request"),
        (FORM, form((disposition("model"), b"base")), "invalid_request"),
        (FORM, form((FILE, JFK), (FILE, JFK)), "invalid_request"),
        (FORM, form((FILE, JFK), (disposition("model"), b"\xff")), "invalid_request"),
        (FORM, form((disposition("other", '; filename="a"'), JFK)), "invalid_request"),
    ],
)
def test_forms_that_are_none_are_refused(
    client: TestClient,
    settings: Settings,
    object_store: ObjectStore,
    headers: dict[str, str],
    body: bytes,
    code: str,
) -> None:
    """Wrong boundary, no end, no file, two files, headers without end: a sentence, and no trace."""
    answer = client.post(UPLOADS, content=body, headers=headers)

    assert answer.status_code == (400 if code == "malformed_upload" else 422)
    assert answer.json()["code"] == code
    assert nothing_is_left(settings, object_store)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system32.dll", "system32"),
        ("a\x00b\r\nX-Evil: 1.mp3", "a b X-Evil: 1"),
        ("<img src=x onerror=alert(1)>.mp3", "<img src=x onerror=alert(1)>"),
        ("x" * 10_000 + ".mp3", "x" * MAX_TITLE_LENGTH),
        ("..", None),
        ("/", None),
        (".mp3", "mp3"),
        ("talk", "talk"),
        ("v1.2 talk.flac", "v1.2 talk"),
        ("\u202egnp.exe", "gnp"),
        ("Vortrag über Größe.flac", "Vortrag über Größe"),
        ("", None),
    ],
)
def test_a_file_name_is_a_title_and_no_path(
    client: TestClient,
    request_store: RequestStore,
    object_store: ObjectStore,
    name: str,
    title: str | None,
) -> None:
    """Folders, control characters and the extension are taken off; where bytes lie is ours."""
    answer = client.post(
        UPLOADS, content=form((disposition("file", f'; filename="{name}"'), JFK)), headers=FORM
    )

    if "\r" in name:  # raw, it ends the header: what follows is another one
        name_sent = title_of(name)
        assert name_sent == title
        return
    assert answer.status_code == 202, answer.text
    media_id = media_of(answer.json()["id"])
    assert list(object_store.list()) == [upload_key(media_id)]
    assert get_media(request_store.postgres, media_id).title == title


@given(st.text(max_size=300))
def test_every_title_is_short_and_printable(name: str) -> None:
    """This holds whatever a file is called."""
    title = title_of(name)
    assert title is None or (0 < len(title) <= MAX_TITLE_LENGTH and title.isprintable())
    assert title is None or ("/" not in title and "\\" not in title)


def lying_flac(path: Path) -> bytes:
    """An hour of silence in some kB, whose header says that it is one second."""
    rate_hz = 8_000
    silence = np.zeros((1, 3_600 * rate_hz), np.int16)
    data = bytearray(write_media(path, [(silence, {})], codec="flac", rate_hz=rate_hz).read_bytes())
    data[21] &= 0xF0  # the total of samples: 36 bits
    data[22:26] = rate_hz.to_bytes(4, "big")
    return bytes(data)


@pytest.mark.slow
def test_a_file_that_lies_about_its_length_fails_in_its_run(
    start: Start, graph: Graph, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its headers let it in; decoding stops at the longest allowed audio, and says so."""
    environment.setenv("YTCAPTION_MAX_AUDIO_S", "60")
    graph.settings = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    client = start(max_audio_s=60.0)

    answer = client.post(f"{UPLOADS}?model=tiny.en", content=lying_flac(tmp_path / "a.flac"))
    assert answer.status_code == 202, answer.text
    graph.run(answer.json()["id"], attempt=1)
    body = client.get(answer.json()["status_url"]).json()

    assert (body["status"], body["error"]["code"]) == ("failed", "media_too_long")


@pytest.mark.parametrize(
    "name", ["../../x.flac", "/etc/passwd", "..\\..\\x.flac", "%2e%2e%2fx.flac"]
)
@pytest.mark.long
def test_a_bare_files_name_is_no_path_either(
    client: TestClient, object_store: ObjectStore, name: str
) -> None:
    """It is no path in the query nor in a header."""
    media = set()
    for parameters, headers in (
        ({"filename": name}, {}),
        ({}, {"Content-Disposition": f'attachment; filename="{name}"'}),
    ):
        answer = client.post(UPLOADS, params=parameters, content=JFK, headers=headers)
        assert answer.status_code == 202, answer.text
        media.add(media_of(answer.json()["id"]))
    assert list(object_store.list()) == [upload_key(media.pop())]
    assert media == set()
