"""`Content-Disposition` with a file name (RFC 6266)."""

import unicodedata
from urllib.parse import quote


def content_disposition(name: str, *, attachment: bool) -> str:
    """Return the header: the name in ASCII for old clients and in UTF-8 for all others."""
    kind = "attachment" if attachment else "inline"
    decomposed = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    ascii_name = " ".join(decomposed.split()).replace('"', "").replace("\\", "")
    if ascii_name == name:
        return f'{kind}; filename="{name}"'
    stem, dot, extension = ascii_name.rpartition(".")
    fallback = ascii_name if stem.strip() else f"captions{dot}{extension}"
    return f"{kind}; filename=\"{fallback}\"; filename*=UTF-8''{quote(name, safe='')}"
