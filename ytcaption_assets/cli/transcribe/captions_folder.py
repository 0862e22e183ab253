"""Captions on disk, under names that a person recognises and every file system takes."""

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
    """One file a format, `<title> [<media id>].<ext>`, replaced if there.

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
            f"{directory} cannot be written: {error.strerror}. Name another folder by --output."
        ) from error
    return written


def safe_title(title: str) -> str:
    """A file name part: no separator, control or reserved character, at most 150 bytes."""
    text = _UNSAFE.sub("_", unicodedata.normalize("NFC", title)).strip(" .")
    cut = text.encode()[:MAX_TITLE_BYTES].decode(errors="ignore").strip(" .")
    return cut or "untitled"
