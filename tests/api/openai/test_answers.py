"""Responses to OpenAI's clients: forms, options, errors, streams; runs are scripted."""

import httpx
import openai
import pytest
from openai import OpenAI

from resources.auth.api_keys import ApiKeys
from resources.transcriptions.reads import get_media, get_transcription
from resources.transcriptions.store import RequestStore
from tests.api.conftest import World, serving
from tests.api.keys import Keys
from tests.api.uploads.bodies import JFK
from tests.api.workers import Scripted, worker
from tests.support.rows import recent_transcriptions
from tests.support.servers.media_server import DATA
from tests.support.transcripts import SPOKEN
from ytcaption.settings.settings import Settings

FILE = ("speech.flac", JFK)
TEXT = " ".join(SPOKEN)


@pytest.fixture
def client(server_url: str) -> OpenAI:
    return OpenAI(base_url=f"{server_url}/v1", api_key="none", max_retries=0, timeout=30)


@pytest.mark.long
def test_options_are_mapped(
    client: OpenAI, world: World, request_store: RequestStore, object_store
) -> None:
    """Prompt, language, temperature and keywords become the transcription's options; the file has
    its name, and its transcription is available at the other routes."""
    scripted = Scripted(world)
    with worker(request_store, scripted.complete):
        raw = client.audio.transcriptions.with_raw_response.create(
            model="base",
            file=("My talk.flac", JFK),
            language="de",
            prompt="x" * 500 + "A talk. " * 200,
            temperature=0.4,
            extra_body={"keywords": ["DuckLake", "Dagster"], "chunking_strategy": "auto"},
        )

    id = raw.headers["X-Transcription-Id"]
    assert [id] == scripted.ids
    row = get_transcription(request_store.postgres, id)
    assert row.options.to_dict() == {
        "model": "base",
        "language": "de",
        "task": "transcribe",
        "initial_prompt": ("A talk. " * 200)[-1_000:],
        "hotwords": "DuckLake, Dagster",
        "temperature": 0.4,
    }
    assert get_media(request_store.postgres, row.media_id).title == "My talk"
    assert raw.parse().text == TEXT
    assert raw.parse().usage.seconds == 11


@pytest.mark.parametrize(
    ("granularities", "members"),
    [([], {"segments"}), (["word"], {"words"}), (["word", "segment"], {"segments", "words"})],
)
def test_verbose_responses_have_the_requested_granularities(
    client: OpenAI, world: World, request_store: RequestStore, granularities, members
) -> None:
    """Every field of OpenAI's form, with segments unless only words are requested."""
    with worker(request_store, Scripted(world).complete):
        answer = client.audio.transcriptions.with_raw_response.create(
            model="whisper-1",
            file=FILE,
            response_format="verbose_json",
            timestamp_granularities=granularities,
        )

    body = answer.http_response.json()
    assert set(body) == {"task", "language", "duration", "text", "usage"} | members
    assert (body["task"], body["language"], body["text"]) == ("transcribe", "english", TEXT)
    if "segments" in members:
        assert body["segments"][1] == {
            "id": 1,
            "seek": 0,
            "start": 5.0,
            "end": 10.0,
            "text": f" {SPOKEN[1]}",
            "tokens": [],
            "temperature": 0.0,
            "avg_logprob": -0.2,
            "compression_ratio": 1.3,
            "no_speech_prob": 0.01,
        }
    if "words" in members:
        assert body["words"][0]["word"] == "And"


@pytest.mark.long
def test_scripts_without_spaces_are_joined_without(
    client: OpenAI, world: World, request_store: RequestStore
) -> None:
    """This holds for the response and for a stream."""
    with worker(request_store, Scripted(world, ("我们是朋友。", "你好！"), language="zh").complete):
        answer = client.audio.transcriptions.create(model="whisper-1", file=FILE)
        events = list(client.audio.transcriptions.create(model="base", file=FILE, stream=True))

    assert answer.text == "我们是朋友。你好！"
    assert [getattr(event, "delta", None) for event in events] == ["我们是朋友。", "你好！", None]


@pytest.mark.long
def test_silence_is_an_empty_text(
    client: OpenAI, world: World, request_store: RequestStore
) -> None:
    """The response has no segment, no language and no error."""
    with worker(request_store, Scripted(world, (), language=None).complete):
        answer = client.audio.transcriptions.create(
            model="whisper-1", file=FILE, response_format="verbose_json"
        )
        events = list(client.audio.transcriptions.create(model="base", file=FILE, stream=True))

    assert (answer.text, answer.language, answer.segments) == ("", "", [])
    assert [event.type for event in events] == ["transcript.text.done"]


@pytest.mark.parametrize(
    ("file", "fields", "kind", "code", "param"),
    [
        (FILE, {"model": "huge"}, openai.NotFoundError, "unknown_model", "model"),
        (FILE, {"language": "xx"}, openai.BadRequestError, "unknown_language", "language"),
        (FILE, {"temperature": 2}, openai.BadRequestError, "invalid_request", "temperature"),
        (FILE, {"response_format": "docx"}, openai.BadRequestError, "invalid_request", None),
        (FILE, {"include": ["logprobs"]}, openai.BadRequestError, "invalid_request", None),
        (FILE, {"prompt": "a\x00b"}, openai.BadRequestError, "invalid_request", None),
        (("a.mp3", b""), {}, openai.BadRequestError, "empty_file", "file"),
        (("a.mp3", b"no sound"), {}, openai.BadRequestError, "not_media", "file"),
    ],
)
def test_refusals_raise_the_clients_own_errors(
    client: OpenAI, request_store: RequestStore, file, fields, kind, code, param
) -> None:
    """The expected class, detail and code; nothing is queued."""
    with pytest.raises(kind) as raised:
        client.audio.transcriptions.create(**{"model": "whisper-1", "file": file} | fields)

    error = raised.value
    assert (error.code, error.type) == (code, "invalid_request_error")
    if param:
        assert error.param == param
    assert error.response.headers["Content-Type"] == "application/problem+json"
    problem = error.response.json()
    assert problem["type"] == f"urn:ytcaption:problem:{code}"
    assert problem["status"] == error.status_code
    assert problem["detail"] in str(error)
    assert recent_transcriptions(request_store.postgres) == []


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("audio_truncated", "The file ends before its audio does.", openai.BadRequestError),
        ("model_unavailable", "The model cannot be fetched.", openai.InternalServerError),
        ("internal_error", "Something went wrong inside.", openai.InternalServerError),
        ("run_lost", "The run went silent.", openai.InternalServerError),
    ],
)
@pytest.mark.long
def test_a_failed_run_is_an_error_and_not_retried(
    server_url: str, world: World, request_store: RequestStore, code, message, kind
) -> None:
    """With its message; the client must not send the file again. Streams end with it, too."""
    client = OpenAI(base_url=f"{server_url}/v1", api_key="none", max_retries=2, timeout=30)
    with worker(request_store, Scripted(world).fail(code, message)):
        with pytest.raises(kind, match=message) as raised:
            client.audio.transcriptions.create(model="whisper-1", file=FILE)
        assert raised.value.code == code
        (row,) = recent_transcriptions(request_store.postgres)
        assert row.attempt == 1
        with pytest.raises(openai.APIError, match=message):
            list(client.audio.transcriptions.create(model="whisper-1", file=FILE, stream=True))


def test_a_canceled_transcription_is_a_conflict(
    client: OpenAI, request_store: RequestStore
) -> None:
    """The status is 409, and the message says what to do."""
    with (
        worker(request_store, lambda id, _: request_store.cancel(id)),
        pytest.raises(openai.ConflictError, match="canceled"),
    ):
        client.audio.transcriptions.create(model="whisper-1", file=FILE)


@pytest.mark.long
def test_http_errors_have_openais_form_too(server_url: str) -> None:
    """415, 400, 404 and 405 under /v1 have `error`; elsewhere they do not."""
    url = f"{server_url}/v1/audio/transcriptions"
    answers = [
        (httpx.post(url, json={"model": "base"}), 415, "unsupported_media_type"),
        (httpx.post(url, data={"model": "base"}), 415, "unsupported_media_type"),
        (httpx.post(url, files={"fil": b"x"}), 400, "invalid_request"),
        (httpx.post(f"{server_url}/v1/nothing"), 404, "not_found"),
        (httpx.get(url), 405, "method_not_allowed"),
    ]
    for answer, status, code in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert answer.json()["error"]["message"]
    assert "error" not in httpx.get(f"{server_url}/api/v1/nothing").json()


@pytest.mark.long
def test_a_file_that_is_too_large_is_413(settings: Settings) -> None:
    """By its Content-Length, and the client reads it."""
    small = settings.changed(max_upload_bytes=1024**2)
    with serving(small) as url, pytest.raises(openai.APIStatusError, match="1 MiB") as raised:
        client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        client.audio.transcriptions.create(model="whisper-1", file=bytes(30_000_000))
    assert raised.value.status_code == 413


@pytest.mark.long
def test_models_are_listed(client: OpenAI, settings: Settings) -> None:
    """Ours, and OpenAI's names for the default one; any other is not found."""
    ids = [model.id for model in client.models.list()]
    assert ids[: len(settings.speech.models)] == list(settings.speech.models)
    assert {"whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"} <= set(ids)
    assert client.models.retrieve("base").id == "base"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5")


@pytest.mark.slow
def test_keys_work_as_the_clients_api_key(
    settings: Settings, keys: Keys, world: World, request_store: RequestStore
) -> None:
    """Wrong ones and ones without `read` and `write` raise the client's own errors; another key
    does not see the transcription."""
    writer = ApiKeys.from_settings(settings).create("writer", ["write"]).token

    def ask(url: str, key: str) -> str:
        client = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30)
        raw = client.audio.transcriptions.with_raw_response.create(model="base", file=FILE)
        return raw.headers["X-Transcription-Id"]

    with serving(settings) as url, worker(request_store, Scripted(world).complete):
        with pytest.raises(openai.AuthenticationError):
            ask(url, "wrong")
        for key in (writer, keys.header("reader")["Authorization"].removeprefix("Bearer ")):
            with pytest.raises(openai.PermissionDeniedError):
                ask(url, key)
        assert recent_transcriptions(request_store.postgres) == []

        id = ask(url, keys.header("anna")["Authorization"].removeprefix("Bearer "))
        there = f"{url}/api/v1/transcriptions/{id}"
        assert httpx.get(there, headers=keys.header("anna")).status_code == 200
        assert httpx.get(there, headers=keys.header("bert")).status_code == 404


@pytest.mark.long
def test_translations_are_requested(
    client: OpenAI, world: World, request_store: RequestStore
) -> None:
    """`task` is translate and the text is English; an English model is refused."""
    with worker(request_store, Scripted(world, task="translate", language="de").complete):
        answer = client.audio.translations.create(
            model="whisper-1", file=DATA / "fleurs-de-001.ogg", response_format="verbose_json"
        )
        with pytest.raises(openai.BadRequestError, match="English only"):
            client.audio.translations.create(model="tiny.en", file=FILE)

    (row,) = recent_transcriptions(request_store.postgres)
    assert row.options.task == "translate"
    assert answer.language == "english"
