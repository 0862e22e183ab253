"""File names of strangers' texts: every file system takes them, and none is a path (rule 7)."""

import unicodedata
from collections.abc import Container

MAX_NAME_BYTES = 150
"""With the extension and a browser's `(1)`, below the 255 bytes that file systems take."""

_FORBIDDEN = frozenset('<>:"/\\|?*%;')
"""Not allowed in a name on Windows, or read by some client as something else."""
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
)
"""Device names on Windows, whatever their extension."""


def file_name(title: str | None, fallback: str, max_bytes: int = MAX_NAME_BYTES) -> str:
    """A name without extension that every file system takes, and no path.

    Args:
        title: the source's own text, or None.
        fallback: a safe name, used where the title leaves nothing.
    """
    text = unicodedata.normalize("NFC", title or "")
    kept = "".join(
        " " if char in _FORBIDDEN or unicodedata.category(char)[0] in "CZ" else char
        for char in text
    )
    name = " ".join(kept.split()).strip(". ")
    name = name.encode()[:max_bytes].decode(errors="ignore").strip(". ")
    if not name or name.partition(".")[0].strip().lower() in _RESERVED:
        return fallback
    return name


def same_file(name: str) -> str:
    """What two names have in common that are one file on some file system: macOS and Windows do not
    tell upper from lower case, nor composed letters from decomposed ones."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def free_name(name: str, taken: Container[str]) -> str:
    """The name, or where another one would be the same file, the first of `name (2)`, `name (3)`
    ... that is free.

    Args:
        taken: names that are there, as `same_file` has them.
    """
    found, number = name, 1
    while same_file(found) in taken:
        number += 1
        found = f"{name} ({number})"
    return found
