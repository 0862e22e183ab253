"""Events in a browser: its EventSource, and the web page that shows the text while it is
transcribed."""

import time
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from resources.auth.api_keys import ApiKeys
from tests.api.conftest import RUN_ID, World, serving
from tests.api.pages.test_routes import Page, browser  # noqa: F401 - a fixture
from tests.support.servers.live_api import (
    TEXTS,
    FakeRun,
)
from ytcaption.settings.settings import Settings

pytestmark = pytest.mark.browser

PATH = "/api/v1/transcriptions"
ALL = list(range(len(TEXTS)))

_WATCH = """
window.events = [];
window.source = new EventSource(arguments[0]);
for (const name of ["state", "progress", "segment", "reset", "completed"])
  window.source.addEventListener(name, (event) => {
    window.events.push([name, JSON.parse(event.data)]);
  });
"""


def shown(page: Page) -> list[str]:
    return [item.text for item in page.driver.find_elements(By.CSS_SELECTOR, "#segments .text")]


@pytest.mark.slow
def test_event_source_resumes_at_the_next_server(
    browser: webdriver.Chrome,
    settings: Settings,
    world: World,
) -> None:
    """The server is replaced in between: the browser reconnects with its Last-Event-ID, misses
    nothing, gets nothing twice, and stays away after the end."""
    id = world.running()
    fake_run = FakeRun(world, id)

    def indexes() -> list[int]:
        events = browser.execute_script("return window.events")
        return [data["index"] for name, data in events if name == "segment"]

    with serving(settings) as url:
        page = Page(browser, f"{url}/docs")
        browser.execute_script(_WATCH, f"{PATH}/{id}/events")
        fake_run.draft(0, 3)
        page.wait(lambda: indexes() == [0, 1, 2])
    fake_run.draft(3, 5)
    with serving(settings, port=urlsplit(url).port or 0):
        page.wait(lambda: indexes() == [0, 1, 2, 3, 4])
        fake_run.store_text()
        fake_run.complete()
        page.wait(lambda: browser.execute_script("return window.source.readyState") == 2)
        events = browser.execute_script("return window.events")
    assert indexes() == ALL
    assert [data["text"] for name, data in events if name == "segment"] == list(TEXTS)
    assert [name for name, _ in events].count("completed") == 1


@pytest.mark.slow
@pytest.mark.parametrize("with_key", [False, True])
def test_the_page_shows_the_text_while_it_is_transcribed(
    browser: webdriver.Chrome,
    settings: Settings,
    world: World,
    with_key: bool,
) -> None:
    """Segment by segment, discarded by a new attempt, then the result with its downloads."""
    key = ApiKeys.from_settings(settings).create("reader", ["admin"]).token if with_key else ""
    id = world.running()
    with serving(settings) as url:
        page = Page(browser, f"{url}/#{id}")
        if with_key:
            page.wait(lambda: page.find("sign-in").is_displayed())
            page.find("key").send_keys(f"{key}\n")
        page.wait(lambda: page.find("step").text == "Starting")
        world.run_store.progress(id, RUN_ID, "transcription", 3.0, 12.0)
        page.wait(lambda: page.find("numbers").text.startswith("0:03 of 0:12 · 25%"))
        first = FakeRun(world, id)
        first.draft(0, 2)
        page.wait(lambda: len(shown(page)) == 2)
        assert page.find("result-title").text == "Transcript so far"
        assert page.find("downloads").text == ""
        page.find("filter").send_keys("sentence")
        first.draft(2, 4)
        page.wait(lambda: page.find("found").text == "4 of 4")

        world.run_store.fail(id, RUN_ID, "run_lost", "Lost.", retryable=True, max_attempts=4)
        page.wait(lambda: "Trying again, 2 of 4" in page.find("step").text)
        page.wait(lambda: not shown(page))
        world.run_store.claim(id, "run-2")
        again = FakeRun(world, id, "run-2")
        again.draft(0, 3)
        page.wait(lambda: len(shown(page)) == 3)
        again.store_text()
        again.complete()
        page.wait(lambda: page.find("result-title").text == "Transcript")
        page.wait(lambda: page.find("downloads").find_elements(By.TAG_NAME, "a"))
    assert len(shown(page)) == len(TEXTS)
    assert page.find("badge").text == "completed"


@pytest.mark.slow
def test_the_page_polls_without_events(
    browser: webdriver.Chrome,
    settings: Settings,
    world: World,
) -> None:
    """All stream slots are occupied."""
    id = world.running()
    with serving(settings.changed(streams_per_caller=1)) as url:
        taken = Page(browser, f"{url}/docs")
        browser.execute_script(_WATCH, f"{PATH}/{id}/events")
        taken.wait(lambda: browser.execute_script("return window.events.length"))
        browser.switch_to.new_window("tab")
        page = Page(browser, f"{url}/#{id}")
        page.wait(lambda: page.find("step").text == "Starting")
        world.run_store.progress(id, RUN_ID, "transcription", 3.0, 12.0)
        page.wait(lambda: page.find("numbers").text.startswith("0:03 of 0:12"))
        fake_run = FakeRun(world, id)
        fake_run.store_text()
        fake_run.complete()
        page.wait(lambda: page.find("badge").text == "completed")
    assert len(shown(page)) == len(TEXTS)


@pytest.mark.slow
def test_the_page_continues_after_a_restart_of_the_server(
    browser: webdriver.Chrome,
    settings: Settings,
    world: World,
) -> None:
    """It does not need to be reloaded."""
    id = world.running()
    fake_run = FakeRun(world, id)
    with serving(settings) as url:
        page = Page(browser, f"{url}/#{id}")
        fake_run.draft(0, 2)
        page.wait(lambda: len(shown(page)) == 2)
    time.sleep(1)
    fake_run.store_text()
    fake_run.complete()
    with serving(settings, port=urlsplit(url).port or 0):
        page.wait(lambda: page.find("badge").text == "completed")
        page.wait(lambda: len(shown(page)) == len(TEXTS))
