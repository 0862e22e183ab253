"""Names of files that are made of untrusted texts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytcaption.domain.media.file_names import file_name, free_name, same_file

pytestmark = pytest.mark.unit


@given(st.text(), st.integers(8, 150))
def test_any_text_becomes_a_name(text: str, max_bytes: int):
    """No separator, control character, reserved name, or dot or space at an end; not too long."""
    name = file_name(text, "fallback", max_bytes)
    assert 0 < len(name.encode()) <= max_bytes or name == "fallback"
    assert not set(name) & set('<>:"/\\|?*')
    assert all(unicodedata.category(char)[0] != "C" for char in name)
    assert name == name.strip(". ")
    assert name.partition(".")[0].lower() not in ("con", "nul", "com1")


@pytest.mark.parametrize("text", ["con", "NUL.txt", "Com1", "lpt9.tar.gz", "", "..", " . "])
def test_names_that_mean_something_are_not_used(text: str):
    """Devices of Windows, and what is a folder."""
    assert file_name(text, "fallback") == "fallback"


def test_one_file_on_some_file_system():
    """Upper and lower case, composed and decomposed, and both."""
    assert same_file("Über") == same_file("über") == same_file("U\u0308BER")
    assert same_file("Straße") == same_file("STRASSE")
    assert same_file("a") != same_file("b")


def test_a_name_that_is_taken_gets_a_number():
    """The number is the first that is free."""
    taken = {same_file("A"), same_file("a (2)")}
    assert free_name("a", taken) == "a (3)"
    assert free_name("b", taken) == "b"
