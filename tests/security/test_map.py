"""The map of rules and their tests is true."""

import pytest

from tests.support.trust import rules

pytestmark = pytest.mark.unit

RULES = [*range(1, 60), 61]


def test_every_rule_has_tests_and_each_of_them_is_there() -> None:
    """A test that is renamed or moved is renamed in README.md, too."""
    found: set[int] = set()
    for numbers, tests in rules():
        found.update(numbers)
        assert tests, numbers
        for file, test in tests:
            text = file.read_text()
            assert f"def {test}(" in text if test else "def test_" in text, (file, test)
    assert sorted(found) == RULES
