"""Checks whether a media file is as long as its own headers say.

FFmpeg plays a truncated file to its last byte and reports success, so an interrupted download would
pass for a shorter recording. MP4 boxes, RIFF chunks, Matroska segments, Ogg pages and the Xing
header of an MP3 state their length. FLAC and similar formats state their number of samples: that is
compared after decoding.
"""

import struct
from pathlib import Path
from typing import BinaryIO

_TOLERATED = 0.01
"""Share of the stated length that may be missing. Some writers count their own header wrongly; that
loses no word."""

_OGG_PAGE_BYTES = 65_307  # the longest there is, RFC 3533
_MAX_BOXES = 100_000
_UNKNOWN_RIFF_SIZE = 0x7FFF_0000  # streams are written with 0x7FFFFFFF, 0xFFFFFFFF and neighbours


def is_cut_short(path: Path) -> bool:
    """Return whether the file ends before its structure does; False if no length is stated."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp"):
            return _mp4_is_cut(file, size)
        if head[:4] in (b"RIFF", b"RIFX") and head[8:12] in (b"WAVE", b"AVI "):
            return _riff_is_cut(head, size)
        if head[:4] == b"\x1aE\xdf\xa3":
            return _matroska_is_cut(file, size)
        if head[:4] == b"OggS":
            return _ogg_is_cut(file, size)
    return False


def stated_mp3_bytes(path: Path) -> int | None:
    """Return the size that the Xing or Info header states; None without such a header."""
    with path.open("rb") as file:
        start = 0
        while (head := file.read(10))[:3] == b"ID3" and len(head) == 10:
            shifts = zip(head[6:], (21, 14, 7, 0), strict=True)
            start += 10 + sum((byte & 0x7F) << shift for byte, shift in shifts)
            file.seek(start)
        file.seek(start)
        frame = file.read(2_048)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or len(frame) < at + 16:
        return None
    flags, first, second = struct.unpack(">III", frame[at + 4 : at + 16])
    if not flags & 2:
        return None
    return start + (second if flags & 1 else first)


def is_short_of(size: int, stated: int) -> bool:
    """Return whether enough of the stated size is missing to lose speech."""
    return stated - size > _TOLERATED * stated


def _mp4_is_cut(file: BinaryIO, size: int) -> bool:
    position, indexed, fragmented = 0, False, False
    for _ in range(_MAX_BOXES):
        if position >= size:
            break
        file.seek(position)
        head = file.read(16)
        if len(head) < 8:
            return True
        length, kind = struct.unpack(">I4s", head[:8])
        if not kind.isalnum():
            break  # padding after the last box; players also stop here
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        elif length == 0:
            length = size - position  # to the end of the file, by definition
        if length < 8:
            break
        if position + length > size:
            # A fragment does not state how many should follow it: any cut counts.
            return not indexed or fragmented or is_short_of(size, position + length)
        indexed = indexed or kind == b"moov"
        fragmented = fragmented or kind == b"moof"
        position += length
    return not indexed


def _riff_is_cut(head: bytes, size: int) -> bool:
    stated = struct.unpack("<I" if head[:4] == b"RIFF" else ">I", head[4:8])[0]
    return 0 < stated < _UNKNOWN_RIFF_SIZE and is_short_of(size, stated + 8)


def _matroska_is_cut(file: BinaryIO, size: int) -> bool:
    position = 0
    for _ in range(3):  # EBML header, perhaps a Void, the Segment
        file.seek(position)
        head = file.read(16)
        if len(head) < 6:
            return True
        id_length = 9 - head[0].bit_length()
        length_at = head[id_length]
        length_length = 9 - length_at.bit_length()
        if not 1 <= id_length <= 4 or not 1 <= length_length <= 8:
            return False
        raw = int.from_bytes(head[id_length : id_length + length_length])
        length = raw & ((1 << 7 * length_length) - 1)
        unknown = length == (1 << 7 * length_length) - 1
        body = position + id_length + length_length
        if head[:4] == b"\x18S\x80g":
            return not unknown and is_short_of(size, body + length)
        position = body + length
    return False


def _ogg_is_cut(file: BinaryIO, size: int) -> bool:
    start = max(0, size - _OGG_PAGE_BYTES)
    file.seek(start)
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if not page.startswith(b"OggS"):
        return False
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return 27 + page[26] + sum(page[27 : 27 + page[26]]) > len(page)
