"""Files that the documentation names are there."""

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = ("ytcaption", "resources", "sensors", "ytcaption_assets", "api", "tests", "benchmarks")
PAGES = [
    *sorted(path for folder in ("adr", "explanation", "benchmarks")
            for path in (ROOT / "docs" / folder).glob("*.md")),
    *(ROOT / name for name in ("docs/architecture.md", "CONTRIBUTING.md", "SECURITY.md")),
]  # fmt: skip
EXCEPTIONS = {"ytcaption_assets/_packages/", "duckdb.py"}
"""A folder of the wheel alone, and a name that no module may have."""
NAMES = {
    path.name
    for package in PACKAGES
    for pattern in ("*.py", "*.sql")
    for path in (ROOT / package).rglob(pattern)
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    """Paths from the root, in code or in a diagram; bare names of modules somewhere in the tree."""
    text = page.read_text(encoding="utf-8")
    paths = set(re.findall(rf"(?<![\w/.(-])(?:{'|'.join(PACKAGES)})/[\w./-]*\w(?:/(?!\w))?", text))
    assert {path for path in paths if not (ROOT / path).exists()} - EXCEPTIONS == set()
    bare = set(re.findall(r"(?<![\w/.-])\w+\.(?:py|sql)\b", text))
    assert bare - NAMES - EXCEPTIONS == set()
