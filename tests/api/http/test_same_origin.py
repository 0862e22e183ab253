"""No page of another site changes anything (CSRF), whether keys exist or not."""

import base64
import io
import json
import wave
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from selenium import webdriver

from tests.api.conftest import BASE_URL, Start, World
from tests.api.keys import Keys
from tests.api.pages.test_routes import FOREIGN_HOST, browser  # noqa: F401 - a fixture
from tests.api.uploads.bodies import UPLOADS
from tests.support.patience import wait_for
from tests.support.rows import recent_transcriptions
from tests.support.servers.foreign_site import foreign_site
from ytcaption.settings.settings import Settings

PATH = "/api/v1/transcriptions"
LINK = {"url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"}
SAFE = {"get", "head", "options"}

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-site"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
]
OWN = [{}, {"Origin": BASE_URL, "Sec-Fetch-Site": "same-origin"}]


def changing(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and description of each operation that may change something."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method not in SAFE:
                yield method, path.replace("{", "").replace("}", ""), operation


@pytest.mark.long
@pytest.mark.parametrize("key", ["none", "admin"])
def test_every_operation_refuses_pages_of_other_sites(
    key: str, settings: Settings, start: Start, world: World
) -> None:
    """Each that the document lists, before anything else is said of the request."""
    header = Keys(settings).header("admin") if key == "admin" else {}
    client = start()
    operations = list(changing(client.get("/openapi.json").json()))
    assert len(operations) > 30
    for method, path, operation in operations:
        for foreign in FOREIGN:
            answer = client.request(method, path, headers=header | foreign, json=LINK)
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_origin_refused"), (
                method,
                path,
                foreign,
            )
        for own in OWN:
            answer = client.request(method, path, headers=header | own, content=b"{")
            assert answer.json().get("code") != "cross_origin_refused", (method, path, own)
        examples = operation["responses"]["403"]["content"]["application/problem+json"]["examples"]
        assert "cross_origin_refused" in examples
    assert recent_transcriptions(world.request_store.postgres) == []


@pytest.mark.long
def test_get_changes_nothing(client: TestClient) -> None:
    """A link to an operation that changes something is 404 or 405."""
    document = client.get("/openapi.json").json()
    safe = {path for path, item in document["paths"].items() if "get" in item}
    for _, path, _ in changing(document):
        if path not in {each.replace("{", "").replace("}", "") for each in safe}:
            assert client.get(path).status_code in (404, 405), path


def test_pages_of_listed_origins_may_change_something(start: Start) -> None:
    """The origins of CORS, and the API's own address for others."""
    client = start(
        cors_origins=("https://app.example",), public_url="https://captions.example/base"
    )
    for origin in ("https://app.example", "https://captions.example"):
        headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        assert client.post(PATH, json=LINK, headers=headers).status_code == 202
    headers = {"Origin": "https://other.example"}
    assert client.post(PATH, json=LINK, headers=headers).status_code == 403
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "PATCH"}
    assert client.options(f"{PATH}/x", headers=preflight).status_code == 200


def test_behind_a_proxy_that_replaces_the_host(client: TestClient) -> None:
    """The browser's own verdict counts: the page works without a further setting."""
    headers = {"Origin": "https://captions.example", "Sec-Fetch-Site": "same-origin"}
    assert client.post(PATH, json=LINK, headers=headers).status_code == 202


def a_second() -> str:
    """Return a second of silence as WAV, in base64."""
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(16_000)
        audio.writeframes(bytes(32_000))
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def foreign_pages(browser: webdriver.Chrome) -> Iterator[Callable[[str], list[str]]]:
    """Run a script on a page of another site and on one of another port; return the results."""
    with foreign_site() as port:

        def run(script: str) -> list[str]:
            results = []
            for host in (FOREIGN_HOST, "127.0.0.1"):
                browser.get(f"http://{host}:{port}/")
                results.append(browser.execute_async_script(script))
            return results

        yield run


@pytest.mark.slow
@pytest.mark.browser
def test_a_foreign_page_in_a_browser_stores_nothing(
    foreign_pages: Callable[[str], list[str]], server_url: str, world: World
) -> None:
    """Chromium sends multipart uploads and posts without a body unasked; none is accepted."""
    failed = world.failed()
    retry = f"{server_url}{PATH}/{failed}/retry"
    script = f"""
        const done = arguments[arguments.length - 1];
        const form = new FormData();
        const audio = Uint8Array.from(atob({json.dumps(a_second())}), (char) => char.charCodeAt(0));
        form.append("file", new Blob([audio]), "a.wav");
        const send = (url, body) =>
            fetch(url, {{method: "POST", mode: "no-cors", body}}).then(() => "sent", () => "sent");
        Promise.all([
            send({json.dumps(server_url + UPLOADS)}, form),
            send({json.dumps(retry)}, null),
        ]).then((results) => done(results.join()));
    """
    before = len(recent_transcriptions(world.request_store.postgres))
    assert foreign_pages(script) == ["sent,sent", "sent,sent"]
    wait_for(lambda: httpx.get(f"{server_url}/healthz").status_code == 200)
    assert len(recent_transcriptions(world.request_store.postgres)) == before
    assert httpx.get(f"{server_url}{PATH}/{failed}").json()["status"] == "failed"
