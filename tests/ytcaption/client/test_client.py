"""The Python client against a real server, over a connection that breaks."""

import hashlib
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import date
from pathlib import Path

import httpx
import pytest

from api.http.errors import ytcaption_problem
from resources.object_store.store import upload_key
from resources.transcriptions.store import RequestStore
from tests.api.conftest import RUN_ID, UNKNOWN_ID, World, serving
from tests.api.http.test_errors import every_error
from tests.api.keys import Keys
from tests.support.finisher import Finisher
from tests.support.library import add_said
from tests.support.patience import patience
from tests.support.servers.media_server import DATA
from tests.support.transcription_events import transcription_events
from tests.support.transcripts import SPOKEN, transcript_of
from tests.ytcaption.client.conftest import Line
from ytcaption.client import options, transport
from ytcaption.client.client import Client
from ytcaption.client.errors import ApiError, ServerUnreachable, UnexpectedAnswer, WaitTimeout
from ytcaption.client.models import Accepted, Refusal, Transcription
from ytcaption.domain.captions.formats import CaptionFormat, render
from ytcaption.domain.errors import EmptyFile, FileUnreadable, InvalidUrl, YtcaptionError
from ytcaption.domain.media.media import MediaInfo, StoredAudio, upload_media_id
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings.settings import Settings

URL = "https://youtu.be/dQw4w9WgXcQ"
JFK = DATA / "jfk.flac"


def requests_of(world: World) -> int:
    """Return the number of requests in the database."""
    with world.request_store.postgres.transaction() as connection:
        row = connection.execute("select count(*) as number from ytcaption.request").fetchone()
    assert row is not None
    return row["number"]


@pytest.mark.long
def test_from_a_link_to_captions(api: Client, world: World, line: Line) -> None:
    """Submitted, followed by events, read in each format; progress is reported on the way."""
    accepted = api.submit(
        URL, model="base", language="en", captions="never", metadata={"ticket": 4711}
    )
    assert api.get(accepted.id).options.captions == "never"
    seen: list[Transcription] = []
    with Finisher(world):
        done = api.wait(accepted.id, on_change=seen.append)

    assert done.status is TranscriptionStatus.COMPLETED
    assert (done.media.title, done.metadata, done.word_count) == ("Ask not", {"ticket": 4711}, 22)
    assert seen[0].status is TranscriptionStatus.QUEUED
    assert {each.progress.done for each in seen if each.progress} >= {5.0}
    assert f"GET /api/v1/transcriptions/{accepted.id}/events" in line.paths()
    expected = transcript_of(accepted.id)
    assert api.transcript(accepted.id) == expected
    for format in CaptionFormat:
        assert api.result(accepted.id, format) == render(expected, format)
    short = api.result(accepted.id, "srt", max_line_length=20, max_lines=1)
    assert max(map(len, short.splitlines())) < 40 < len(short)


@pytest.mark.long
def test_a_lost_response_is_repeated_and_nothing_is_done_twice(
    api: Client, world: World, line: Line
) -> None:
    """The connection broke after the server had done its work: one request is stored."""
    line.lose_answers = 2
    accepted = api.submit(URL)

    assert len(line.requests) == 3
    assert len({each.headers["Idempotency-Key"] for each in line.requests}) == 1
    assert requests_of(world) == 1
    assert api.get(accepted.id).status is TranscriptionStatus.QUEUED


def test_a_key_of_ones_own_makes_a_second_call_the_same(api: Client, world: World) -> None:
    """The same key gives the same answer, and another body is refused."""
    first = api.submit(URL, idempotency_key="mine")
    again = api.submit(URL, idempotency_key="mine")
    assert again == first and requests_of(world) == 1
    with pytest.raises(ApiError) as refused:
        api.submit(URL, idempotency_key="mine", language="de")
    assert (refused.value.status, refused.value.code) == (422, "idempotency_mismatch")


@pytest.mark.long
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_retried_after_its_retry_after(
    api: Client, line: Line, status: int
) -> None:
    """This also holds if a proxy answers without a problem body."""
    answers = [httpx.Response(status, headers={"Retry-After": "1"}), httpx.Response(503)]
    line.instead = lambda request: answers.pop() if answers else None
    began = time.monotonic()
    api.submit(URL)
    assert 1 < time.monotonic() - began < 5 * patience()
    assert len(line.requests) == 3


def test_repeating_has_an_end(api: Client, line: Line) -> None:
    """Five attempts; none if the pause would be longer than a minute."""
    body = {"code": "quota_exceeded", "detail": "Enough for today.", "request_id": "r1"}
    line.instead = lambda _: httpx.Response(429, json=body, headers={"Retry-After": "3600"})
    with pytest.raises(ApiError) as refused:
        api.usage()
    error = refused.value
    assert (error.code, error.retry_after_s, error.request_id) == ("quota_exceeded", 3600, "r1")
    assert str(error) == "Enough for today." and error.retryable
    assert len(line.requests) == 1

    line.instead = lambda _: httpx.Response(503, headers={"Retry-After": "0"})
    with pytest.raises(ApiError):
        api.usage()
    assert len(line.requests) == 1 + transport.MAX_ATTEMPTS


@pytest.mark.long
def test_an_address_without_a_server_fails_at_once() -> None:
    """Refused, unknown, or invalid: one sentence that says what to check."""
    began = time.monotonic()
    with pytest.raises(ServerUnreachable, match=r"no answer from http://127.0.0.1:9\. Check"):
        Client("http://127.0.0.1:9").get(UNKNOWN_ID)
    assert time.monotonic() - began < 3 * patience()
    for wrong in (
        "localhost:8000",
        "ftp://x",
        "http://",
        "http://h/?a=b",
        "http://[",
        "http://h:x",
    ):
        with pytest.raises(InvalidUrl):
            Client(wrong)
    with pytest.raises(InvalidUrl, match="YTCAPTION_API_KEY"):
        Client("http://user:password@host")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<h1>It works</h1>"),
        httpx.Response(404, html="<h1>Nothing</h1>"),
        httpx.Response(200, json={"id": 7}),
        httpx.Response(302, headers={"Location": "https://elsewhere.example/login?next=secret"}),
    ],
)
def test_another_server_is_recognised(api: Client, line: Line, answer: httpx.Response) -> None:
    """Its page, JSON or redirect; the key is not sent on."""
    line.instead = lambda _: answer
    with pytest.raises(UnexpectedAnswer) as caught:
        api.get(UNKNOWN_ID)
    assert len(line.requests) == 1 and "secret" not in str(caught.value)


def test_refusals_are_typed(api: Client) -> None:
    """Status, code and detail are the server's; a wrong field is named."""
    with pytest.raises(ApiError) as refused:
        api.get(UNKNOWN_ID)
    assert (refused.value.status, refused.value.code) == (404, "transcription_not_found")
    assert refused.value.request_id and not refused.value.retryable
    with pytest.raises(ApiError, match="4,096 are kept"):
        api.submit(URL, metadata={"a": "b" * 5_000})


@pytest.mark.long
def test_what_may_succeed_later_is_retryable(api: Client, world: World) -> None:
    """A result that is not ready yet, and what a run works on; not the result of what failed."""
    id = world.running()
    for call in (lambda: api.result(id, "srt"), lambda: api.delete(id)):
        with pytest.raises(ApiError) as refused:
            call()
        assert refused.value.status == 409 and refused.value.retryable, refused.value.code
    world.run_store.fail(id, RUN_ID, "media_private", "It is private.", False, 4)
    with pytest.raises(ApiError) as refused:
        api.result(id, "srt")
    assert refused.value.code == "result_not_ready" and not refused.value.retryable


@pytest.mark.unit
@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_the_client_repeats_what_the_server_calls_temporary(kind: type[YtcaptionError]) -> None:
    """Of each error that the API may answer: retryable there is retryable here, and so is 503."""
    answer = ytcaption_problem(kind("It failed."))
    request = httpx.Request("GET", "http://127.0.0.1")
    headers = dict(answer.headers)
    error = transport.problem_of(
        httpx.Response(
            answer.status_code, headers=headers, content=bytes(answer.body), request=request
        )
    )
    assert error.code == kind.code
    assert error.retryable == (kind.retryable or answer.status_code == 503)


def test_the_key_is_sent(settings: Settings, keys: Keys) -> None:
    """Without one it is 401; the usage is that key's."""
    token = keys.header("anna")["Authorization"].removeprefix("Bearer ")
    with serving(settings) as url:
        with Client(url) as nobody, pytest.raises(ApiError) as refused:
            nobody.usage()
        with Client(url, token) as anna:
            anna.submit(URL)
            usage = anna.usage()
    assert (refused.value.status, refused.value.code) == (401, "unauthenticated")
    assert usage.unfinished_transcriptions == 1 and set(usage.scopes) == {"read", "write"}
    assert usage.owner == keys.owner("anna")


@pytest.mark.long
def test_views_of_the_lake_are_rows(api: Client) -> None:
    """With their parameters; errors are those of the API."""
    assert api.view("growth", since=date(2026, 1, 1), limit=5) == []
    with pytest.raises(ApiError, match="Its parameters: since, until") as refused:
        api.view("growth", colour="red")
    assert refused.value.code == "invalid_option"


@pytest.mark.slow
def test_queries_of_the_lake_are_rows(api: Client) -> None:
    """Values are bound; errors are DuckDB's."""
    assert api.query("select $n + 1 as n", {"n": 1}, limit=1) == [{"n": 2}]
    with pytest.raises(ApiError, match="nowhere does not exist") as refused:
        api.query("from nowhere")
    assert refused.value.code == "query_error"


@pytest.mark.slow
def test_events_resume_after_a_broken_connection(
    api: Client, world: World, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No segment is lost and none comes twice."""
    monkeypatch.setattr("ytcaption.client.events._PAUSE_S", 0.01)
    id = world.completed()
    line.cut_after = [40, 300, 420]
    events = list(api.events(id))

    assert [each.data["index"] for each in events if each.type == "segment"] == [0, 1]
    assert events[-1].type == "completed"
    assert len(line.requests) == 4
    assert line.requests[-1].headers["Last-Event-ID"]
    assert list(api.events(id, last_event_id=events[-1].id)) == []


@pytest.mark.parametrize(
    "answer",
    [
        lambda: httpx.Response(404, html="no"),
        lambda: httpx.Response(504),
        lambda: httpx.Response(429, json={"code": "rate_limited"}),
        lambda: httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=b""),
        lambda: httpx.Response(200, html="<p>events"),
    ],
)
@pytest.mark.long
def test_waiting_works_without_events(
    api: Client,
    world: World,
    line: Line,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[], httpx.Response],
) -> None:
    """By polling, if a proxy blocks them or too many streams are open."""
    monkeypatch.setattr("ytcaption.client.events._PAUSE_S", 0.01)
    accepted = api.submit(URL)
    line.instead = lambda request: answer() if request.url.path.endswith("/events") else None
    with Finisher(world):
        assert api.wait(accepted.id).status is TranscriptionStatus.COMPLETED
    assert line.paths()[-1] == f"GET /api/v1/transcriptions/{accepted.id}"


@pytest.mark.slow
def test_waiting_survives_a_restart(
    api: Client, world: World, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is unreachable for some seconds: the wait continues."""
    accepted = api.submit(URL)
    away_until = time.monotonic() + 4

    def away(request: httpx.Request) -> None:
        if time.monotonic() < away_until and len(line.requests) > 3:
            raise httpx.ConnectError("refused")

    line.instead = away
    with Finisher(world, pause_s=2):
        assert api.wait(accepted.id).status is TranscriptionStatus.COMPLETED


@pytest.mark.slow
def test_a_wait_ends_at_its_time(api: Client) -> None:
    """The transcription continues."""
    accepted = api.submit(URL)
    began = time.monotonic()
    with pytest.raises(WaitTimeout, match="queued still"):
        api.wait(accepted.id, timeout_s=1.5)
    assert 1 < time.monotonic() - began < 4 * patience()


@pytest.mark.long
def test_a_file_is_sent_by_blocks(api: Client, world: World, line: Line) -> None:
    """Its progress is reported; a lost response sends it again; the bytes are stored."""
    calls: list[tuple[int, int | None]] = []
    line.lose_answers = 1
    accepted = api.submit(
        JFK,
        on_progress=lambda done, total: calls.append((done, total)),
        language="en",
        metadata={"a": [1]},
    )
    size = JFK.stat().st_size
    assert calls[-1] == (size, size) and len(calls) > 2
    now = api.get(accepted.id)
    assert (now.media.title, now.metadata, now.options.language) == ("jfk", {"a": [1]}, "en")
    assert requests_of(world) == 1
    key = upload_key(accepted.id.rpartition(".")[0])
    assert world.object_store.read_bytes(key) == JFK.read_bytes()
    assert accepted.id.startswith(upload_media_id(_sha256(JFK)))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_cannot_be_sent_is_refused(api: Client, tmp_path: Path, line: Line) -> None:
    """None, empty, a folder, not media."""
    with pytest.raises(FileUnreadable):
        api.submit(tmp_path / "none.mp3")
    with pytest.raises(FileUnreadable):
        api.submit(tmp_path)
    (tmp_path / "empty.mp3").touch()
    with pytest.raises(EmptyFile):
        api.submit(tmp_path / "empty.mp3")
    assert line.requests == []
    with pytest.raises(ApiError) as refused:
        api.submit(DATA / "broken-not-audio.mp3")
    assert refused.value.status == 422


@pytest.mark.long
def test_lists_page_by_page(
    api: Client, world: World, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are listed, the newest first; filters apply to each page."""
    monkeypatch.setattr(options, "PAGE", 2)
    ids = [
        api.submit(f"https://youtu.be/{n:011}", metadata={"n": n, "a": "b"}).id for n in range(5)
    ]
    line.requests.clear()
    assert [each.id for each in api.list(status=["queued", "running"])] == ids[::-1]
    assert len(line.requests) == 3
    first = api.get(ids[2])
    assert [each.id for each in api.list(metadata={"n": 2, "a": "b"})] == [ids[2]]
    assert [each.id for each in api.list(created_before=first.created_at)] == ids[1::-1]
    assert list(api.list(status="failed")) == []


@pytest.mark.long
def test_the_history_comes_page_by_page(
    api: Client, world: World, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it, the oldest event first; a lost response loses nothing."""
    monkeypatch.setattr("ytcaption.client.client.PAGE", 2)
    id = world.failed()
    line.lose_answers = 1
    found = list(api.history(id))
    events = transcription_events(world.request_store.postgres, id)
    assert [each.event_id for each in found] == [each.event_id for each in events]
    assert [each.timestamp for each in found] == [each.timestamp for each in events]
    assert (found[-1].event_type, found[-1].data["code"]) == (
        "TranscriptionFailed",
        "media_private",
    )
    assert (found[0].run_id, found[-1].run_id) == (None, RUN_ID)
    assert line.paths() == [f"GET /api/v1/transcriptions/{id}/history"] * 4


def test_a_callback_goes_with_the_request(api: Client, world: World) -> None:
    """For a link, an item of a batch and a file; a wrong one is refused."""
    url = "https://example.org/hooks/captions?of=me"
    api.submit(URL, callback_url=url, callback_include="result")
    list(api.batch([{"url": URL, "language": "de", "callback_url": url}]))
    api.submit(JFK, callback_url=url)
    statement = "select callback_url, callback_include from ytcaption.request order by id"
    kept = world.request_store.postgres.rows(statement, {})
    assert [tuple(row.values()) for row in kept] == [(url, "result"), (url, None), (url, None)]
    with pytest.raises(ApiError) as refused:
        api.submit(URL, callback_url="http://10.0.0.1/hooks")
    assert refused.value.status == 422


def test_a_batch_answers_each_separately(
    api: Client, world: World, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order given, over as many requests as it takes."""
    monkeypatch.setattr("ytcaption.client.client.BATCH", 2)
    wanted = [{"url": URL}, {"url": "nonsense"}, {"url": URL, "language": "de"}]
    first, wrong, third = api.batch(wanted)
    assert isinstance(first, Accepted) and isinstance(third, Accepted) and first.id != third.id
    assert isinstance(wrong, Refusal) and (wrong.status, wrong.code) == (422, "invalid_url")
    assert line.paths() == ["POST /api/v1/transcriptions/batch"] * 2


@pytest.mark.slow
def test_cancel_retry_and_delete(api: Client, line: Line, dagster_home: Path) -> None:
    """Each can be repeated after a lost response; erased ones are 410."""
    id = api.submit(URL).id
    line.lose_answers = 1
    canceled = api.cancel(id)
    assert (canceled.status, canceled.effect) == (TranscriptionStatus.CANCELED, "unchanged")
    line.lose_answers = 1
    assert api.retry(id).status is TranscriptionStatus.QUEUED
    line.lose_answers = 1
    api.delete(id)
    with pytest.raises(ApiError) as refused:
        api.get(id)
    assert refused.value.status == 410


@pytest.mark.long
def test_audio_is_complete_after_broken_connections(
    api: Client, world: World, line: Line, tmp_path: Path
) -> None:
    """It resumes by a range; no partial file remains."""
    id, bytes_ = api.submit(JFK).id, JFK.read_bytes()
    world.run_store.claim(id, RUN_ID)
    key = upload_key(id.rpartition(".")[0])
    audio = StoredAudio(key, _sha256(JFK), len(bytes_), 11.0, "flac", "flac", 16_000, 1)
    world.run_store.audio_stored(id, RUN_ID, MediaInfo(title="jfk"), audio)
    calls: list[tuple[int, int | None]] = []
    line.requests.clear()
    line.cut_after = [100_000, 50_000]
    api.audio(id, tmp_path / "out.flac", on_progress=lambda *now: calls.append(now))

    assert (tmp_path / "out.flac").read_bytes() == bytes_
    assert [each.headers.get("Range") for each in line.requests] == [
        None,
        "bytes=100000-",
        "bytes=150000-",
    ]
    assert [path.name for path in tmp_path.glob("out*")] == ["out.flac"]
    assert calls[-1] == (len(bytes_), len(bytes_))


@pytest.mark.long
def test_threads_share_a_client(api: Client, world: World) -> None:
    """Twenty threads use one client at once."""
    failures: list[str] = []

    def ask(n: int) -> None:
        try:
            api.get(api.submit(f"https://youtu.be/{n:011}").id)
        except Exception:
            failures.append(traceback.format_exc())

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and requests_of(world) == 20


@pytest.mark.long
def test_it_needs_neither_a_database_nor_dagster() -> None:
    """The client imports fast and without the server's packages."""
    program = """
import sys, ytcaption.client.client
print(sorted({"dagster", "psycopg", "fastapi", "duckdb", "numpy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.long
def test_search(api: Client, request_store: RequestStore) -> None:
    """One page with its counts, and all media one after the other."""
    for number in range(12):
        add_said(request_store, f"n{number}", *SPOKEN, published=f"2026-11-{number + 1:02}")
    page = api.search_page("country", limit=2, sort="recency")
    assert [found.name for found in page.items] == ["n11", "n10"]
    assert (page.media_count, page.hit_count, page.is_complete) == (12, 24, True)
    assert page.facets is not None
    assert page.facets["months"] == [{"month": "2026-11", "media_count": 12, "hit_count": 24}]
    [hit, _] = page.items[0].hits
    assert hit.text[slice(*hit.marks[0])] == "country"
    assert hit.media_url == "https://example.org/n11.mp3#t=0"

    wanted = {"sort": "time", "hits": 1, "published_from": date(2026, 11, 3)}
    found = list(api.search('"your country can"', **wanted))
    assert [each.name for each in found] == [f"n{number}" for number in range(2, 12)]
    assert all(len(each.hits) == 1 for each in found)
