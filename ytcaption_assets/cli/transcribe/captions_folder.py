"""Caption files on disk, with readable names that every file system accepts."""

import re
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    with _writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for each in formats:
            path = directory / f"{stem}{each.extension}"
            path.write_text(render(transcript, each, style), encoding="utf-8", newline="")
            written.append(path)
    return written


def check_folder(directory: Path) -> None:
    """Check that caption files can be written, without creating the folder.

    Raises:
        as `write_captions`.
    """
    with _writing(directory):
        folders = (directory, *directory.absolute().parents)
        existing = next(folder for folder in folders if folder.exists())
        with tempfile.TemporaryFile(dir=existing):
            return


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(f"The disk is full: {directory} could not be written.") from error
        raise FileUnreadable(
            f"{directory} cannot be written: {error.strerror}. Choose another folder with --output."
        ) from error


def safe_title(title: str) -> str:
    """Return the title without separators, control or reserved characters, at most 150 bytes."""
    text = _UNSAFE.sub("_", unicodedata.normalize("NFC", title)).strip(" .")
    cut = text.encode()[:MAX_TITLE_BYTES].decode(errors="ignore").strip(" .")
    return cut or "untitled"
