"""The blocks of the documentation: what is to be run, and what is not and why."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

DOCS = ROOT / "docs"
_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+?) -->\n+)?"
    r"(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<text>.*?)\n(?P=indent)```",
    re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: its first line in the page.
        reason: why it is not run; None: it is.
    """

    page: Path
    line: int
    language: str
    text: str
    reason: str | None

    @property
    def place(self) -> str:
        """The page and line, for people."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return the README and all pages of the documentation, in the order in which they are read."""
    order = ("tutorial", "how-to", "reference")
    found = [page for folder in order for page in sorted((DOCS / folder).glob("*.md"))]
    rest = [page for page in sorted(DOCS.rglob("*.md")) if page not in found]
    return [ROOT / "README.md", *found, *rest]


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return a page's blocks of these languages, in their order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, match.start("language")) + 1,
            match["language"],
            re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE),
            match["reason"],
        )
        for match in _BLOCK.finditer(text)
        if match["language"] in languages
    ]
