"""Caption files on disk, with readable names that every file system accepts."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from resources.disk import is_disk_full
from ytcaption.domain.captions.cues import CaptionStyle
from ytcaption.domain.captions.formats import CaptionFormat, render
from ytcaption.domain.errors import DiskFull, FileUnreadable
from ytcaption.domain.transcripts.transcript import Transcript

MAX_TITLE_BYTES = 150
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')


def write_captions(
    transcript: Transcript,
    title: str,
    formats: Sequence[CaptionFormat],
    directory: Path,
    style: CaptionStyle,
) -> list[Path]:
    """Write one file per format, `<title> [<media id>].<ext>`, and return their paths.

    Existing files are replaced.

    Raises:
        FileUnreadable: the folder cannot be written.
        DiskFull: no space left.
    """
    stem = f"{safe_title(title)} [{transcript.media_id}]".strip()
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for each in formats:
            path = directory / f"{stem}{each.extension}"
            path.write_text(render(transcript, each, style), encoding="utf-8", newline="")
            written.append(path)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(f"The disk is full: {directory} could not be written.") from error
        raise FileUnreadable(
            f"{directory} cannot be written: {error.strerror}. Choose another folder with --output."
        ) from error
    return written


def safe_title(title: str) -> str:
    """Return the title without separators, control or reserved characters, at most 150 bytes."""
    text = _UNSAFE.sub("_", unicodedata.normalize("NFC", title)).strip(" .")
    cut = text.encode()[:MAX_TITLE_BYTES].decode(errors="ignore").strip(" .")
    return cut or "untitled"
