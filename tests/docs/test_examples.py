"""Every command and program of the documentation runs, against `ytcaption up` and fake sites.

A page's blocks of `sh` run in their order in one shell, those of `python` in one interpreter each.
What cannot run here is marked with `<!-- not run: why -->` before the block, and counted.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import Block, blocks, pages
from tests.support.paths import DATA, ROOT
from tests.support.reader import Reader, reading

NOT_RUN = 19
"""Blocks with a reason. Another number is a decision: change it with them."""

OWN_TESTS = {"docs/how-to/use-the-python-client.md"}
"""Pages whose programs have a test with more to say."""


@pytest.fixture(scope="module")
def reader(base_model_home: Path) -> Iterator[Reader]:
    """Beside an installation that has one transcript."""
    with reading(base_model_home, "--no-webserver") as found:
        found.transcribe("https://www.youtube.com/watch?v=dQw4w9WgXcQ")
        yield found


def _to_run() -> list[Path]:
    return [page for page in pages() if blocks(page, "sh", "python")]


@pytest.mark.long
@pytest.mark.postgres
@pytest.mark.model
@pytest.mark.parametrize("page", _to_run(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_each_example_of_a_page_runs(reader: Reader, page: Path, tmp_path: Path) -> None:
    """It runs in a folder like a clone's, with a recording in it."""
    for name in (".venv", "Makefile", "pyproject.toml", "constraints.txt", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(DATA / "jfk.flac", tmp_path / "talk.mp3")
    has_own_test = page.relative_to(ROOT).as_posix() in OWN_TESTS
    reader.follow(page, tmp_path, {"sh"} if has_own_test else {"sh", "python"})


def test_what_is_not_run_is_counted_and_says_why() -> None:
    """No block is left out unnoticed."""
    left_out = [
        each for page in pages() for each in blocks(page, "sh", "python") if each.reason is not None
    ]
    assert [each.place for each in left_out if len(each.reason or "") < 10] == []
    assert len(left_out) == NOT_RUN, Counter(each.reason for each in left_out)


@pytest.mark.long
def test_commands_are_in_blocks_that_run() -> None:
    """Not as a session with prompts, which no test can follow."""
    kinds: tuple[str, ...] = ("console", "bash", "shell")
    found: list[Block] = [each for page in pages() for each in blocks(page, *kinds)]
    assert [each.place for each in found] == []
