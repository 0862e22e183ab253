"""Turns yt-dlp's description of a media item into a MediaInfo: untrusted text, cleaned and cut."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import unquote, urlsplit

from ytcaption.domain.errors import InvalidUrl
from ytcaption.domain.media.media import Chapter, MediaInfo
from ytcaption.domain.media.urls import parse_url

MAX_TITLE = 500
MAX_NAME = 200
MAX_CHAPTERS = 1_000
MAX_SECONDS = 10 * 365 * 24 * 3600
MAX_SIZE_BYTES = 1 << 50
"""A petabyte. Postgres cannot store any number that a page may state."""
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")
# File names without meaning; the folder's name is used instead.
_NAMELESS = frozenset({"index", "master", "playlist", "manifest", "chunklist", "video", "audio"})


def media_info(info_dict: Mapping[str, Any], page: str, *, direct: bool) -> MediaInfo:
    """Return the MediaInfo of yt-dlp's `info_dict`.

    Args:
        page: the canonical URL that was requested.
        direct: a media URL: its title is its file name, and little else is known of it.
    """
    duration_s = seconds(info_dict.get("duration"))
    language = text(info_dict.get("language"), MAX_NAME)
    language = language if language and _LANGUAGE.fullmatch(language) else None
    if direct:
        title = file_title(page)
        return MediaInfo(title=title, duration_s=duration_s, language=language, webpage_url=page)
    return MediaInfo(
        title=text(info_dict.get("title"), MAX_TITLE),
        channel=_first_text(info_dict, "channel", "uploader", "creator", "artist"),
        channel_id=_first_text(info_dict, "channel_id", "uploader_id"),
        upload_date=_iso_date(info_dict.get("upload_date") or info_dict.get("release_date")),
        duration_s=duration_s,
        language=language,
        thumbnail_url=_web_url(info_dict.get("thumbnail")),
        webpage_url=_web_url(info_dict.get("webpage_url")) or page,
        chapters=_chapters(info_dict.get("chapters")),
    )


def text(value: object, limit: int) -> str | None:
    """Return one line without control and formatting characters, cut; None if nothing is left."""
    if not isinstance(value, str):
        return None
    # Formatting characters (Cf) include bidi overrides, which reorder the text around them.
    visible = "".join(
        " " if unicodedata.category(character) in ("Cc", "Zl", "Zp") else character
        for character in value[: limit * 4]
        if unicodedata.category(character) not in ("Cf", "Cs", "Co", "Cn")
    )
    return " ".join(visible.split())[:limit].strip() or None


def seconds(value: object) -> float | None:
    """Return a positive finite number of seconds; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < MAX_SECONDS else None


def size_bytes(value: object) -> int | None:
    """Return a positive size below `MAX_SIZE_BYTES`; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < MAX_SIZE_BYTES else None


def file_title(url: str) -> str | None:
    """Return the file's name without its extension; the folder's if that has no meaning."""
    parts = urlsplit(url)
    for segment in reversed(parts.path.split("/")):
        stem, _, extension = unquote(segment).rpartition(".")
        name = text(stem if stem and len(extension) <= 5 else unquote(segment), MAX_TITLE)
        if name and name.lower() not in _NAMELESS:
            return name
    return text(parts.hostname, MAX_TITLE)


def _first_text(info_dict: Mapping[str, Any], *names: str) -> str | None:
    return next((value for name in names if (value := text(info_dict.get(name), MAX_NAME))), None)


def _iso_date(value: object) -> str | None:
    try:
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else None
    except ValueError:
        return None


def _web_url(value: object) -> str | None:
    try:
        return str(parse_url(value)) if isinstance(value, str) else None
    except InvalidUrl:
        return None


def _chapters(value: object) -> tuple[Chapter, ...]:
    kept = []
    for chapter in value[:MAX_CHAPTERS] if isinstance(value, list) else ():
        if not isinstance(chapter, dict):
            continue
        start_s = seconds(chapter.get("start_time")) or 0.0
        end_s, title = seconds(chapter.get("end_time")), text(chapter.get("title"), MAX_TITLE)
        if title and end_s is not None and start_s < end_s:
            kept.append(Chapter(start_s=start_s, end_s=end_s, title=title))
    return tuple(kept)
