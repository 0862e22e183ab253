"""Transcripts compared with what people wrote."""

import pytest

from ytcaption.domain.transcripts.accuracy import word_errors
from ytcaption.domain.transcripts.metrics import WordErrors

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("language", "reference", "text", "expected"),
    [
        ("en", "Mr. Smith's colour, 20%!", "mister smith is color 20%", WordErrors(5)),
        ("de", "Ja – „genau“.", "ja genau", WordErrors(2)),
        ("fr", "Où est-il ?", "ou est il", WordErrors(2, 1)),
        ("zh", "今天天气很好。", "今天天汽好", WordErrors(4, 1, 1, 0)),
        ("th", "กขค", "กข", WordErrors(2, 0, 1, 0)),
        ("lo", "ກຂຄ", "ກຂຄງ", WordErrors(3, 0, 0, 1)),
        (None, "one two", "one", WordErrors(1, 0, 1, 0)),
        ("en", "[Applause] hello", "hello", WordErrors(1)),
        ("en", "", "hello there", WordErrors(0, 0, 0, 2)),
    ],
)
def test_errors_are_those_of_what_is_said(
    language: str | None, reference: str, text: str, expected: WordErrors
):
    """Case, punctuation and spelling are none; languages without spaces count by character."""
    assert word_errors(language, reference, text) == expected
