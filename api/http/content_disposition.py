"""`Content-Disposition` with a file name (RFC 6266), as it is sent and as it is received."""

import unicodedata
from email.message import Message
from urllib.parse import quote

MAX_LENGTH = 2_048
"""Longest header with parameters that is parsed: the time to parse one grows with the square of its
length, and a file system's names have at most 255 bytes."""

_CHARSETS = {"utf-8", "iso-8859-1"}
"""Those that RFC 5987 requires. Python knows others which decode to anything."""


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


def sent_file_name(header: str) -> str | None:
    """Return the file name in a received header; None if it has none that can be read."""
    if len(header) > MAX_LENGTH:
        return None
    message = Message()
    message["Content-Disposition"] = header.encode("latin-1").decode("utf-8", "replace")
    match message.get_param("filename", header="Content-Disposition"):
        case str(name):
            return name
        case (charset, _, str(encoded)) if str(charset).lower() in _CHARSETS:
            # Each character stands for one byte (RFC 5987 section 3.2.1).
            return encoded.encode("latin-1", "replace").decode(str(charset), "replace")
    return None
