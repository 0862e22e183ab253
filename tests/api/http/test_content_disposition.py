"""File names in `Content-Disposition`, as clients send them."""

import time

import pytest

from api.http.content_disposition import MAX_LENGTH, sent_file_name
from tests.support.patience import patience

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="a \\" b.flac"', 'a " b.flac'),
        ("attachment; filename*=UTF-8''f%C3%BCr.flac", "für.flac"),
        ("attachment; filename*=iso-8859-1'de'f%FCr.flac", "für.flac"),
        ('attachment; filename="für.flac"'.encode().decode("latin-1"), "für.flac"),
        ("attachment; filename*=utf-8''%ED%A0%80", "\ufffd" * 3),
        ("attachment", None),
    ],
)
def test_the_name_is_read(header: str, name: str | None) -> None:
    """In each form that clients use."""
    assert sent_file_name(header) == name


@pytest.mark.parametrize(
    "value", ["undefined''a", "idna''a%ff", "punycode''%ff-", "a%00b''x", "\x00''x", "utf-16''a"]
)
def test_other_charsets_give_no_name(value: str) -> None:
    """Python knows charsets that fail, or that decode to anything."""
    assert sent_file_name(f"attachment; filename*={value}") is None


@pytest.mark.parametrize("parameters", ['; filename="' + ";" * 60_000, ";a*0=b" * 10_000])
def test_a_long_header_is_not_parsed(parameters: str) -> None:
    """Parsing takes a time that grows with the square of the length."""
    began = time.perf_counter()
    assert sent_file_name("attachment" + parameters) is None
    sent_file_name("attachment" + parameters[: MAX_LENGTH - 10])
    assert time.perf_counter() - began < 0.1 * patience()
