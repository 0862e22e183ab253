"""Requesting a transcription and reading its status."""

import json
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from resources.orchestration.partitions import transcription_partitions
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.store import RequestStore
from tests.api.conftest import BASE_URL, RUN_ID, UNKNOWN_ID, DatabaseSwitch, World
from tests.support.rows import recent_transcriptions
from ytcaption.domain.request import TranscriptionStatus, is_partition_key
from ytcaption.settings.settings import Settings

URL = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
PATH = "/api/v1/transcriptions"


def test_a_link_is_accepted(client: TestClient) -> None:
    """The answer is 202 with an id, a Location, and the seconds after which to poll."""
    answer = client.post(PATH, json={"url": URL})

    body = answer.json()
    assert answer.status_code == 202
    assert is_partition_key(body["id"])
    assert body["id"].startswith("youtube-dQw4w9WgXcQ.")
    assert body["status"] == "queued"
    assert body["status_url"] == f"{PATH}/{body['id']}" == answer.headers["Location"]
    assert body["result_url"] == f"{PATH}/{body['id']}/result"
    assert answer.headers["Retry-After"] == "2"
    assert client.get(answer.headers["Location"]).json()["status"] == "queued"


def test_the_request_is_stored(client: TestClient, request_store: RequestStore) -> None:
    """Options, priority and the caller's metadata are in the rows."""
    answer = client.post(
        PATH,
        json={
            "url": "https://youtu.be/dQw4w9WgXcQ?t=42",
            "language": "German",
            "model": "tiny",
            "task": "translate",
            "initial_prompt": "A talk on Dagster.",
            "hotwords": "DuckLake",
            "captions": "never",
            "priority": "bulk",
            "metadata": {"ticket": 4711, "tags": ["ä", None, 1.5]},
        },
    )

    row = get_transcription(request_store.postgres, answer.json()["id"])
    assert row.media_id == "youtube-dQw4w9WgXcQ"
    assert row.priority == "bulk"
    assert row.options.to_dict() == {
        "model": "tiny",
        "language": "de",
        "task": "translate",
        "initial_prompt": "A talk on Dagster.",
        "hotwords": "DuckLake",
        "captions": "never",
    }
    with request_store.postgres.transaction() as connection:
        stored = connection.execute("select metadata, id from ytcaption.request").fetchone()
    assert stored is not None
    assert stored["metadata"] == {"ticket": 4711, "tags": ["ä", None, 1.5]}
    assert str(stored["id"]) == answer.json()["request_id"]


def test_equal_requests_share_one_transcription(client: TestClient) -> None:
    """Every form of a link to one video has the same id, and each request its own row."""
    answers = [
        client.post(PATH, json={"url": url}).json()
        for url in (URL, "https://youtu.be/dQw4w9WgXcQ", f"{URL}&list=PL1&t=3s")
    ]

    assert len({answer["id"] for answer in answers}) == 1
    assert len({answer["request_id"] for answer in answers}) == 3


def test_other_options_are_another_transcription(client: TestClient) -> None:
    """The id depends on what changes the text, and on nothing else."""
    plain = client.post(PATH, json={"url": URL}).json()["id"]
    assert client.post(PATH, json={"url": URL, "language": "de"}).json()["id"] != plain
    assert client.post(PATH, json={"url": URL, "priority": "bulk"}).json()["id"] == plain


def test_a_failed_one_is_queued_again_by_a_new_request(client: TestClient, world: World) -> None:
    """A new request starts a failed transcription again."""
    id = world.failed()
    assert client.get(f"{PATH}/{id}").json()["status"] == "failed"

    assert client.post(PATH, json={"url": URL}).json()["status"] == "queued"


def test_a_completed_one_needs_no_polling(client: TestClient, world: World) -> None:
    """A request for it says so, without Retry-After."""
    id = world.completed()

    answer = client.post(PATH, json={"url": URL})

    assert answer.status_code == 202
    assert (answer.json()["id"], answer.json()["status"]) == (id, "completed")
    assert "Retry-After" not in answer.headers


def test_the_partition_is_added_to_dagster(settings: Settings, dagster_home: object) -> None:
    """After the commit the id becomes a dynamic partition in Dagster's storage."""
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        id = client.post(PATH, json={"url": URL}).json()["id"]
    # the queue has been emptied when the app has stopped

    with dg.DagsterInstance.get() as instance:
        assert id in instance.get_dynamic_partitions(transcription_partitions.name or "")


def test_a_request_is_accepted_while_dagster_is_down(
    settings: Settings, request_store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is the same, and the row waits for the sensor."""
    monkeypatch.setenv("DAGSTER_HOME", "/nonexistent/dagster")
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        answer = client.post(PATH, json={"url": URL})

    assert answer.status_code == 202
    assert [due.id for due in request_store.due(10)] == [answer.json()["id"]]


@pytest.mark.slow
def test_without_the_database_it_is_503_and_then_202(database_switch: DatabaseSwitch) -> None:
    """Every route that needs it says so, with Retry-After."""
    with TestClient(create_app(database_switch.settings), base_url=BASE_URL) as client:
        id = client.post(PATH, json={"url": URL}).json()["id"]
        calls = [
            lambda: client.post(PATH, json={"url": URL}),
            lambda: client.get(f"{PATH}/{id}"),
            lambda: client.get(f"{PATH}/{id}/result"),
        ]
        database_switch.off()
        with ThreadPoolExecutor() as threads:  # each waits for seconds before it gives up
            answers = list(threads.map(lambda call: call(), calls))
        alive = client.get("/healthz")
        database_switch.on()
        back = client.post(PATH, json={"url": URL})

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert "/tmp" not in answer.text
        assert answer.headers["Retry-After"] == "5"
    assert alive.status_code == 200
    assert back.status_code == 202


def test_progress_has_the_unit_of_its_stage(client: TestClient, world: World) -> None:
    """It is in bytes while downloading and in seconds of audio while transcribing."""
    id = world.running()
    store = world.run_store

    store.progress(id, RUN_ID, "audio_download", 512.0, None)
    assert client.get(f"{PATH}/{id}").json()["progress"] == {
        "done": 512.0,
        "total": None,
        "unit": "bytes",
        "fraction": None,
        "eta_s": None,
    }

    store.progress(id, RUN_ID, "transcription", 30.0, 120.0)
    answer = client.get(f"{PATH}/{id}")
    assert answer.json()["stage"] == "transcription"
    assert answer.json()["progress"] == {
        "done": 30.0,
        "total": 120.0,
        "unit": "seconds",
        "fraction": 0.25,
        "eta_s": None,
    }
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_retry_is_reported_with_its_cause(client: TestClient, world: World) -> None:
    """While it waits: the number of the next attempt, its time, and why the last one failed."""
    id = world.running()
    world.run_store.fail(id, RUN_ID, "source_unavailable", "The site is down.", True, 4)

    body = client.get(f"{PATH}/{id}").json()

    assert (body["status"], body["attempt"], body["max_attempts"]) == ("queued", 2, 4)
    assert body["next_attempt_at"] is not None
    assert body["error"] == {"code": "source_unavailable", "message": "The site is down."}


def test_a_completed_one_is_described(client: TestClient, world: World) -> None:
    """The response has title, language, length and words, and no Retry-After."""
    id = world.completed(title="<script>alert(1)</script>")

    answer = client.get(f"{PATH}/{id}")
    body = answer.json()

    assert body["status"] == TranscriptionStatus.COMPLETED
    assert body["media"]["title"] == "<script>alert(1)</script>"
    assert body["media"]["channel"] == "JFK Library"
    assert (body["language"], body["duration_s"], body["word_count"]) == ("en", 11.0, 22)
    assert body["options"] == {
        "model": "base",
        "language": None,
        "task": "transcribe",
        "initial_prompt": None,
        "hotwords": None,
        "temperature": None,
        "captions": "prefer",
    }
    assert body["completed_at"] is not None
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize(("stated_s", "shown_s"), [(12.5, 12.5), (None, 11.0)])
def test_a_duration_that_the_source_does_not_state_is_the_audios(
    client: TestClient, world: World, stated_s: float | None, shown_s: float
) -> None:
    """It is known as soon as the audio is stored."""
    id = world.running()
    assert client.get(f"{PATH}/{id}").json()["media"]["duration_s"] is None

    world.describe(id, title=None, stated_s=stated_s)

    assert client.get(f"{PATH}/{id}").json()["media"]["duration_s"] == shown_s


HOSTILE_BODIES: list[tuple[str, bytes, str, int, str]] = [
    ("no JSON", b"{url:", "application/json", 400, "malformed_request"),
    ("no UTF-8", b'{"url":"\xff\xfe"}', "application/json", 400, "malformed_request"),
    ("nothing", b"", "application/json", 422, "invalid_request"),
    ("a list", b"[]", "application/json", 422, "invalid_request"),
    ("a number of 5,000 digits", b'{"metadata":{"a":' + b"9" * 5000 + b"}}", "application/json",
     400, "malformed_request"),
    ("deep nesting", b"[" * 30_000, "application/json", 400, "malformed_request"),
    ("a form", b"url=https%3A%2F%2Fyoutu.be%2FdQw4w9WgXcQ", "application/x-www-form-urlencoded",
     415, "unsupported_media_type"),
    ("text, as a page elsewhere could send", json.dumps({"url": URL}).encode(), "text/plain",
     415, "unsupported_media_type"),
    ("NUL in a text", json.dumps({"url": URL, "hotwords": "a\x00b"}).encode(), "application/json",
     422, "invalid_request"),
    ("NUL in metadata's key", json.dumps({"url": URL, "metadata": {"a\x00": 1}}).encode(),
     "application/json", 422, "invalid_request"),
    ("half a surrogate pair", b'{"url":"' + URL.encode() + b'","metadata":{"a":"\\ud800"}}',
     "application/json", 422, "invalid_request"),
    ("half a surrogate pair in a text", b'{"url":"' + URL.encode() + b'","hotwords":"\\udfff"}',
     "application/json", 422, "invalid_request"),
    ("half a surrogate pair as a field", b'{"\\ud800":1}', "application/json", 422,
     "invalid_request"),
    ("an infinite number", b'{"url":"' + URL.encode() + b'","metadata":{"a":1e999}}',
     "application/json", 422, "invalid_request"),
    ("NaN", b'{"url":"' + URL.encode() + b'","metadata":{"a":NaN}}', "application/json", 422,
     "invalid_request"),
    ("metadata of 5 KiB", json.dumps({"url": URL, "metadata": {"a": "x" * 5000}}).encode(),
     "application/json", 422, "invalid_request"),
    ("metadata that is a list", json.dumps({"url": URL, "metadata": [1]}).encode(),
     "application/json", 422, "invalid_request"),
    ("an unknown field", json.dumps({"url": URL, "colour": "red"}).encode(), "application/json",
     422, "invalid_request"),
    ("two links", json.dumps({"url": URL, "youtube_url": URL}).encode(), "application/json", 422,
     "invalid_request"),
    ("no link", b"{}", "application/json", 422, "invalid_request"),
    ("a number as link", b'{"url": 7}', "application/json", 422, "invalid_request"),
    ("a link of 3,000 characters", json.dumps({"url": URL + "&x=" + "a" * 3000}).encode(),
     "application/json", 422, "invalid_request"),
    ("a priority there is not", json.dumps({"url": URL, "priority": "now"}).encode(),
     "application/json", 422, "invalid_request"),
    ("a body over 64 KiB", json.dumps({"url": URL, "hotwords": "x" * 70_000}).encode(),
     "application/json", 413, "body_too_large"),
    ("a file", json.dumps({"url": "file:///etc/passwd"}).encode(), "application/json", 422,
     "invalid_url"),
    ("a search", json.dumps({"url": "ytsearch:cats"}).encode(), "application/json", 422,
     "invalid_url"),
    ("a cloud's metadata", json.dumps({"url": "http://169.254.169.254/latest/"}).encode(),
     "application/json", 422, "blocked_address"),
    ("another port", json.dumps({"url": "http://example.com:22/a.mp3"}).encode(),
     "application/json", 422, "blocked_address"),
    ("a playlist", json.dumps({"url": "https://www.youtube.com/playlist?list=PLx"}).encode(),
     "application/json", 422, "playlist_url"),
    ("a user's name in the link", json.dumps({"url": "https://a:b@youtu.be/x"}).encode(),
     "application/json", 422, "invalid_url"),
    ("a repository as model", json.dumps({"url": URL, "model": "evil/model"}).encode(),
     "application/json", 422, "unknown_model"),
    ("no language", json.dumps({"url": URL, "language": "klingon"}).encode(), "application/json",
     422, "unknown_language"),
    ("English model, German", b'{"url":"' + URL.encode() + b'","model":"tiny.en","language":"de"}',
     "application/json", 422, "invalid_option"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [row[1:] for row in HOSTILE_BODIES],
    ids=[row[0] for row in HOSTILE_BODIES],
)
def test_hostile_bodies_are_refused(
    client: TestClient,
    request_store: RequestStore,
    body: bytes,
    content_type: str,
    status: int,
    code: str,
) -> None:
    """Each is a 4xx with its own code, and nothing is stored."""
    answer = client.post(PATH, content=body, headers={"Content-Type": content_type})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert recent_transcriptions(request_store.postgres) == []


def test_the_detail_says_what_is_wrong(client: TestClient) -> None:
    """It is one sentence that names at most three wrong fields."""
    colours = {f"colour{n}": "red" for n in range(5)}
    for body, detail in (
        ({}, "The request is not valid. Give exactly one of url and youtube_url."),
        (
            {"url": URL, "task": "sing"},
            "The request is not valid. #/task: Input should be 'transcribe' or 'translate'.",
        ),
        (
            {"url": URL} | colours,
            "The request is not valid. "
            + "; ".join(f"#/colour{n}: Extra inputs are not permitted" for n in range(3))
            + "; and 2 more.",
        ),
    ):
        assert client.post(PATH, json=body).json()["detail"] == detail


def test_a_chunked_body_is_counted_as_it_arrives(client: TestClient) -> None:
    """A body without a length is refused at 64 KiB, too."""

    def pieces():
        yield b'{"url":"'
        for _ in range(80):
            yield b"a" * 1024

    answer = client.post(PATH, content=pieces(), headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_wrong_field_is_named_and_its_value_is_not_repeated(client: TestClient) -> None:
    """The response points into the body and repeats nothing of it."""
    answer = client.post(PATH, json={"url": URL, "priority": "s3cret", "metadata": []})

    errors = answer.json()["errors"]
    assert [error["pointer"] for error in errors] == ["#/priority", "#/metadata"]
    assert "s3cret" not in answer.text


@pytest.mark.parametrize("field", ["hotwords", "metadata"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('"\\udfff"', "A text contains an unpaired surrogate, which is not a valid character"),
        ('"\\u0000"', "A text contains a NUL character"),
        ("-Infinity", "A number is not finite"),
    ],
)
def test_unstorable_values_are_explained(
    client: TestClient, field: str, value: str, words: str
) -> None:
    """Text and numbers that neither Postgres nor JSON can hold, at any depth."""
    inside = value if field == "hotwords" else '{"a": [{"b": ' + value + "}]}"
    body = f'{{"url": "{URL}", "{field}": {inside}}}'

    answer = client.post(PATH, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert [error["detail"] for error in answer.json()["errors"]] == [words]


HOSTILE_IDS = [
    "..%2f..%2fetc%2fpasswd", "%00", "a" * 5_000, "youtube-x", "' or 1=1 --", "%ff%fe", "a.b",
    "youtube-dQw4w9WgXcQ.AAAAAAAAAAAAAAAAAAAAAAAAAA", "-x.aaaaaaaaaaaaaaaaaaaaaaaaaa", "💥",
    "%0d%0aX:1",
]  # fmt: skip


@pytest.mark.parametrize("suffix", ["", "/result"])
@pytest.mark.parametrize("id", [UNKNOWN_ID, *HOSTILE_IDS])
def test_unknown_ids_are_404(client: TestClient, id: str, suffix: str) -> None:
    """Whatever stands for the id, the answer is a 404 problem."""
    answer = client.get(f"{PATH}/{id}{suffix}")

    assert answer.status_code == 404
    assert answer.json()["code"] in ("transcription_not_found", "not_found")


def test_options_lists_what_can_be_requested(client: TestClient, settings: Settings) -> None:
    """Models, the default one, a hundred languages, seven formats."""
    body = client.get("/api/v1/options").json()

    assert body["models"] == list(settings.speech.models)
    assert body["default_model"] == settings.speech.model
    assert {"code": "de", "name": "German"} in body["languages"]
    assert body["formats"] == ["srt", "vtt", "txt", "json", "tsv", "ass", "md"]
