"""File names that every file system accepts."""

from hypothesis import given
from hypothesis import strategies as st

from ytcaption_assets.cli.transcribe.captions_folder import MAX_TITLE_BYTES, safe_title


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
