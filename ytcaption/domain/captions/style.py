"""The layout of captions: the limits, by language."""

import unicodedata
from dataclasses import dataclass
from typing import Self

from ytcaption.domain.languages import CJK_LANGUAGES

TWO_FRAMES_MS = 84
"""Two frames at 24 frames a second."""


@dataclass(frozen=True)
class CaptionStyle:
    """The limits of a layout.

    Attributes:
        language: of the text, as Whisper's code.
        line_length: columns per line.
        max_lines: lines per caption.
        max_cps: characters a second; a line break counts as one character.
        wide_columns: columns of a wide character (East Asian Width W or F); others take one.
    """

    language: str | None = None
    line_length: int = 42
    max_lines: int = 2
    min_duration_ms: int = 830
    max_duration_ms: int = 7000
    min_gap_ms: int = TWO_FRAMES_MS
    max_cps: float = 20.0
    wide_columns: int = 2

    def __post_init__(self) -> None:
        positive = min(self.line_length, self.max_lines, self.min_duration_ms, self.wide_columns)
        if positive < 1 or self.min_gap_ms < 0 or not self.max_cps > 0:
            raise ValueError("a caption style's limits must be positive")
        if self.min_duration_ms > self.max_duration_ms:
            raise ValueError("the shortest caption is longer than the longest")

    @classmethod
    def for_language(
        cls,
        language: str | None,
        *,
        line_length: int = 42,
        cjk_line_length: int = 16,
        max_lines: int = 2,
    ) -> Self:
        """Return the style of a language.

        Chinese, Japanese and Korean lines hold fewer characters, each of which counts as one
        column.
        """
        if language in CJK_LANGUAGES:
            return cls(language, cjk_line_length, max_lines, wide_columns=1)
        return cls(language, line_length, max_lines)

    def columns(self, text: str) -> int:
        """Return the width of a text in columns."""
        if self.wide_columns == 1 or text.isascii():
            return len(text)
        wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
        return len(text) + wide * (self.wide_columns - 1)
