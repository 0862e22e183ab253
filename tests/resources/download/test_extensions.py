"""Extensions are of our list, by the bytes."""

from pathlib import Path

import pytest

from resources.download.extensions import EXTENSIONS, extension_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("head", "extension"),
    [
        (b"fLaC\x00", "flac"),
        (b"OggS" + bytes(24) + b"OpusHead", "opus"),
        (b"OggS" + bytes(24) + b"\x01vorbis", "ogg"),
        (b"ID3\x04", "mp3"),
        (b"\xff\xfb\x90\x64", "mp3"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "wav"),
        (b"\x00\x00\x00\x20ftypM4A ", "m4a"),
        (b"\x00\x00\x00\x20ftypisom", "mp4"),
        (b"\x1a\x45\xdf\xa3\x01\x42\x82\x84webm", "webm"),
        (b"\x1a\x45\xdf\xa3\x01\x42\x82\x88matroska", "mkv"),
        (b"\x47" + bytes(187) + b"\x47", "ts"),
    ],
)
def test_the_bytes_decide(tmp_path: Path, head: bytes, extension: str) -> None:
    """What a site states does not matter where the first bytes tell."""
    path = tmp_path / "media"
    path.write_bytes(head + bytes(300))
    assert extension_of(path, "exe") == extension
    assert extension in EXTENSIONS


@pytest.mark.parametrize(
    ("stated", "extension"),
    [("mp3", "mp3"), ("exe", "bin"), ("../x", "bin"), (None, "bin"), (7, "bin"), ("MP3\n", "bin")],
)
def test_what_is_stated_counts_only_from_our_list(
    tmp_path: Path, stated: object, extension: str
) -> None:
    """Unknown bytes keep a listed extension and no other."""
    path = tmp_path / "media"
    path.write_bytes(b"?" * 10)
    assert extension_of(path, stated) == extension
    path.write_bytes(b"")
    assert extension_of(path, stated) == extension
