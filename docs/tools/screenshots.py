"""Takes the pictures in `docs/images`: `make docs-screenshots`, of a real installation.

It has `ytcaption up` with recordings of the tests and a podcast on loopback, and Chromium. The
pictures are scaled and reduced to few colours, so that they stay small.
"""

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from resources.models.store import ensure_model
from tests.support.channel_feeds import Episode, rss
from tests.support.paths import DATA, ROOT
from tests.support.reader import Reader, reading

IMAGES = ROOT / "docs" / "images"
WIDTH, WIDE = 1200, 1400
COLOURS = 64
EPISODES = (
    ("A town in the hills", "fleurs-en-002.ogg"),
    ("Acids and cabbages", "fleurs-en-003.ogg"),
    ("Feathers", "fleurs-en-004.ogg"),
    ("The first printers", "ljspeech-LJ001-0028.flac"),
)


def main() -> int:
    """Take all pictures."""
    models = Path.home() / ".cache" / "ytcaption-test-models"
    ensure_model("base", models)
    with reading(models) as reader, _browser() as browser:
        sonnet = _fill(reader)
        _web_page(browser, reader, sonnet)
        _search(browser, reader)
        _channels(browser, reader)
        _dagster(browser, reader)
        _site(browser)
    return 0


def _fill(reader: Reader) -> str:
    """Some recordings and a podcast; the id of the longest recording."""
    reader.upload(DATA / "jfk.flac", "Inaugural address, 1961.flac")
    sonnet = reader.upload(DATA / "sonnet-en.mp3", "Shakespeare, Sonnet 1.mp3")
    episodes = [
        Episode(number, f"https://podcast.example.org/{file}", title)
        for number, (title, file) in enumerate(EPISODES)
    ]
    reader.hosts.serve("hour.xml", rss("The reading hour", episodes[::-1]))
    with httpx.Client(base_url=reader.api, timeout=60) as client:
        body = {"url": "https://podcast.example.org/hour.xml", "filters": {"newest": 3}}
        id = client.post("/api/v1/channels", json=body).json()["id"]
        deadline = time.monotonic() + 180
        while client.get(f"/api/v1/channels/{id}").json()["progress"]["done"] < 3:
            assert time.monotonic() < deadline
            time.sleep(1)
    return sonnet


def _web_page(browser: webdriver.Chrome, reader: Reader, id: str) -> None:
    browser.get(f"{reader.api}/#{id}")
    _until(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, "#segments li")) > 2)
    _take(browser, "web-page", 1000)


def _search(browser: webdriver.Chrome, reader: Reader) -> None:
    browser.get(reader.api)
    field = browser.find_element(By.ID, "words")
    field.send_keys('"your country" ask\n')
    _until(browser, lambda: browser.find_elements(By.TAG_NAME, "mark"))
    _take(browser, "search-page", 800)


def _channels(browser: webdriver.Chrome, reader: Reader) -> None:
    browser.get(f"{reader.api}/channels")
    _until(browser, lambda: browser.find_elements(By.CLASS_NAME, "card"))
    _take(browser, "channels-page", 900)


def _dagster(browser: webdriver.Chrome, reader: Reader) -> None:
    browser.set_window_size(WIDE, 700)
    browser.get(f"{reader.dagster}/asset-groups")
    _until(browser, lambda: "captions" in browser.find_element(By.TAG_NAME, "body").text)
    time.sleep(3)  # it moves until it fits
    keys = ActionChains(browser)
    keys.key_down(Keys.ALT).send_keys("e").key_up(Keys.ALT).perform()  # expands all groups
    _until(browser, lambda: "library_report" in browser.page_source)
    time.sleep(3)
    _take(browser, "dagster-graph", 600, WIDE)


def _site(browser: webdriver.Chrome) -> None:
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", folder]
        subprocess.run(build, cwd=ROOT, check=True)
        handler = partial(_Silent, directory=folder)
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            port = server.server_address[1]
            browser.get(f"http://127.0.0.1:{port}/how-to/search-transcripts.html")
            time.sleep(1)
            _take(browser, "docs-site", 800, WIDE)
            server.shutdown()


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _take(browser: webdriver.Chrome, name: str, height: int, width: int = WIDTH) -> None:
    browser.set_window_size(width, height)
    time.sleep(0.5)
    picture = Image.open(BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    path = IMAGES / f"{name}.png"
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    sys.stderr.write(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} kB\n")


def _until(browser: webdriver.Chrome, holds: Callable[[], Any]) -> None:
    WebDriverWait(browser, 60).until(lambda _: holds())


@contextmanager
def _browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    with tempfile.TemporaryDirectory() as profile:
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ):
            options.add_argument(argument)
        options.binary_location = shutil.which("chromium") or ""
        driver = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
        )
        driver.set_window_size(WIDTH, 900)
        try:
            yield driver
        finally:
            driver.quit()


if __name__ == "__main__":
    sys.exit(main())
