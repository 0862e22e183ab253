"""Headers of multipart forms: what is refused before it is parsed."""

import time

import pytest

from api.uploads.form import FormReader
from api.uploads.stream import title_of
from tests.api.uploads.bodies import FORM, disposition, form
from tests.support.patience import patience
from ytcaption.domain.errors import MalformedUpload

pytestmark = pytest.mark.unit

LONG = '; filename="' + ";" * 60_000 + '"'


def test_long_headers_are_refused_before_they_are_parsed() -> None:
    """Parsing takes a time that grows with the square of the length."""
    began = time.perf_counter()
    with pytest.raises(MalformedUpload, match="longer than 16,384 bytes"):
        FormReader(FORM["Content-Type"] + LONG, lambda _: None)
    reader = FormReader(FORM["Content-Type"], lambda _: None)
    with pytest.raises(MalformedUpload, match="shorter name"):
        reader.feed(form((disposition("file", LONG), b"audio")))
    assert time.perf_counter() - began < 0.2 * patience()


def test_a_title_is_made_of_a_long_name_in_little_time() -> None:
    """Normalising marks that combine takes a time that grows with the square of their number."""
    began = time.perf_counter()
    assert title_of("a" + "\u0300\u0316" * 30_000 + ".flac")
    assert title_of("a" * 30_000 + ".flac") == "a" * 200
    assert time.perf_counter() - began < 0.1 * patience()
