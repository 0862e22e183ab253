"""Join segments into running text, with spaces between them where the script uses spaces."""

import unicodedata

_WITHOUT_SPACES = frozenset(
    {"CJK", "FULLWIDTH", "HIRAGANA", "IDEOGRAPHIC", "KATAKANA", "KHMER", "LAO", "MYANMAR", "THAI",
     "TIBETAN"}
)  # fmt: skip
"""First words of the Unicode character names of scripts that put no space between words."""


def with_space(text: str) -> str:
    """Return a segment's text as it follows another: after a space, if its script uses spaces."""
    first = unicodedata.name(text[:1] or " ", "").partition(" ")[0]
    return text if first in _WITHOUT_SPACES else f" {text}"


def running_text(texts: list[str]) -> str:
    """Return all texts joined."""
    return "".join(map(with_space, texts)).strip()
