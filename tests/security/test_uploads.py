"""What is sent to break uploads: refused with a sentence, and gone without a trace."""

import json

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api.upload_form import MAX_FIELD_BYTES
from api.upload_stream import MAX_TITLE_LENGTH, title_of
from resources.object_store import ObjectStore, upload_key
from resources.request_store import RequestStore
from tests.api.uploads import FILE, FORM, JFK, UPLOADS, disposition, form, media_of, nothing_is_left
from tests.media_server import DATA
from ytcaption_assets.settings import Settings


def cut_wav() -> bytes:
    """A WAV whose header promises more than there is."""
    return (DATA / "stereo-2spk.wav").read_bytes()[:20_000]


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
    ],
)
def test_what_cannot_be_heard_is_refused(
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
    assert request_store.list_recent() == []


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
    assert request_store.media(media_id).title == title


@given(st.text(max_size=300))
def test_every_title_is_short_and_printable(name: str) -> None:
    """Whatever a file is called."""
    title = title_of(name)
    assert title is None or (0 < len(title) <= MAX_TITLE_LENGTH and title.isprintable())
    assert title is None or ("/" not in title and "\\" not in title)
