"""Writes the generated pages of `docs/reference`: `python -m docs.tools.reference`.

With `--check` nothing is written; the exit status is 1 where a page is not current.
"""

import sys
from pathlib import Path

from docs.tools.api_pages import bodies_page, openapi, routes_page
from docs.tools.cli_page import cli_page
from docs.tools.filter_page import filter_page
from docs.tools.lake_page import lake_page
from docs.tools.modules_page import modules_page
from ytcaption_assets.cli.settings_table import settings_markdown

FOLDER = Path(__file__).parents[1] / "reference"


def pages() -> dict[str, str]:
    """Return the text of each generated page, by its file name."""
    document = openapi()
    return {
        "settings.md": settings_markdown(),
        "cli.md": cli_page(),
        "http-api.md": routes_page(document),
        "http-bodies.md": bodies_page(document),
        "lake.md": lake_page(),
        "modules.md": modules_page(),
        "version-filter.md": filter_page(),
    }


def stale() -> list[str]:
    """Return the names of the pages that differ from what the code says."""
    return [
        name
        for name, text in pages().items()
        if not (path := FOLDER / name).exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> int:
    """Write or check the pages."""
    if "--check" in sys.argv[1:]:
        names = stale()
        if names:
            sys.stderr.write(f"Not current: {', '.join(names)}. Run `make docs-reference`.\n")
        return len(names) and 1
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
