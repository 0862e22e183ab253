"""`Content-Disposition` with a file name made from a stranger's title (RFC 6266)."""

import unicodedata
from urllib.parse import quote

MAX_NAME_BYTES = 150
"""With the extension and a browser's `(1)`, below the 255 bytes that file systems take."""

_FORBIDDEN = frozenset('<>:"/\\|?*%;')
"""Not allowed in a name on Windows, or read by some client as something else."""
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
)
"""Device names on Windows, whatever their extension."""


def file_name(title: str | None, fallback: str) -> str:
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
    name = name.encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip(". ")
    if not name or name.partition(".")[0].strip().lower() in _RESERVED:
        return fallback
    return name


def content_disposition(name: str, *, attachment: bool) -> str:
    """The header: the name in ASCII for old clients and in UTF-8 for all others."""
    kind = "attachment" if attachment else "inline"
    decomposed = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    ascii_name = " ".join(decomposed.split()).replace('"', "").replace("\\", "")
    if ascii_name == name:
        return f'{kind}; filename="{name}"'
    stem, dot, extension = ascii_name.rpartition(".")
    old = ascii_name if stem.strip() else f"captions{dot}{extension}"
    return f"{kind}; filename=\"{old}\"; filename*=UTF-8''{quote(name, safe='')}"
