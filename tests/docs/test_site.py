"""The documentation as a site: whole, within itself, and loading nothing from elsewhere."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.api.pages.test_routes import Page, browser  # noqa: F401 - fixture
from tests.support.documents import pages
from tests.support.paths import ROOT

SIZES = {1280: "article table", 390: "html"}
"""Width of the window -> what must not be wider than its place. On a phone tables may scroll."""
MAX_WIDTH = 100
MAX_TABLE_WIDTH = {"README.md": 160, "tutorial": 160, "how-to": 160, "reference": 160}
"""Of tables and blocks. Elsewhere tables are as wide as what they compare."""

LEFT_OVER = re.compile(r"^\s*(?:[-*+>|#]|!!!|:::|===)\s|```|``|\*\*|\]\(", re.MULTILINE)
"""Markdown that was not understood, in the text of a page."""

_WIDE = """
const [site, names, selector, done] = arguments;
(async () => {
  const wide = [];
  for (const name of names) {
    const text = await (await fetch(`${site}/${name}`)).text();
    const article = new DOMParser().parseFromString(text, "text/html").querySelector("article");
    if (!article) continue;
    document.querySelector("article").replaceWith(document.adoptNode(article));
    for (const each of document.querySelectorAll(selector)) {
      if (each.scrollWidth > each.clientWidth + 1)
        wide.push(`${name}: ${each.scrollWidth} ${each.textContent.trim().slice(0, 40)}`);
    }
  }
  done(wide);
})();
"""


class _Article(HTMLParser):
    """What a page says, without its navigation.

    Attributes:
        text: outside of code, of which there is an X.
        unnamed: sources of pictures without a text in place of them.
    """

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.text = ""
        self.unnamed: list[str] = []
        self._inside = False
        self._code = 0
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside |= tag == "article"
        if tag in ("code", "pre", "script", "style", "svg"):
            self._code += 1
            self.text += "X" * self._inside
        if tag in ("p", "li", "td", "th", "br", "div"):
            self.text += "\n"
        if tag == "img" and self._inside and not dict(attrs).get("alt"):
            self.unnamed.append(dict(attrs).get("src") or "")

    def handle_endtag(self, tag: str) -> None:
        self._inside &= tag != "article"
        self._code -= tag in ("code", "pre", "script", "style", "svg")

    def handle_data(self, data: str) -> None:
        if self._inside and not self._code:
            self.text += data


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does: a broken link, an orphan or a wrong anchor fails."""
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(
        build,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def site_url(site: Path) -> Iterator[str]:
    """Where it is served."""
    handler = partial(_Silent, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_every_page_is_in_the_site(site: Path) -> None:
    """And those that are generated from docstrings have them."""
    assert (site / "index.html").exists()
    assert "ServerUnreachable" in (site / "reference" / "python-client.html").read_text()


@pytest.mark.browser
def test_a_page_loads_nothing_from_elsewhere(
    browser: webdriver.Chrome,
    site_url: str,
) -> None:
    """Its diagram is drawn, its search is there, and each request goes to the site itself."""
    page = Page(browser, f"{site_url}/index.html")
    WebDriverWait(browser, 30).until(
        lambda _: browser.find_elements(By.CSS_SELECTOR, "div.mermaid")
    )
    loaded = browser.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert any(name.endswith("mermaid.min.js") for name in loaded)
    assert [name for name in loaded if not name.startswith(site_url)] == []
    assert page.errors() == []


@pytest.mark.browser
@pytest.mark.long
@pytest.mark.parametrize("width", SIZES)
def test_every_page_fits(browser: webdriver.Chrome, site: Path, site_url: str, width: int) -> None:
    """At 1280 pixels no table has to be scrolled, and on a phone no page.

    The articles are put into one page, one after the other, which takes a tenth of the time of
    loading them all.
    """
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(f"{site_url}/glossary.html")
    names = sorted(page.relative_to(site).as_posix() for page in site.rglob("*.html"))
    wide = browser.execute_async_script(_WIDE, site_url, names, SIZES[width])
    assert wide == []


def test_no_page_loads_files_of_another_server(site: Path) -> None:
    """No page has a script, style, font or picture from elsewhere."""
    found = {
        (page.name, part)
        for page in site.rglob("*.html")
        for part in page.read_text(encoding="utf-8").split("<")
        if part.startswith(("script", "link", "img", "iframe"))
        and ("//" in part.partition(">")[0].replace("https://www.w3.org", ""))
        and not part.startswith('link rel="canonical"')
    }
    assert found == set()


def test_markdown_is_understood_on_every_page(site: Path) -> None:
    """No list, table, block or emphasis is left as it was typed; every picture has a text."""
    left = {}
    for page in sorted(site.rglob("*.html")):
        article = _Article(page)
        found = [
            article.text[match.start() : match.start() + 60].strip()
            for match in LEFT_OVER.finditer(article.text)
        ]
        if found or article.unnamed:
            left[page.relative_to(site).as_posix()] = found + article.unnamed
    assert left == {}


def test_lines_have_a_length_that_can_be_read() -> None:
    """100 characters, and 160 in tables and blocks of what users read."""
    long = []
    for page in pages():
        is_block = False
        folder = page.relative_to(ROOT / "docs").parts[0] if page.parent != ROOT else page.name
        table_width = MAX_TABLE_WIDTH.get(folder, 1_000)
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            is_block ^= line.strip().startswith("```")
            limit = table_width if is_block or line.startswith(("|", "    ")) else MAX_WIDTH
            if len(line) > limit and "<!--" not in line:
                long.append(f"{page.relative_to(ROOT)}:{number}: {len(line)}")
    assert long == []
