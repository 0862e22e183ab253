"""Tests of the copies of the lake's files: erasing leaves none, finished or not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from resources.lake.copy_folder import CopyFolder, CopyRemoved


@pytest.fixture
def copies(tmp_path: Path) -> CopyFolder:
    """Return a folder that does not exist yet."""
    return CopyFolder(tmp_path / "copies")


def is_nothing(_name: str) -> bool:
    """Keep nothing."""
    return False


def add(copies: CopyFolder, name: str, text: str) -> None:
    """Make a complete copy."""
    with copies.new_copy(name) as path:
        path.write_text(text)


def test_a_copy_gets_its_name_when_it_is_complete(copies: CopyFolder):
    """Nothing else remains."""
    with copies.new_copy("a.parquet") as path:
        path.write_text("rows")
        assert not (copies.path / "a.parquet").exists()
    assert [path.name for path in copies.path.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("is_written", [True, False])
def test_a_copy_in_progress_is_erased_and_never_completed(copies: CopyFolder, is_written: bool):
    """Neither what is written nor what would be written afterwards stays."""
    with pytest.raises(CopyRemoved), copies.new_copy("a.parquet") as path:
        if is_written:
            path.write_text("erased")
        copies.prune(is_nothing, in_progress=True)
        assert list(copies.path.iterdir()) == []
        if not is_written:
            path.write_text("erased")
    assert list(copies.path.iterdir()) == []


def test_other_copies_in_progress_are_kept(copies: CopyFolder):
    """By queries, which may have an earlier list of files, and by erasures of others."""
    with copies.new_copy("a.parquet") as path:
        path.write_text("rows")
        copies.prune(is_nothing)
        copies.prune(lambda name: name == "a.parquet", in_progress=True)
    assert (copies.path / "a.parquet").read_text() == "rows"


def test_what_a_killed_process_has_left_is_removed(copies: CopyFolder):
    """However young it is, and also if the lake still has the original."""
    code = (
        "import os, pathlib, sys; from resources.lake.copy_folder import CopyFolder\n"
        "with CopyFolder(pathlib.Path(sys.argv[1])).new_copy('a.parquet') as path:\n"
        "    path.write_text('rows'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(copies.path)], check=False)
    (copies.path / "b.0123.part").write_text("of an earlier version")
    assert len(list(copies.path.iterdir())) == 2
    copies.prune(lambda _name: True)
    assert list(copies.path.iterdir()) == []


def test_those_used_least_recently_go_first(copies: CopyFolder):
    """As many as the limit needs, but none that has just been used."""
    for used_at, name in enumerate("abcd"):
        add(copies, name, "12345")
        if name != "d":
            os.utime(copies.path / name, (used_at, used_at))
    copies.limit(12, 60)
    assert sorted(path.name for path in copies.path.iterdir()) == ["c", "d"]
    copies.limit(0, 60)
    assert [path.name for path in copies.path.iterdir()] == ["d"]
