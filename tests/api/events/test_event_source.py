"""Events in a browser: its own EventSource, and the web page that shows the text as it is heard."""

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
    Hearing,
)
from ytcaption.settings import Settings

pytestmark = pytest.mark.browser

PATH = "/api/v1/transcriptions"
ALL = list(range(len(TEXTS)))

_WATCH = """
window.told = [];
window.source = new EventSource(arguments[0]);
for (const name of ["state", "progress", "segment", "reset", "completed"])
  window.source.addEventListener(name, (event) => window.told.push([name, JSON.parse(event.data)]));
"""


def shown(page: Page) -> list[str]:
    return [item.text for item in page.driver.find_elements(By.CSS_SELECTOR, "#segments .text")]


def test_event_source_goes_on_at_the_next_server(
    browser: webdriver.Chrome,
    settings: Settings,
    world: World,
) -> None:
    """The server is replaced in the middle: the browser comes back with its Last-Event-ID, misses
    nothing, gets nothing twice, and stays away after the end."""
    id = world.running()
    hearing = Hearing(world, id)

    def indexes() -> list[int]:
        told = browser.execute_script("return window.told")
        return [data["index"] for name, data in told if name == "segment"]

    with serving(settings) as url:
        page = Page(browser, f"{url}/docs")
        browser.execute_script(_WATCH, f"{PATH}/{id}/events")
        hearing.draft(0, 3)
        page.wait(lambda: indexes() == [0, 1, 2])
    hearing.draft(3, 5)
    with serving(settings, port=urlsplit(url).port or 0):
        page.wait(lambda: indexes() == [0, 1, 2, 3, 4])
        hearing.store_text()
        hearing.complete()
        page.wait(lambda: browser.execute_script("return window.source.readyState") == 2)
        told = browser.execute_script("return window.told")
    assert indexes() == ALL
    assert [data["text"] for name, data in told if name == "segment"] == list(TEXTS)
    assert [name for name, _ in told].count("completed") == 1


@pytest.mark.parametrize("with_key", [False, True])
def test_the_page_shows_the_text_as_it_is_heard(
    browser: webdriver.Chrome,
    settings: Settings,
    world: World,
    with_key: bool,
) -> None:
    """Segment by segment, voided by a new attempt, and then the result with its downloads."""
    key = ApiKeys.from_settings(settings).create("reader", ["admin"]).token if with_key else ""
    id = world.running()
    with serving(settings) as url:
        page = Page(browser, f"{url}/#{id}")
        if with_key:
            page.wait(lambda: page.find("door").is_displayed())
            page.find("key").send_keys(f"{key}\n")
        page.wait(lambda: page.find("step").text == "Starting")
        world.run_store.progress(id, RUN_ID, "transcription", 3.0, 12.0)
        page.wait(lambda: page.find("numbers").text.startswith("0:03 of 0:12 · 25%"))
        first = Hearing(world, id)
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
        again = Hearing(world, id, "run-2")
        again.draft(0, 3)
        page.wait(lambda: len(shown(page)) == 3)
        again.store_text()
        again.complete()
        page.wait(lambda: page.find("result-title").text == "Transcript")
        page.wait(lambda: page.find("downloads").find_elements(By.TAG_NAME, "a"))
    assert len(shown(page)) == len(TEXTS)
    assert page.find("badge").text == "completed"


def test_the_page_looks_for_itself_where_no_events_come(
    browser: webdriver.Chrome,
    settings: Settings,
    world: World,
) -> None:
    """All places for streams are taken: it polls."""
    id = world.running()
    with serving(settings.model_copy(update={"streams_per_caller": 1})) as url:
        taken = Page(browser, f"{url}/docs")
        browser.execute_script(_WATCH, f"{PATH}/{id}/events")
        taken.wait(lambda: browser.execute_script("return window.told.length"))
        browser.switch_to.new_window("tab")
        page = Page(browser, f"{url}/#{id}")
        page.wait(lambda: page.find("step").text == "Starting")
        world.run_store.progress(id, RUN_ID, "transcription", 3.0, 12.0)
        page.wait(lambda: page.find("numbers").text.startswith("0:03 of 0:12"))
        hearing = Hearing(world, id)
        hearing.store_text()
        hearing.complete()
        page.wait(lambda: page.find("badge").text == "completed")
    assert len(shown(page)) == len(TEXTS)


def test_a_page_whose_server_comes_back_goes_on(
    browser: webdriver.Chrome,
    settings: Settings,
    world: World,
) -> None:
    """Nothing needs to be loaded again."""
    id = world.running()
    hearing = Hearing(world, id)
    with serving(settings) as url:
        page = Page(browser, f"{url}/#{id}")
        hearing.draft(0, 2)
        page.wait(lambda: len(shown(page)) == 2)
    time.sleep(1)
    hearing.store_text()
    hearing.complete()
    with serving(settings, port=urlsplit(url).port or 0):
        page.wait(lambda: page.find("badge").text == "completed")
        page.wait(lambda: len(shown(page)) == len(TEXTS))
