"""`GET /api/v1/analytics`, its views and queries: their answers, formats and access."""

import contextlib
import csv
import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from api.analytics import service as analytics
from resources.lake.catalog import TranscriptCatalog
from resources.lake.views import VIEWS
from resources.transcriptions.store import RequestStore
from tests.api.conftest import Start, serving
from tests.api.keys import Keys
from tests.support.lake_documents import ACCURACY, make_document
from tests.support.patience import wait_for
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings

PATH = "/api/v1/analytics"
NEEDED = {"term_trend": {"terms": "anna1"}, "first_mentions": {"term": "hello"}}


@pytest.fixture
def add_media(settings: Settings, request_store: RequestStore) -> Callable[..., None]:
    """Return a function that requests a media item and stores it in the lake."""
    catalog = TranscriptCatalog.from_settings(settings)

    def add_media(owner: str, name: str, title: str | None = None) -> None:
        document = make_document(name, text=name, title=title)
        request_store.submit(document[1], TranscriptionOptions("base"), owner=owner)
        catalog.append(*document, accuracy=ACCURACY)

    return add_media


def terms(client: TestClient, **headers: str) -> set[str]:
    """Return all words of a caller's library."""
    found = client.get(f"{PATH}/top_terms", params={"limit": 1_000}, headers=headers)
    assert found.status_code == 200, found.text
    return {row["term"].rstrip("0123456789") for row in found.json()["rows"]}


@pytest.mark.slow
def test_every_view_is_listed_and_answers(add_media, client: TestClient):
    """With the columns and types of the list."""
    add_media("local", "hello")
    listed = {view["name"]: view for view in client.get(PATH).json()["views"]}
    assert listed.keys() == VIEWS.keys()
    for name, view in listed.items():
        answer = client.get(view["url"], params=NEEDED.get(name, {}))
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert said["columns"] == [
            {"name": column["name"], "type": column["type"]} for column in view["columns"]
        ]
        assert name in ("model_speed", "processing_delay") or said["rows"]


@pytest.mark.slow
def test_callers_see_what_they_have_requested(
    add_media, keys: Keys, start: Start, settings: Settings
):
    """Also if others' rows are in the same files; an admin sees everything."""
    for name in ("anna", "bert"):
        add_media(keys.owner(name), name)
    add_media(keys.owner("anna"), "both")
    add_media(keys.owner("bert"), "both")
    client = start()
    for _ in range(2):
        assert terms(client, **keys.header("anna")) == {"anna", "both"}
        assert terms(client, **keys.header("bert")) == {"bert", "both"}
        assert terms(client, **keys.header("clara")) == set()
        assert terms(client, **keys.header("admin")) == {"anna", "bert", "both"}
        TranscriptCatalog.from_settings(settings).compact()  # one file for all


@pytest.mark.slow
def test_files_that_a_query_gets_hold_no_others_rows(add_media, keys: Keys, settings: Settings):
    """Not even SQL that reads the files directly sees them."""
    add_media(keys.owner("anna"), "anna")
    add_media(keys.owner("bert"), "bert")
    catalog = TranscriptCatalog.from_settings(settings)
    catalog.compact()
    files = catalog._files_of(keys.owner("anna"))
    for table, listed in files.items():
        assert listed, table
        for file in listed:
            rows = pq.read_table(file.path)
            assert set(rows["media_id"].to_pylist()) == {"youtube-anna"}, table


@pytest.mark.slow
def test_copies_are_erased_with_their_source(add_media, keys: Keys, settings: Settings):
    """Erasing leaves no byte in a caller's copies."""
    add_media(keys.owner("anna"), "anna")
    add_media(keys.owner("bert"), "bert")
    catalog = TranscriptCatalog.from_settings(settings)
    catalog.compact()
    catalog.query("select 1", owner=keys.owner("anna"))
    copies = settings.home / "cache" / "lake-shares"
    assert len(list(copies.iterdir())) == 5
    catalog.erase(make_document("anna")[0].id)
    assert list(copies.iterdir()) == []


@pytest.mark.slow
def test_results_come_as_csv_parquet_and_arrow(add_media, client: TestClient):
    """By `format` or by `Accept`; a title that is a formula is text in CSV."""
    add_media("local", "hello", title="=1+1")
    given = {"term": "hello"}

    as_csv = client.get(f"{PATH}/first_mentions", params=given | {"format": "csv"})
    [row] = csv.DictReader(io.StringIO(as_csv.text))
    assert (row["channel"], row["title"], row["start_s"]) == ("A channel", "'=1+1", "0.0")
    assert as_csv.headers["content-disposition"] == 'attachment; filename="first_mentions.csv"'

    parquet = client.get(f"{PATH}/first_mentions", params=given | {"format": "parquet"})
    assert pq.read_table(io.BytesIO(parquet.content))["title"].to_pylist() == ["=1+1"]

    arrow = client.get(
        f"{PATH}/first_mentions",
        params=given,
        headers={"Accept": "application/vnd.apache.arrow.stream;q=1, */*"},
    )
    with pa.ipc.open_stream(arrow.content) as stream:
        assert stream.read_all()["title"].to_pylist() == ["=1+1"]


@pytest.mark.slow
def test_truncation_is_reported(add_media, client: TestClient):
    """In the body, and in a header for formats that cannot hold it."""
    add_media("local", "hello")
    answer = client.get(f"{PATH}/top_terms", params={"limit": 3})
    assert len(answer.json()["rows"]) == 3
    assert answer.json()["is_truncated"]
    assert answer.headers["x-truncated"] == "true"
    assert client.get(f"{PATH}/growth").headers["x-truncated"] == "false"


@pytest.mark.parametrize(
    ("path", "status", "code", "words"),
    [
        ("/nothing", 404, "view_not_found", "The views are: growth"),
        ("/growth?colour=red", 422, "invalid_option", "Its parameters: since, until"),
        ("/growth?since=yesterday", 422, "invalid_option", "a date such as"),
        ("/growth?since=2026-01-01&since=2026-01-02", 422, "invalid_option", "once"),
        ("/term_trend", 422, "invalid_option", "The parameter terms is required"),
        ("/top_terms?n=4", 422, "invalid_option", "n must be 1 to 3"),
        ("/top_terms?n=two", 422, "invalid_option", "a whole number"),
        ("/model_speed?cost_per_hour=nan", 422, "invalid_option", "at least 0"),
        ("/growth?format=xlsx", 422, "invalid_request", "format"),
        ("/growth?limit=0", 422, "invalid_request", "limit"),
        ("/first_mentions?term=a%00b", 422, "invalid_option", "must be a text"),
    ],
)
def test_wrong_parameters_are_explained(
    client: TestClient, path: str, status: int, code: str, words: str
):
    """The detail says what would be right."""
    answer = client.get(PATH + path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert words in answer.json()["detail"]


@pytest.mark.slow
@pytest.mark.parametrize("term", ["'; drop table words; --", "%", "_", "' or 1=1 --", "\\"])
def test_values_are_values(add_media, client: TestClient, term: str):
    """No part of a parameter is read as SQL or as a pattern."""
    add_media("local", "hello")
    answer = client.get(f"{PATH}/first_mentions", params={"term": term})
    assert (answer.status_code, answer.json()["rows"]) == (200, [])


@pytest.mark.slow
def test_one_caller_leaves_room_for_others(
    keys: Keys, start: Start, monkeypatch: pytest.MonkeyPatch
):
    """A second query of the same caller is refused; another caller's is answered."""
    requested, answered = threading.Event(), threading.Event()
    query = TranscriptCatalog.view

    def slow(self: TranscriptCatalog, *args, **values):
        if not requested.is_set():
            requested.set()
            assert answered.wait(60)
        return query(self, *args, **values)

    monkeypatch.setattr(TranscriptCatalog, "view", slow)
    client = start()
    first = threading.Thread(
        target=client.get, args=(f"{PATH}/growth",), kwargs={"headers": keys.header("anna")}
    )
    first.start()
    try:
        assert requested.wait(60)
        refused = client.get(f"{PATH}/growth", headers=keys.header("anna"))
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == "5"
        assert client.get(f"{PATH}/growth", headers=keys.header("bert")).status_code == 200
    finally:
        answered.set()
        first.join()
    assert client.get(f"{PATH}/growth", headers=keys.header("anna")).status_code == 200


@pytest.mark.long
def test_views_need_the_scope_read(keys: Keys, start: Start):
    """Every route that reads needs this scope."""
    client = start()
    assert client.get(PATH).status_code == 401
    assert client.get(f"{PATH}/growth", headers=keys.header("reader")).status_code == 200


def query(client: TestClient, sql: str, headers: dict[str, str] | None = None, **values: object):
    """Return the response to a SELECT."""
    return client.post(f"{PATH}/query", json={"sql": sql, **values}, headers=headers)


@pytest.mark.slow
def test_a_query_is_answered_in_every_format(add_media, client: TestClient):
    """Like a view: JSON, CSV, Parquet, an Arrow stream; values are bound."""
    add_media("local", "hello", title="=1+1")
    sql = "select title, $n::int as n from media"
    said = query(client, sql, parameters={"n": 3}).json()
    assert said["columns"] == [
        {"name": "title", "type": "VARCHAR"},
        {"name": "n", "type": "INTEGER"},
    ]
    assert said["rows"] == [{"title": "=1+1", "n": 3}]
    body = {"sql": sql, "parameters": {"n": 3}}
    as_csv = client.post(f"{PATH}/query?format=csv", json=body)
    assert as_csv.text == "title,n\n'=1+1,3\n"
    parquet = client.post(f"{PATH}/query?format=parquet", json=body)
    assert pq.read_table(io.BytesIO(parquet.content)).to_pylist() == [{"title": "=1+1", "n": 3}]
    arrow = client.post(f"{PATH}/query?format=arrow", json=body)
    with pa.ipc.open_stream(arrow.content) as stream:
        assert stream.read_all().num_rows == 1
    assert "query.arrow" in arrow.headers["content-disposition"]


@pytest.mark.long
def test_a_query_sees_what_its_caller_has_requested(add_media, keys: Keys, start: Start):
    """In every table, whatever the SQL; an admin sees everything."""
    add_media(keys.owner("anna"), "anna")
    add_media(keys.owner("bert"), "bert")
    client = start()
    for table in ("transcripts", "segments", "words", "media", "library"):
        sql = f"select distinct media_id from {table}"
        for header, media in (
            (keys.header("anna"), ["anna"]),
            (keys.header("bert"), ["bert"]),
            (keys.header("admin"), ["anna", "bert"]),
        ):
            rows = query(client, sql, header).json()["rows"]
            assert sorted(row["media_id"] for row in rows) == [f"youtube-{name}" for name in media]
    assert query(client, "from media", keys.header("clara")).json()["rows"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"sql": "drop table words"}, "query_error", "Only a single SELECT"),
        ({"sql": "select 1; select 2"}, "query_error", "Only a single SELECT"),
        ({"sql": "from nowhere"}, "query_error", "nowhere does not exist"),
        ({"sql": "select * from read_text('/etc/passwd')"}, "query_error", "disabled"),
        ({"sql": "select $a"}, "query_error", "a"),
        ({"sql": "select 1", "parameters": {"a": 1}}, "query_error", "a"),
        ({"sql": "select 1 as a, 2 as a"}, "query_error", "same name"),
        ({"sql": ""}, "invalid_request", "sql"),
        ({"sql": "select 1", "limit": 1}, "invalid_request", "limit"),
        ({"sql": "select 1", "parameters": {"a": [1]}}, "invalid_request", "parameters"),
        ({}, "invalid_request", "sql"),
    ],
)
def test_a_wrong_query_is_explained(client: TestClient, body: dict, code: str, words: str):
    """The detail is a sentence without a path or a traceback."""
    answer = client.post(f"{PATH}/query", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert words in answer.json()["detail"]
    assert "/home" not in answer.json()["detail"]


@pytest.mark.slow
def test_queries_have_as_many_slots_as_the_settings_say(
    keys: Keys, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """One caller leaves a slot to others; without a free one the response says when to retry."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setattr(analytics, "WAIT_S", 0.5)
    few = settings.changed(query_timeout_s=60.0, query_slots=2)
    with (
        serving(few) as url,
        httpx.Client(base_url=url, timeout=120) as client,
        ThreadPoolExecutor(2) as pool,
    ):

        def run_query(sql: str, header: dict[str, str]) -> httpx.Response:
            return client.post(f"{PATH}/query", json={"sql": sql}, headers=header)

        first = pool.submit(run_query, ENDLESS, keys.header("anna"))
        wait_for(lambda: len(query_processes()) == 1)
        again = run_query("select 1", keys.header("anna"))
        assert (again.status_code, again.json()["code"]) == (429, "rate_limited")
        second = pool.submit(run_query, ENDLESS, keys.header("bert"))
        wait_for(lambda: len(query_processes()) == 2)
        other = run_query("select 1", keys.header("reader"))
        assert other.status_code == 429 and int(other.headers["retry-after"]) >= 1
        for process in query_processes():
            process.kill()
        assert first.result().status_code == second.result().status_code == 422
        assert run_query("select 1 as n", keys.header("anna")).json()["rows"] == [{"n": 1}]


ENDLESS = "select count(*) from range(100000000000) a, range(100000) b"


@pytest.mark.slow
def test_a_query_ends_when_its_client_disconnects(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """Its process is killed long before its time limit, and its slot is free again."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    slow = settings.changed(query_timeout_s=60.0, query_slots=1)
    with serving(slow) as url, httpx.Client(base_url=url) as client:
        client.post(f"{PATH}/query", json={"sql": "select 1"}, timeout=60)  # all is loaded
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"{PATH}/query", json={"sql": ENDLESS}, timeout=1.5)
        wait_for(lambda: not query_processes())
        body = {"sql": "select 1"}
        wait_for(lambda: client.post(f"{PATH}/query", json=body, timeout=60).status_code == 200)


def query_processes() -> list[psutil.Process]:
    """Return the running query processes."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "query_child.py" in " ".join(each.cmdline()):
                found.append(each)
    return found
