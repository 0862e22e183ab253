"""Compare a transcript with what people wrote of the same speech."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Literal

from ytcaption.domain.transcripts.metrics import WordErrors, wer

if TYPE_CHECKING:
    from collections.abc import Callable

ReferenceKind = Literal["track", "transcription"]
"""`track`: captions fetched beside the audio; `transcription`: another transcription of the media,
which was made from captions."""

BY_CHARACTER = ("zh", "yue", "ja", "ko", "th", "lo", "km", "my", "bo")
"""Languages whose errors are counted by character, as is usual; all but Korean have no spaces."""


@dataclass(frozen=True)
class CaptionAccuracy:
    """Errors of one document compared with captions that people made.

    Attributes:
        document_sha256: of the measured document; the numbers hold for no other.
        errors: by word, or by character in the languages of `BY_CHARACTER`.
        measured_at: time-zone aware.
    """

    document_sha256: str
    reference_kind: ReferenceKind
    errors: WordErrors
    measured_at: datetime


def word_errors(language: str | None, reference: str, text: str) -> WordErrors:
    """Return the errors of a text after Whisper's own normalisation of both.

    Args:
        language: Whisper's code.
    """
    return wer(normalized(language, reference), normalized(language, text))


def normalized(language: str | None, text: str) -> str:
    """Return words in one spelling, or characters, separated by spaces.

    Source: whisper-normalizer, which is OpenAI's.
    """
    return _normalizer(language)(text).strip()


@cache
def _normalizer(language: str | None) -> "Callable[[str], str]":
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    if language == "en":
        return EnglishTextNormalizer()
    return BasicTextNormalizer(split_letters=language in BY_CHARACTER)
