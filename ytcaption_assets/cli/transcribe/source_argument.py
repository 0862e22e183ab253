"""Tells files from URLs on the command line."""

import re
from pathlib import Path

from ytcaption.domain.errors import FileUnreadable

SAMPLE = Path(__file__).parents[2] / "sample" / "jfk.flac"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def file_named(name: str) -> Path | None:
    """Return the path of the file, or None for a URL.

    Raises:
        FileUnreadable: it looks like a path, but there is no such file.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise FileUnreadable(
            f"{name} is a folder. Name the files in it, such as {name.rstrip('/')}/*.mp4."
        )
    if _SCHEME.match(name) or not _looks_like_path(name):
        return None
    raise FileUnreadable(f"There is no file {name}. A URL begins with https://.")


def _looks_like_path(name: str) -> bool:
    return name.startswith(("/", ".", "~")) or "/" in name or Path(name).suffix != ""
