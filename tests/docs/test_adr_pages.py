"""The pages of docs/adr are complete, and what code cites of docs/ is there."""

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.unit

ADR = ROOT / "docs" / "adr"
DECISIONS = sorted(ADR.glob("[0-9]*.md"))
RULES = (ADR / "security-rules.md").read_text(encoding="utf-8")
PACKAGES = ("ytcaption", "resources", "sensors", "ytcaption_assets", "api", "tests", "benchmarks")
CODE = [
    file
    for package in PACKAGES
    for file in (ROOT / package).rglob("*.py")
    if file != Path(__file__)
]
MOVED: set[str] = set()
"""Pages that code still names at their former place. To be emptied, never added to."""


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_all_its_parts(page: Path) -> None:
    """It has a number, status, date, context, decision, consequences, and a row in the index."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.name[:4]}. ")
    assert re.search(r"^- Status: \w+", text, re.MULTILINE)
    (date,) = re.findall(r"^- Date: (\d{4}-\d\d-\d\d)$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    index = (ADR / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| \[{page.name[:4]}\]\({page.name}\) \| .+ \| {date} \|$", index, re.M)


def test_decisions_are_numbered_without_holes() -> None:
    """A number is never reused: one that no longer holds stays as superseded."""
    assert [page.name[:4] for page in DECISIONS] == [
        f"{number:04}" for number in range(1, len(DECISIONS) + 1)
    ]


def test_every_rule_that_code_cites_exists() -> None:
    """`rule 34` is the heading `### Rule 34` of security-rules.md."""
    rules = [int(number) for number in re.findall(r"^### Rule (\d+)$", RULES, re.MULTILINE)]
    assert rules == list(range(1, len(rules) + 1))
    cited = {
        int(number)
        for file in CODE
        for number in re.findall(r"\b[Rr]ules? (\d+)\b", file.read_text(encoding="utf-8"))
    }
    assert cited - set(rules) == set()


def test_every_page_that_code_names_exists() -> None:
    """A page that is moved is renamed in docstrings and messages, too."""
    named = {
        name
        for file in CODE
        for name in re.findall(r"\bdocs/[\w/-]+\.md\b", file.read_text(encoding="utf-8"))
    }
    assert {name for name in named if not (ROOT / name).exists()} - MOVED == set()
