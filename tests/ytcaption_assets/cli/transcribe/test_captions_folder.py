"""File names that every file system accepts, and folders that can be written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytcaption.domain.errors import FileUnreadable
from ytcaption_assets.cli.transcribe.captions_folder import (
    MAX_TITLE_BYTES,
    check_folder,
    safe_title,
)
from ytcaption_assets.cli.transcribe.source_argument import file_named


@given(st.text())
def test_any_title_becomes_a_safe_name(title):
    """It has no separator, control character, trailing dot or space, and a bounded length."""
    name = safe_title(title)
    assert name and len(name.encode()) <= MAX_TITLE_BYTES
    assert not set(name) & set('<>:"/\\|?*\x00\n')
    assert name == name.strip(" .")


def test_a_title_stays_recognisable():
    """Letters of any script are kept."""
    assert safe_title("Ünïcode / 日本語: part 1?") == "Ünïcode _ 日本語_ part 1_"


def test_a_folder_is_checked_without_being_created(tmp_path: Path):
    """A folder that can be created is accepted; nothing is left behind."""
    check_folder(tmp_path / "captions" / "today")
    check_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a file/captions", "a file"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, name: str):
    """The message says which folder, and what to do."""
    (tmp_path / "a file").write_text("")
    with pytest.raises(FileUnreadable, match=r"a file.* cannot be written: .*--output"):
        check_folder(tmp_path / name)


@pytest.mark.parametrize("name", ["videos", "videos/", "./videos"])
def test_a_folder_as_a_source_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    """It is not taken for a URL, with or without a slash."""
    (tmp_path / "videos").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileUnreadable, match="is a folder"):
        file_named(name)
