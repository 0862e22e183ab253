"""No more of the words that docs/glossary.md says to avoid than there were."""

import pytest

from tests.support.words import all_uses, baseline, file_counts, lowered, problems, uses_in

pytestmark = pytest.mark.unit


@pytest.mark.long
def test_no_word_to_avoid_is_added() -> None:
    """The number of files that hold one may only go down: `python -m tests.support.words`."""
    found = problems(all_uses(), baseline())
    assert not found, "\n\n".join(found)


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("resources/a.py", "def heard_text(): ...\n", ["hear"]),
        ("resources/a.py", "class OptionsAsked: ...\n", ["asked"]),
        ("resources/a.py", '"""The audio is\nheard anew."""\n', ["anew", "hear"]),
        ("resources/a.py", "# Of so many seconds, for whoever waits.\n", ["so many", "whoever"]),
        ("resources/a.py", "x = f'{y} was told and asked'\n", []),
        ("resources/a.py", "shear, asking, stold = 1, 2, 3\n", []),
        ("README.md", "A stranger's way\nout.\n", ["stranger", "way out"]),
        ("README.md", "Upkeep is mended.\n", ["mend", "upkeep"]),
        ("README.md", "What was asked for was told.\n", []),
        ("docs/glossary.md", "Write again, not anew.\n", []),
    ],
)  # fmt: skip
def test_what_is_found(path: str, text: str, words: list[str]) -> None:
    """In names by their parts, in prose as whole words, with the number of the line."""
    uses = uses_in(path, text)
    assert sorted(use.word for use in uses) == words
    assert {use.line for use in uses if use.word in ("anew", "hear") and '"""' in text} <= {2}


def test_a_use_that_is_added_is_shown_with_its_line() -> None:
    """A word that is in more files than the baseline allows fails, with each line."""
    uses = uses_in("README.md", "First.\nDo it anew.\n")
    (message,) = problems(uses, {"docs": {"hear": 3}})
    assert "'anew' is in 1 files of docs, 0 at most" in message
    assert "README.md:2: anew: Do it anew." in message
    assert problems(uses, {"docs": {"anew": 1}}) == []


def test_the_baseline_is_never_raised() -> None:
    """`--update` lowers numbers and drops words that are gone."""
    counts = file_counts(uses_in("README.md", "anew, whoever\n"))
    assert counts == {"docs": {"anew": 1, "whoever": 1}}
    assert lowered(counts, {"docs": {"anew": 5, "hear": 2}, "tests": {"told": 1}}) == {
        "docs": {"anew": 1}
    }
