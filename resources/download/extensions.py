"""The file extension of a download: one of a fixed list, by its first bytes."""

from pathlib import Path

EXTENSIONS = frozenset(
    {"aac", "ac3", "aiff", "amr", "avi", "caf", "flac", "flv", "m4a", "mka", "mkv", "mov", "mp3"}
    | {"mp4", "mpg", "oga", "ogg", "opus", "ts", "wav", "webm", "wma", "wmv", "3gp"}
)
UNKNOWN = "bin"

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
    (0, b"FORM", "aiff"),
    (0, b"caff", "caf"),
    (0, b"FLV\x01", "flv"),
    (0, b"#!AMR", "amr"),
    (0, b"\x30\x26\xb2\x75", "wma"),
    (0, b"\x00\x00\x01\xba", "mpg"),
    (8, b"WAVE", "wav"),
    (8, b"AVI ", "avi"),
    (4, b"ftypM4A", "m4a"),
    (4, b"ftypqt", "mov"),
    (4, b"ftyp3g", "3gp"),
    (4, b"ftyp", "mp4"),
)


def extension_of(path: Path, stated: object) -> str:
    """Return the extension by the first bytes, else the stated one if it is listed, else `bin`.

    Args:
        stated: by the site; it is only compared with the list.
    """
    with path.open("rb") as file:
        head = file.read(1024)
    for offset, magic, extension in _MAGIC:
        if head.startswith(magic, offset):
            return "opus" if extension == "ogg" and b"OpusHead" in head else extension
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head else "mkv"
    if head[:1] == b"\x47" and head[188:189] == b"\x47":
        return "ts"
    if head[:1] == b"\xff" and len(head) > 1:
        if head[1] & 0xF6 == 0xF0:
            return "aac"
        if head[1] & 0xE0 == 0xE0:
            return "mp3"
    return stated if isinstance(stated, str) and stated in EXTENSIONS else UNKNOWN
