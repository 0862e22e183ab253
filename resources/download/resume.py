"""Decides whether a partial file may be continued: only if the server has the same bytes."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

MEDIA_FILE = "media"
PARTIAL_FILE = "media.part"
STATE_FILE = "media.json"
TRACK_FILE = "captions"
REFERENCE_FILE = "reference"


@dataclass(frozen=True)
class Version:
    """What a server states about the bytes of a URL. None: not stated."""

    etag: str | None = None
    last_modified: str | None = None
    total_bytes: int | None = None

    def differs_from(self, other: "Version") -> bool:
        """Return whether a value that both versions state differs."""
        mine, theirs = asdict(self), asdict(other)
        return any(
            mine[name] != theirs[name]
            for name in mine
            if mine[name] is not None and theirs[name] is not None
        )

    @property
    def condition(self) -> str | None:
        """Return the value of If-Range (RFC 9110 13.1.5): a strong ETag, else the date."""
        if self.etag is not None and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified


class Headers(Protocol):
    """Headers of a response, whose names may be in any case."""

    def get(self, name: str, /) -> str | None:
        """Return the value of a header."""
        ...


def version_of(status: int, headers: Headers) -> Version:
    """Return the version of the bytes in a response with status 200 or 206."""
    total = headers.get("Content-Length")
    if status == 206:
        total = (headers.get("Content-Range") or "").rpartition("/")[2]
    return Version(
        headers.get("ETag"),
        headers.get("Last-Modified"),
        int(total) if total and total.isascii() and total.isdigit() else None,
    )


@dataclass(frozen=True)
class _State:
    media_id: str
    format_id: str
    version: Version


class ResumeState:
    """The state of a partial download in a folder. Parts of another version are removed.

    Args:
        format_id: yt-dlp's, for a stream with the hash of its list of parts.
        in_parts: a stream, whose complete parts are kept; else one file that grows.
    """

    def __init__(self, folder: Path, media_id: str, format_id: str, *, in_parts: bool) -> None:
        self._folder = folder
        self._path = folder / STATE_FILE
        self._state = _State(media_id, format_id, Version())
        earlier = self._read()
        if earlier is not None and earlier == replace(self._state, version=earlier.version):
            self._state = earlier
            stale = [PARTIAL_FILE, f"{PARTIAL_FILE}-Frag*.part"] if in_parts else []
        else:
            stale = [MEDIA_FILE, PARTIAL_FILE, f"{PARTIAL_FILE}-Frag*"]
        self._remove(*stale)
        self._write()

    @property
    def version(self) -> Version:
        """Return the version of the bytes in the partial file."""
        return self._state.version

    def begin(self, version: Version) -> None:
        """Record the version of a file that begins now."""
        if version != self._state.version:
            self._state = replace(self._state, version=version)
            self._write()

    def finish(self) -> None:
        """Remove the parts of a complete media."""
        self._remove(f"{PARTIAL_FILE}-Frag*")

    def _remove(self, *patterns: str) -> None:
        for pattern in patterns:
            for path in self._folder.glob(pattern):
                path.unlink(missing_ok=True)

    def _read(self) -> _State | None:
        try:
            value = json.loads(self._path.read_bytes())
            return _State(value["media_id"], value["format_id"], Version(**value["version"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _write(self) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self._state)))
        temporary.replace(self._path)
