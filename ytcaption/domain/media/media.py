"""One source of speech: its origin, its description, and its stored audio."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from ytcaption.domain.caption_choice import CaptionOffers
from ytcaption.domain.request import media_id, short_hash

SourceKind = Literal["site", "direct", "upload"]


@dataclass(frozen=True)
class MediaSource:
    """What to fetch, and the id under which it is known.

    Attributes:
        media_id: `youtube-<id>`, `<extractor>-<id>`, `url-<26>` or `upload-<26>`.
        kind: `site` (a yt-dlp extractor of the site list), `direct` (a media URL) or `upload`
            (stored bytes).
        url: canonical http(s) URL; None for an upload.
        extractor: yt-dlp's key of the extractor, such as `Youtube`; None for an upload.
        title: known beforehand, such as an upload's file name.
    """

    media_id: str
    kind: SourceKind
    url: str | None = None
    extractor: str | None = None
    title: str | None = None


def url_media_id(canonical_url: str) -> str:
    """Return `url-<26>`, for every extractor whose ids are not known to be unique (yt-dlp#8596)."""
    return media_id("url", short_hash(canonical_url.encode()))


def upload_media_id(sha256: str) -> str:
    """Return `upload-<26>`, from the hex SHA-256 of the bytes."""
    digest = bytes.fromhex(sha256)
    if len(digest) != hashlib.sha256().digest_size:
        raise ValueError("not a SHA-256")
    return media_id("upload", short_hash(digest))


@dataclass(frozen=True)
class Chapter:
    """A part of the media with a title."""

    start_s: float
    end_s: float
    title: str


@dataclass(frozen=True)
class MediaInfo:
    """The source's description of itself. All of it is untrusted text: shown escaped, never a path.

    Attributes:
        upload_date: ISO date, `2026-11-24`.
        duration_s: as stated by the source, which may be wrong.
        language: as stated by the source.
        captions: None: captions were not searched for.
    """

    title: str | None = None
    channel: str | None = None
    channel_id: str | None = None
    upload_date: str | None = None
    duration_s: float | None = None
    language: str | None = None
    thumbnail_url: str | None = None
    webpage_url: str | None = None
    chapters: tuple[Chapter, ...] = ()
    captions: CaptionOffers | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Parse the output of `to_dict`."""
        chapters = tuple(Chapter(**chapter) for chapter in values.get("chapters", ()))
        offers = values.get("captions")
        captions = CaptionOffers.from_dict(offers) if offers is not None else None
        return cls(**{**values, "chapters": chapters, "captions": captions})

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self) | {"chapters": [asdict(chapter) for chapter in self.chapters]}


@dataclass(frozen=True)
class AudioProbe:
    """What PyAV reads from a file's headers.

    Attributes:
        container: FFmpeg's demuxer name, such as `matroska,webm`.
        duration_s: None where the container does not state it.
    """

    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    duration_s: float | None


@dataclass(frozen=True)
class StoredAudio:
    """Audio in the object store, in the bytes of its source.

    Attributes:
        key: `audio/<media id>.<ext>`.
        sha256: hex, of the bytes.
        duration_s: decoded, or as the container states it.
    """

    key: str
    sha256: str
    size_bytes: int
    duration_s: float | None
    codec: str
    container: str
    sample_rate_hz: int
    channels: int
