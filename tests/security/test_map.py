"""The map of rules and their tests is true."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

HERE = Path(__file__).parent
RULES = [*range(1, 31), 47, 49, 50, 51, 52, 53, 59]


def test_every_rule_has_tests_and_each_of_them_is_there() -> None:
    """A test that is renamed or moved is renamed in README.md, too."""
    found: set[int] = set()
    for row in re.findall(
        r"^\| (\d[\d, -]*) \|(.+)$", (HERE / "README.md").read_text(), re.MULTILINE
    ):
        for part in row[0].split(","):
            first, _, last = part.strip().partition("-")
            found.update(range(int(first), int(last or first) + 1))
        names = re.findall(r"`([\w./]+\.py)(?:::(\w+))?`", row[1])
        assert names, row
        for file, test in names:
            text = (HERE / file).read_text()
            assert f"def {test}(" in text if test else "def test_" in text, (file, test)
    assert sorted(found) == RULES
