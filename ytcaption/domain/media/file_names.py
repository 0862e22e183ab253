"""Make file names from untrusted text: valid on every file system, and never a path."""

import unicodedata
from collections.abc import Container

MAX_NAME_BYTES = 150
"""With the extension and a browser's `(1)`, below the limit of 255 bytes of file systems."""

_FORBIDDEN = frozenset('<>:"/\\|?*%;')
"""Characters that Windows does not allow in names, or that some client reads as something else."""
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
)
"""Device names on Windows, whatever their extension."""


def file_name(title: str | None, fallback: str, max_bytes: int = MAX_NAME_BYTES) -> str:
    """Return a name without extension that every file system accepts and that is no path.

    Args:
        title: the source's own text, or None.
        fallback: a safe name, used where nothing of the title is usable.
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
    """Return a key that is equal for names that are one file on some file system.

    macOS and Windows do not distinguish upper from lower case, nor composed from decomposed
    letters.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def free_name(name: str, taken: Container[str]) -> str:
    """Return the name or, where it is taken, the first free of `name (2)`, `name (3)` ...

    Args:
        taken: existing names, as `same_file` returns them.
    """
    candidate, number = name, 1
    while same_file(candidate) in taken:
        number += 1
        candidate = f"{name} ({number})"
    return candidate
