"""The web page and the API documentation, in a browser."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from resources.auth import api_key_cache
from resources.auth.api_keys import ApiKeys
from resources.object_store.store import document_key
from resources.sites.circuit_breaker import close_breaker, open_breaker
from resources.transcriptions.reads import get_transcription
from tests.api.conftest import RUN_ID, World
from tests.support.transcripts import transcript_of
from ytcaption.settings.settings import Settings

LINK = "https://youtu.be/dQw4w9WgXcQ"
FOREIGN_HOST = "evil.example"
"""A name of this machine in the browser only, for pages of another site."""

EVIL = "<img src=x onerror=document.title='owned'><b>bold</b>"


class Page:
    """A page in headless Chromium."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        driver.get(url)

    def find(self, id: str) -> Any:
        """Return the element of this id."""
        return self.driver.find_element(By.ID, id)

    def wait(self, holds: Callable[[], Any]) -> Any:
        """Return what `holds` returns, as soon as it is truthy."""
        return WebDriverWait(self.driver, 15).until(lambda _: holds())

    def text(self, id: str) -> str:
        """Return the element's text once it has some."""
        return self.wait(lambda: self.find(id).text)

    def errors(self) -> list[str]:
        """Return errors in the browser's console, including what the policy blocked."""
        return [
            line["message"] for line in self.driver.get_log("browser") if line["level"] == "SEVERE"
        ]


@pytest.fixture
def browser(tmp_path: Any) -> Iterator[webdriver.Chrome]:
    """Yield a headless Chromium that can reach only this machine."""
    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--host-resolver-rules=MAP {FOREIGN_HOST} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium") or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.mark.long
@pytest.mark.browser
def test_a_person_gets_captions_from_a_link(
    browser: webdriver.Chrome, server_url: str, world: World
) -> None:
    """Paste a link, see progress, search the transcript, find the downloads; titles stay text."""
    page = Page(browser, f"{server_url}/")
    page.wait(lambda: page.find("model").get_attribute("value") == "base")
    page.find("url").send_keys(LINK)
    page.find("send").click()
    assert page.text("step") == "Waiting in the queue"

    [due] = world.request_store.due(10)
    world.run_store.claim(due.id, RUN_ID)
    world.run_store.progress(due.id, RUN_ID, "transcription", 93.0, 212.0)
    page.wait(lambda: page.find("step").text == "Transcribing")
    assert page.text("numbers") == "1:33 of 3:32 · 43%"
    assert page.find("bar").get_attribute("aria-valuenow") == "44"

    transcript = transcript_of(due.id, ("Ask not.", f"Über {EVIL}", "For your country."))
    written = world.object_store.write_bytes(document_key(due.id), transcript.to_json())
    world.describe(due.id, title=EVIL)
    world.run_store.transcript_stored(
        due.id, RUN_ID, transcript, document_key(due.id), written.sha256
    )
    world.run_store.complete(due.id, RUN_ID)
    page.wait(lambda: len(page.find("segments").find_elements(By.TAG_NAME, "li")) == 3)

    page.wait(lambda: page.find("badge").text == "completed")
    assert page.find("work-title").text == EVIL
    assert page.find("segments").find_elements(By.TAG_NAME, "b") == []
    links = page.wait(lambda: page.find("downloads").find_elements(By.TAG_NAME, "a"))
    assert [link.text for link in links] == ["SRT", "VTT", "TXT", "JSON", "TSV", "ASS", "MD"]
    assert links[0].get_attribute("href").endswith(f"/{due.id}/result?format=srt&download=true")
    page.find("filter").send_keys("uber")
    assert page.text("found") == "1 of 3"
    assert page.find("segments").find_element(By.TAG_NAME, "mark").text == "Über"
    assert browser.title == f"{EVIL} – ytcaption"
    assert page.errors() == []


@pytest.mark.slow
@pytest.mark.browser
def test_the_history_is_shown(browser: webdriver.Chrome, server_url: str, world: World) -> None:
    """With its times, on demand, and updated."""
    id = world.running()
    page = Page(browser, f"{server_url}/#{id}")
    page.text("step")

    def shown_events() -> list[str]:
        spans = "document.querySelectorAll('#timeline span')"
        return browser.execute_script(f"return [...{spans}].map((each) => each.innerText)")

    assert shown_events() == []
    page.find("history").find_element(By.TAG_NAME, "summary").click()
    page.wait(lambda: shown_events() == ["Created", "Requested", "Queued", "Started"])
    world.run_store.progress(id, RUN_ID, "transcription", 93.0, 212.0, is_milestone=True)
    world.run_store.fail(id, RUN_ID, "media_private", "It is private.", False, 4)
    page.wait(lambda: shown_events()[-2:] == ["Transcribed 43%", "Failed: media_private"])
    [first, *_] = page.find("timeline").find_elements(By.TAG_NAME, "time")
    created_at = get_transcription(world.request_store.postgres, id).created_at.isoformat(
        timespec="microseconds"
    )
    assert first.get_attribute("datetime") == created_at.replace("+00:00", "Z")
    assert page.errors() == []


@pytest.mark.slow
@pytest.mark.browser
def test_waiting_for_a_site_is_explained(
    browser: webdriver.Chrome, server_url: str, world: World
) -> None:
    """Instead of the position in the queue; later the progress is shown."""
    open_breaker(world.request_store.postgres, "youtube.com", "", "local")
    page = Page(browser, f"{server_url}/")
    page.wait(lambda: page.find("model").get_attribute("value") == "base")
    page.find("url").send_keys(LINK)
    page.find("send").click()
    assert page.text("step").startswith("An operator has stopped downloads from youtube.com.")
    close_breaker(world.request_store.postgres, "youtube.com", "local")
    [due] = world.request_store.due(10)
    world.run_store.claim(due.id, RUN_ID)
    world.run_store.progress(due.id, RUN_ID, "audio_download", 1, 2)
    page.wait(lambda: page.find("step").text == "Downloading")


@pytest.mark.slow
@pytest.mark.browser
def test_a_link_that_is_refused_says_why(browser: webdriver.Chrome, server_url: str) -> None:
    """The problem's detail is shown beside the field."""
    page = Page(browser, f"{server_url}/")
    page.find("url").send_keys("https://www.youtube.com/playlist?list=PLx")
    page.find("send").click()

    assert "channel, playlist or search" in page.text("ask-error")


@pytest.mark.long
@pytest.mark.browser
def test_a_failure_is_shown_and_can_be_retried(
    browser: webdriver.Chrome, server_url: str, world: World
) -> None:
    """The page shows the reason, and a button that requests it again."""
    page = Page(browser, f"{server_url}/#{world.failed()}")
    assert page.text("failure") == "The video is private."

    page.find("again").click()

    assert page.text("step") == "Waiting in the queue"


@pytest.mark.long
@pytest.mark.browser
def test_the_page_asks_for_a_key(
    browser: webdriver.Chrome, server_url: str, world: World, settings: Settings, tmp_path: Path
) -> None:
    """Once keys exist: a wrong one is refused, a right one opens the page and its downloads, and it
    is stored in this tab only."""
    keys = ApiKeys.from_settings(settings)
    key = keys.create("reader", ["admin"]).token
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    time.sleep(api_key_cache.STALE_S)  # the server notices the first key
    page = Page(browser, f"{server_url}/#{world.completed(title='Ask not')}")
    page.wait(lambda: page.find("sign-in").is_displayed())
    page.find("key").send_keys("ytc_wrong\n")
    assert "not valid here" in page.text("key-error")
    assert not page.find("forget-key").is_displayed()

    page.find("key").send_keys(f"{key}\n")
    page.wait(lambda: page.find("segments").find_elements(By.TAG_NAME, "li"))
    assert not page.find("sign-in").is_displayed()
    assert page.find("model").get_attribute("value") == "base"
    page.find("downloads").find_elements(By.TAG_NAME, "a")[0].click()
    page.wait(lambda: (tmp_path / "Ask not.srt").exists())
    assert "ask not" in (tmp_path / "Ask not.srt").read_text()
    stored = (
        "return [JSON.stringify(sessionStorage), JSON.stringify(localStorage), document.cookie]"
    )
    session, *elsewhere = browser.execute_script(stored)
    assert key in session
    assert key not in f"{elsewhere} {browser.current_url} {browser.page_source}"
    assert "Ask not" in session and "Ask not" not in f"{elsewhere}"

    page.find("forget-key").click()
    page.wait(lambda: page.find("sign-in").is_displayed())
    assert "Ask not" not in str(browser.execute_script(stored))
    assert key not in browser.execute_script(stored)[0]


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_fits_a_phone(browser: webdriver.Chrome, server_url: str, world: World) -> None:
    """Nothing is wider than the screen."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True},
    )
    page = Page(browser, f"{server_url}/#{world.completed(title='x' * 200, spoken=('y' * 300,))}")
    page.wait(lambda: page.find("segments").find_elements(By.TAG_NAME, "li"))

    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360


@pytest.mark.slow
@pytest.mark.browser
def test_the_documentation_needs_no_other_server(
    browser: webdriver.Chrome, server_url: str
) -> None:
    """Swagger UI draws every operation from local files, and the policy blocks none of it."""
    page = Page(browser, f"{server_url}/docs")

    document = httpx.get(f"{server_url}/openapi.json").json()
    drawn = [*document["paths"].values(), *document["webhooks"].values()]
    count = sum(len(item) for item in drawn)
    page.wait(lambda: len(browser.find_elements(By.CLASS_NAME, "opblock")) == count)
    assert page.errors() == []


@pytest.mark.long
def test_pages_have_their_policy_and_load_local_files_only(client: TestClient) -> None:
    """No inline script, no other server, and every referenced file exists."""
    for path in ("/", "/channels", "/docs"):
        answer = client.get(path)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "<script>" not in answer.text
        assert "style=" not in answer.text
        named = [part.partition('"')[0] for part in answer.text.split('src="')[1:]]
        named += [part.partition('"')[0] for part in answer.text.split('href="')[1:]]
        for address in named:
            assert address.startswith("/"), address
            assert client.get(address).status_code == 200, address
    assert "unsafe" not in client.get("/").headers["Content-Security-Policy"]


@pytest.mark.long
def test_a_new_version_of_a_page_is_seen_at_once(client: TestClient) -> None:
    """Files are revalidated and answered with 304."""
    first = client.get("/pages/app.js")
    again = client.get("/pages/app.js", headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == "no-cache"
    assert again.status_code == 304
