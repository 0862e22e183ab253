"""yt-dlp's entries as plain items. Only the listing's own process imports this module."""

from datetime import UTC, datetime
from typing import Any

from yt_dlp.utils import unsmuggle_url  # noqa: TID253

from resources.download.description import seconds

_UNAVAILABLE = {
    "[Private video]": "private",
    "[Deleted video]": "deleted",
    "[Unavailable video]": "unavailable",
}
_AVAILABILITY = {
    "private": "private",
    "premium_only": "members_only",
    "subscriber_only": "members_only",
    "needs_auth": "login",
}
# What has just ended has no complete recording yet.
_LIVE = {"is_upcoming": "upcoming", "is_live": "live", "post_live": "live", "was_live": "over"}


def about_list(found: Any) -> dict[str, Any]:
    """What a list says of itself."""
    total = found.get("playlist_count")
    return {
        "title": found.get("title") or found.get("channel"),
        "channel": found.get("channel"),
        "channel_id": found.get("channel_id"),
        "total": total if isinstance(total, int) else None,
    }


def listed_item(entry: Any) -> dict[str, Any]:
    """One entry as `feed_items` tells its own, with `live` and `unavailable`."""
    title = entry.get("title")
    unavailable = _AVAILABILITY.get(entry.get("availability") or "")
    size = entry.get("filesize")
    return {
        "url": _url(entry),
        "maybe": False,
        "title": title if isinstance(title, str) else None,
        "timestamp": _timestamp(entry),
        "duration_s": seconds(entry.get("duration")),
        "live": _LIVE.get(entry.get("live_status") or ""),
        "unavailable": _UNAVAILABLE.get(str(title), unavailable),
        "audio_bytes": size if isinstance(size, int) else None,
    }


def _url(entry: Any) -> str:
    """Where the item is: its page, or the media itself."""
    if entry.get("_type") in ("url", "url_transparent"):
        url = unsmuggle_url(entry["url"])[0]
        # Some entries name YouTube's video by its id alone.
        bare = entry.get("ie_key") == "Youtube" and "://" not in url
        return f"https://www.youtube.com/watch?v={url}" if bare else url
    best = (entry.get("formats") or [entry])[-1]
    url = best.get("manifest_url") or best.get("url") or entry.get("webpage_url")
    return url if isinstance(url, str) else ""


def _timestamp(entry: Any) -> float | None:
    for name in ("timestamp", "release_timestamp"):
        if isinstance(entry.get(name), int | float):
            return float(entry[name])
    try:
        day = datetime.strptime(entry.get("upload_date") or "", "%Y%m%d")
    except ValueError:
        return None
    return day.replace(tzinfo=UTC).timestamp()
