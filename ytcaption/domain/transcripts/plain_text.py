"""Segments one after the other as a person writes them: with a space between, where one is used."""

import unicodedata

_WITHOUT_SPACES = frozenset(
    {"CJK", "FULLWIDTH", "HIRAGANA", "IDEOGRAPHIC", "KATAKANA", "KHMER", "LAO", "MYANMAR", "THAI",
     "TIBETAN"}
)  # fmt: skip
"""First words of the Unicode names of characters of scripts that put no space between words."""


def with_space(text: str) -> str:
    """A segment's text as it follows on another's: after a space, if its script uses spaces."""
    first = unicodedata.name(text[:1] or " ", "").partition(" ")[0]
    return text if first in _WITHOUT_SPACES else f" {text}"


def running_text(texts: list[str]) -> str:
    """All of them as one."""
    return "".join(map(with_space, texts)).strip()
