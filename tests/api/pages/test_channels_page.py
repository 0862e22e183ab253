"""The web page of channels, in a browser."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from resources.channels.intake import ChannelIntake
from resources.channels.runs import ChannelRuns
from resources.channels.store import ChannelStore
from tests.api.conftest import RUN_ID, World, serving
from tests.api.pages.test_routes import EVIL, Page, browser  # noqa: F401 - fixture
from tests.support.channel_lists import item, page, plan, source
from tests.support.servers.channel_host import ChannelHost
from ytcaption.settings.settings import Settings


@pytest.fixture
def podcasts() -> Iterator[ChannelHost]:
    with ChannelHost() as host:
        yield host


@pytest.fixture
def local_server_url(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve with access to this machine's own feeds, without Dagster."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with serving(settings.changed(allowed_networks=["127.0.0.0/8"])) as url:
        yield url


def card(shown: Page) -> str:
    """Return the text of the first channel of the list."""
    return shown.find("channels").find_element(By.CLASS_NAME, "card").text


def click(shown: Page, text: str) -> None:
    """Click the button with this text in the list."""
    [button] = [
        each
        for each in shown.find("channels").find_elements(By.TAG_NAME, "button")
        if each.text == text
    ]
    button.click()


@pytest.mark.long
@pytest.mark.browser
def test_a_person_subscribes_to_a_podcast(
    browser: webdriver.Chrome,
    local_server_url: str,
    podcasts: ChannelHost,
    world: World,
) -> None:
    """Preview, subscribe, see it listed, pause it, check it now, resume it, remove it."""
    shown = Page(browser, f"{local_server_url}/channels")
    shown.wait(lambda: shown.find("model").get_attribute("value") == "base")
    shown.wait(lambda: shown.find("none").is_displayed())
    url = podcasts.podcast("news", 3)
    shown.find("url").send_keys(url)
    browser.find_element(By.CLASS_NAME, "more").find_element(By.TAG_NAME, "summary").click()
    shown.find("title_exclude").send_keys("Episode 1")
    shown.find("preview-button").click()
    assert shown.text("preview-message") == "2 would be included now, 1 excluded."
    lines = shown.find("preview-items").text
    assert "Episode 2" in lines and "excluded by its title" in lines

    shown.find("send").click()
    assert shown.text("add-message").endswith("was added.")
    shown.wait(lambda: "never checked" in card(shown) and "every 15m" in card(shown))
    store = ChannelStore(postgres=world.request_store.postgres)
    [row] = store.channels()
    assert row.plan.filters.title_exclude == "Episode 1" and row.plan.priority == "bulk"
    click(shown, "Pause")
    shown.wait(lambda: "paused" in card(shown))
    assert store.get(row.id).paused_at is not None
    click(shown, "Check now")
    shown.wait(lambda: store.get(row.id).run_requested_at is not None)
    shown.wait(lambda: "next now" in card(shown))
    click(shown, "Resume")
    shown.wait(lambda: store.get(row.id).paused_at is None)

    shown.wait(lambda: "Pause" in card(shown))
    click(shown, "Remove")
    browser.switch_to.alert.accept()
    shown.wait(lambda: shown.find("none").is_displayed())
    assert store.channels() == []
    assert shown.errors() == []


@pytest.mark.slow
@pytest.mark.browser
def test_the_items_and_errors_of_a_channel(
    browser: webdriver.Chrome,
    server_url: str,
    world: World,
) -> None:
    """Progress, items with links to their transcripts and reasons, an error in plain words; titles
    stay text."""
    postgres = world.request_store.postgres
    runs, intake = ChannelRuns(postgres=postgres), ChannelIntake(postgres=postgres)
    wanted = plan(filters={"title_exclude": "Part 2$"})
    id = ChannelStore(postgres=postgres).create(source(title=EVIL), wanted)[0].id
    runs.claim(id, RUN_ID)
    listed = page(range(3, 0, -1), total=3, channel=source(title=EVIL))
    listed = replace(listed, items=(item(9, title=EVIL), *listed.items))
    intake.add_page(id, RUN_ID, listed, is_history=True)
    runs.complete(id, RUN_ID)
    runs.claim(id, RUN_ID)
    runs.fail(id, RUN_ID, "source_blocked", "The site wants a login: see its settings.", True)

    shown = Page(browser, f"{server_url}/channels")
    shown.wait(lambda: "0 of 3 transcribed" in card(shown))
    text = card(shown)
    assert EVIL in text and "failing" in text and "1 excluded" in text
    assert "The last check failed: The site wants a login: see its settings." in text
    shown.find("channels").find_element(By.TAG_NAME, "summary").click()
    lines = shown.wait(lambda: shown.find("channels").find_elements(By.CSS_SELECTOR, ".items li"))
    assert [line.find_element(By.CLASS_NAME, "item-title").text for line in lines] == [
        EVIL, "Part 3", "Part 2", "Part 1",
    ]  # fmt: skip
    assert "excluded by its title" in lines[2].text and "excluded" in lines[2].text
    link = lines[1].find_element(By.TAG_NAME, "a").get_attribute("href")
    assert "/#youtube-v00003." in link
    choice = shown.find("channels").find_element(By.TAG_NAME, "select")
    choice.find_element(By.CSS_SELECTOR, "option[value=filtered]").click()
    shown.wait(lambda: len(shown.find("channels").find_elements(By.CSS_SELECTOR, ".items li")) == 1)

    browser.get(link)
    shown.wait(lambda: shown.find("step").text == "Waiting in the queue")
    assert browser.title != "owned"
    assert shown.errors() == []


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_fits_a_phone_and_shows_refusals(
    browser: webdriver.Chrome,
    server_url: str,
    world: World,
) -> None:
    """Nothing is wider than the screen; a single video is refused."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True},
    )
    store = ChannelStore(postgres=world.request_store.postgres)
    store.create(source(title="x" * 200, url=f"https://example.org/{'y' * 300}"), plan())
    shown = Page(browser, f"{server_url}/channels")
    shown.wait(lambda: shown.find("channels").find_elements(By.CLASS_NAME, "card"))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360

    shown.find("url").send_keys("https://youtu.be/dQw4w9WgXcQ")
    shown.find("send").click()
    assert "a single video" in shown.text("add-error")
