"""`GET /api/v1/search`."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from selenium import webdriver
from selenium.webdriver.common.by import By

from resources.embeddings.backlog import embed_waiting
from resources.embeddings.embedder import embedder_of
from resources.embeddings.store import EmbeddingStore
from resources.object_store.store import ObjectStore, document_key
from resources.search import keyword as search_keyword
from resources.transcriptions.store import RequestStore
from resources.worker.embedder import WorkerEmbedder
from tests.api.conftest import Start, World
from tests.api.keys import Keys
from tests.api.pages.test_routes import EVIL, Page, browser  # noqa: F401 - a fixture
from tests.support.embedding import TOY, ToyEmbedder
from tests.support.embedding_child import TOPICS
from tests.support.library import add_said
from tests.support.servers.embedding_worker import embedding_worker
from tests.support.transcripts import SPOKEN, transcript_of
from ytcaption.settings.settings import Settings

PATH = "/api/v1/search"


def search(client: TestClient, q: str, **query: Any) -> dict[str, Any]:
    """Return the first page of results."""
    answer = client.get(PATH, params={"q": q} | query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_hit_has_its_marks_its_context_and_its_links(client: TestClient, world: World) -> None:
    """Marks count code points; adjacent segments; the video and the web page at that second."""
    id = world.completed(spoken=("🎓 first of all", "Ask not what your country", "can do"))
    body = search(client, "country")
    [media] = body["items"]
    assert media["transcription_id"] == id
    assert (media["title"], media["channel"], media["source"]) == ("Ask not", "JFK Library", "asr")
    assert media["hit_count"] == body["hit_count"] == body["media_count"] == 1
    [hit] = media["hits"]
    assert [hit["text"][start:end] for start, end in hit["marks"]] == ["country"]
    assert hit["before"]["text"] == "🎓 first of all"
    assert hit["after"] == {"start_s": 10.0, "end_s": 15.0, "text": "can do"}
    assert hit["page_url"] == f"/#{id}&t=5"
    assert hit["media_url"] == "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=5s"
    assert client.get(media["result_url"]).status_code == 200
    assert body["facets"]["channels"][0]["channel"] == "JFK Library"
    assert body["next_url"] is None and body["is_complete"] and body["notes"] == []


def test_pages_are_complete(client: TestClient, request_store: RequestStore) -> None:
    """With the same filters, each media item once, whatever is added meanwhile."""
    for number in range(1, 6):
        add_said(request_store, f"n{number}", "some words", published=f"2026-0{number}-01")
    seen, url = [], f"{PATH}?q=words&sort=time&limit=2&from=2026-02-01"
    while url:
        answer = client.get(url)
        body = answer.json()
        seen += [media["title"] for media in body["items"]]
        url = body["next_url"]
        assert answer.headers.get("Link") == (f'<{url}>; rel="next"' if url else None)
        add_said(request_store, f"later{len(seen)}", "some words", published="2026-01-01")
    assert seen == ["n2", "n3", "n4", "n5"]


@pytest.mark.parametrize(
    "cursor", ["x", "bm8", "WyJyZWNlbmN5IiwgMC4wLCAwLCAiYSJd", "A" * 300, "é", "W251bGxd"]
)
def test_a_bad_cursor_is_refused(client: TestClient, cursor: str) -> None:
    """A cursor of another order is refused, too."""
    answer = client.get(PATH, params={"q": "words", "cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    ("q", "code"),
    [
        ("", "invalid_search"),
        ("-this", "invalid_search"),
        ('"" * !', "invalid_search"),
        ("word " * 21, "invalid_search"),
        ("x" * 10_000, "invalid_request"),
        ("a\x00b", "invalid_request"),
    ],
)
def test_a_search_for_nothing_is_422(client: TestClient, q: str, code: str) -> None:
    """The detail says what to do."""
    answer = client.get(PATH, params={"q": q})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert "." in answer.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"sort": "size"},
        {"mode": "magic"},
        {"limit": "0"},
        {"limit": "51"},
        {"hits": "21"},
        {"from": "yesterday"},
        {"source": "hearsay"},
        {"channel": "x" * 201},
    ],
)
def test_a_wrong_parameter_is_422(client: TestClient, query: dict[str, str]) -> None:
    """And so is a missing `q`."""
    answer = client.get(PATH, params=query | ({"q": "word"} if query else {}))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(("parameter", "most"), [("q", 500), ("channel", 200)])
def test_a_text_that_is_too_long_is_refused_with_its_limit(
    client: TestClient, parameter: str, most: int
) -> None:
    """The limit is stated in characters."""
    answer = client.get(PATH, params={"q": "word"} | {parameter: "x" * 10_000})
    assert f"Text should have at most {most} characters" in answer.json()["detail"]


def test_a_mode_that_is_not_installed_says_what_to_install(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status is 422, and the search by words still works."""
    monkeypatch.setattr("resources.embeddings.embedder.is_installed", lambda: False)
    embedder_of.cache_clear()
    world.completed()
    for mode in ("semantic", "hybrid"):
        answer = client.get(PATH, params={"q": "country", "mode": mode})
        assert (answer.status_code, answer.json()["code"]) == (422, "semantic_unavailable")
        assert "Install ytcaption[semantic]" in answer.json()["detail"]
    assert search(client, "country", mode="keyword")["items"]


@pytest.mark.long
def test_pages_by_meaning_are_complete(
    client: TestClient, request_store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each media item once; a cursor of one mode is not valid in another."""
    toy = ToyEmbedder({"dog": (1, 0, 0), "puppy": (0.9, 0.1, 0)})
    monkeypatch.setattr(WorkerEmbedder, "encode", lambda _, texts, wait_s: toy.encode(texts))
    for number in range(1, 5):
        add_said(request_store, f"n{number}", "a puppy", published=f"2026-0{number}-01")
    list(embed_waiting(EmbeddingStore(request_store.postgres), toy))
    seen, url = [], f"{PATH}?q=dog&mode=semantic&sort=time&limit=2"
    cursor = client.get(url).json()["next_cursor"]
    while url:
        body = client.get(url).json()
        seen += [media["title"] for media in body["items"]]
        url = body["next_url"]
    assert seen == ["n1", "n2", "n3", "n4"]
    for query in ({"mode": "hybrid", "sort": "time"}, {"sort": "time"}, {"mode": "semantic"}):
        answer = client.get(PATH, params={"q": "dog", "cursor": cursor} | query)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.slow
def test_a_worker_embeds_the_query(
    start: Start, settings: Settings, request_store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API does not need the extra; without the worker it says so."""
    monkeypatch.setattr("resources.embeddings.embedder.is_installed", lambda: False)
    client = start(embedding_model=TOY.name)
    for name, said in (("dog", "a puppy"), ("sea", "the sea")):
        add_said(request_store, name, said)
    list(embed_waiting(EmbeddingStore(request_store.postgres), ToyEmbedder(TOPICS)))
    with embedding_worker(settings.changed(embedding_model=TOY.name)):
        for mode in ("semantic", "hybrid"):
            titles = [item["title"] for item in search(client, "dog", mode=mode)["items"]]
            assert titles == ["dog", "sea"]
    answer = client.get(PATH, params={"q": "another", "mode": "semantic"})
    assert (answer.status_code, answer.json()["code"]) == (422, "semantic_unavailable")


def test_stop_words_and_open_quotes_find_nothing_with_a_note(
    client: TestClient, world: World
) -> None:
    """The response is an empty page with the reason, not an error."""
    world.completed()
    assert "too common" in search(client, "the")["notes"][0]
    assert search(client, '"your country')["media_count"] == 1


def test_callers_find_their_own(
    keys: Keys, client: TestClient, request_store: RequestStore
) -> None:
    """Nothing without a key; an admin finds everything."""
    add_said(request_store, "hers", "some words", owner=keys.owner("anna"))
    add_said(request_store, "his", "some words", owner=keys.owner("bert"))
    assert client.get(PATH, params={"q": "words"}).status_code == 401

    def titles(name: str) -> list[str]:
        answer = client.get(PATH, params={"q": "words"}, headers=keys.header(name))
        return sorted(media["title"] for media in answer.json()["items"])

    assert titles("anna") == ["hers"]
    assert titles("bert") == ["his"]
    assert titles("admin") == ["hers", "his"]


def test_a_search_that_is_too_broad_is_422(
    client: TestClient, request_store: RequestStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time limit; the detail says what to do."""
    add_said(request_store, "one", *["words words"] * 400)
    monkeypatch.setattr(search_keyword, "TIMEOUT_MS", 1)
    answers = [client.get(PATH, params={"q": "wor*"}) for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {
        (422, "search_too_broad")
    }


@pytest.mark.long
@pytest.mark.browser
def test_a_person_finds_what_was_said(
    browser: webdriver.Chrome,
    server_url: str,
    world: World,
    object_store: ObjectStore,
) -> None:
    """Types words, sees them marked, opens the transcript at that second; texts stay text."""
    texts = (*(f"Line {number}." for number in range(60)), f"Über {EVIL} your country", *SPOKEN)
    id = world.completed(title=EVIL, spoken=texts)
    assert transcript_of(id, texts).segments[60].start_s == 300.0
    assert object_store.exists(document_key(id))
    page = Page(browser, f"{server_url}/")
    page.find("words").send_keys('"your country"\n')
    page.wait(lambda: page.find("found-title").text == "3 matches in 1 media item")
    box = page.find("found-list")
    assert box.find_element(By.CLASS_NAME, "found-title").text == EVIL
    assert box.find_elements(By.TAG_NAME, "b") == []
    assert box.find_element(By.TAG_NAME, "mark").text == "your country"
    link = box.find_element(By.CLASS_NAME, "source").get_attribute("href")
    assert link.endswith("watch?v=dQw4w9WgXcQ&t=300s")

    box.find_element(By.CLASS_NAME, "at").click()
    here = page.wait(lambda: browser.find_elements(By.CSS_SELECTOR, "#segments li.here .text"))
    assert here[0].text.endswith("your country")
    seen = "const at = document.querySelector('li.here').getBoundingClientRect(); return at.top"
    assert 0 < browser.execute_script(seen) < browser.execute_script("return innerHeight")

    page.find("words").clear()
    page.find("words").send_keys("-country\n")
    assert "only excludes words" in page.text("search-error")
    page.find("words").clear()
    page.find("words").send_keys("nowhere\n")
    page.wait(lambda: page.find("found-title").text == "No matches")
    assert [line for line in page.errors() if "422" not in line] == []
