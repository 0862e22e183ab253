"""The items of an RSS or Atom feed. Only the listing process (`child`) imports this module.

All of it is untrusted text. feedparser accepts any input; what is not a feed has no items.
"""

import calendar
import io
import re
import time
from collections.abc import Iterator
from typing import Any

import feedparser

from resources.download.protocol import FeedRead, ListEntry
from ytcaption.domain.errors import SourceError
from ytcaption.domain.media.urls import joined_url

MAX_ITEMS = 100_000
_MEDIA_TYPE = re.compile(r"(audio|video)/.+|application/(ogg|octet-stream|.*mpegurl|x-.*audio.*)|")
_REFERENCE = re.compile(rb"&#(?:[xX]([0-9a-fA-F]+)|([0-9]+));")
_REPLACEMENT = b"&#xFFFD;"
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)")


def read_feed(body: bytes, url: str) -> Any:
    """Return the parsed feed; `version` is empty if it is not a feed.

    Args:
        url: relative links are resolved against it.

    Raises:
        SourceError: feedparser fails.
    """
    try:
        # A stream, because feedparser would open a string as a URL or file.
        return feedparser.parse(
            io.BytesIO(_REFERENCE.sub(_encodable, body)),
            response_headers={"content-location": url, "content-type": "application/xml"},
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    except Exception as error:
        raise SourceError(f"The feed cannot be parsed ({type(error).__name__}).") from error


def _encodable(reference: re.Match[bytes]) -> bytes:
    """Return the character reference, or that of U+FFFD if feedparser could not encode it."""
    digits = reference[1] or reference[2]
    number = int(digits[-16:], 16 if reference[1] else 10)
    is_character = number < 0xD800 or 0xDFFF < number <= 0x10FFFF
    return reference[0] if len(digits.lstrip(b"0")) < 16 and is_character else _REPLACEMENT


def feed_event(feed: Any, url: str) -> FeedRead:
    """Return the feed's items that may have media, its title and its next part (RFC 5005)."""
    links = feed.feed.get("links") or []
    next_href = next((link.get("href") for link in links if link.get("rel") == "next"), None)
    title = feed.feed.get("title")
    return FeedRead(
        tuple(feed_items(feed, url)),
        title if isinstance(title, str) else None,
        joined_url(url, next_href) if next_href else None,
    )


def feed_items(feed: Any, url: str) -> list[ListEntry]:
    """Return the feed's items that may have media, newest first."""
    items = []
    for entry in feed.entries[:MAX_ITEMS]:
        media = next(_media_of(entry), {})
        link = media.get("href") or media.get("url") or entry.get("link")
        if not link:
            continue
        title = entry.get("title")
        item = ListEntry(
            joined_url(url, link.strip()) or link,  # refused and counted by `ItemMaker`
            is_page=not media,
            title=title if isinstance(title, str) else None,
            timestamp=_timestamp(entry),
            duration_s=_seconds(entry.get("itunes_duration") or media.get("duration")),
            audio_bytes=_count(media.get("length") or media.get("filesize")),
        )
        items.append(item)
    # Some feeds begin with the oldest. If an item has no date, the order of the feed is kept.
    if all(item.timestamp is not None for item in items):
        items.sort(key=lambda item: item.timestamp, reverse=True)
    return items


def _media_of(entry: Any) -> Iterator[Any]:
    for enclosure in entry.get("enclosures") or ():
        if _MEDIA_TYPE.fullmatch((enclosure.get("type") or "").lower()):
            yield enclosure
    for content in entry.get("media_content") or ():
        kind = (content.get("type") or content.get("medium") or "").lower()
        if content.get("medium") in ("audio", "video") or kind.startswith(("audio/", "video/")):
            yield content


def _timestamp(entry: Any) -> float | None:
    parsed: time.struct_time | None = entry.get("published_parsed") or entry.get("updated_parsed")
    try:
        return float(calendar.timegm(parsed)) if parsed is not None else None
    except (ValueError, OverflowError):
        return None


def _seconds(text: Any) -> float | None:
    """Return the seconds of `1:02:03`, `62:03` or `3723`; None for anything else, and for zero."""
    match = _CLOCK.fullmatch(str(text or "").strip()[:20])
    if match is None:
        return None
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds or None


def _count(text: Any) -> int | None:
    digits = str(text or "").strip()
    # Some feeds state 0 or 1 if the size is unknown.
    return int(digits) if digits.isascii() and digits.isdigit() and 1 < len(digits) < 16 else None
