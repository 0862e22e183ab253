"""yt-dlp for lists: their entries one by one, unopened, and each entry as a message.

Only the listing process (`child`) imports this module.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from yt_dlp.utils import PagedList, unsmuggle_url  # noqa: TID253

from resources.download.bounded_ytdlp import BoundedYoutubeDL
from resources.download.description import seconds, size_bytes
from resources.download.protocol import ListAbout, ListEntry, ListingJob
from resources.download.ytdlp_options import ytdlp_options
from ytcaption.domain.channels.channel import LiveStatus
from ytcaption.domain.errors import SourceError

MAX_REFERENCES = 5
MAX_DEPTH = 3
"""Maximum depth of lists within lists, such as a channel's tabs or a show's seasons."""

_MOST_ITEMS = 2**31 - 1
_LAST_TIMESTAMP = 1e11
"""In the year 5138; JSON has numbers that no float can hold."""

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
# A stream that has just ended has no complete recording yet.
_LIVE: Mapping[str, LiveStatus] = {
    "is_upcoming": "upcoming",
    "is_live": "live",
    "post_live": "live",
    "was_live": "over",
}


class ListReader(BoundedYoutubeDL):
    """Reads one list."""

    def __init__(self, job: ListingJob, deno: str | None, keys: Sequence[str] = ()) -> None:
        super().__init__(ytdlp_options(job, deno, keys))
        self._job = job

    def open_list(self, url: str, extractor: str | None) -> Any:
        """Return the extractor's result; its entries are not requested yet.

        Raises:
            SourceError: no list, or a circle of references; and yt-dlp's own errors.
        """
        for _ in range(MAX_REFERENCES):
            result: Any = self.extract_info(url, download=False, ie_key=extractor, process=False)
            if not isinstance(result, dict):
                raise SourceError("The site gave no list at this link.")
            if result.get("_type") not in ("url", "url_transparent"):
                return result
            url, extractor = _text(result.get("url")) or "", result.get("ie_key")
        raise SourceError("The site's pages refer to each other in a circle.")

    def entries(self, result: Any) -> Iterator[dict[str, Any]]:
        """Yield the wanted entries of a list and of the lists in it, requested one by one."""
        entry_source = result.get("entries")
        if isinstance(entry_source, PagedList):  # each of its pages can be requested alone
            return _from_page(entry_source, self._job.start)
        limit = self._job.size if self._job.each_list else None
        flat = self._flat(result, limit, MAX_DEPTH)
        for _ in range(self._job.start):
            next(flat, None)
        return flat

    def _flat(self, result: Any, limit: int | None, depth: int) -> Iterator[dict[str, Any]]:
        count = 0
        for entry in result.get("entries") or ():
            if not isinstance(entry, dict):
                continue
            if depth > 1 and _is_list(self, entry):
                yield from self._flat(self._open_entry(entry), limit, depth - 1)
                continue
            yield entry
            count += 1
            if count == limit:
                return

    def _open_entry(self, entry: dict[str, Any]) -> Any:
        if entry.get("_type") in ("playlist", "multi_video"):
            return entry
        return self.open_list(entry["url"], entry.get("ie_key"))


def _is_list(reader: Any, entry: dict[str, Any]) -> bool:
    if entry.get("_type") in ("playlist", "multi_video"):
        return True
    key = entry.get("ie_key")
    is_reference = entry.get("_type") in ("url", "url_transparent") and _text(entry.get("url"))
    if not is_reference or not _text(key):
        return False
    return key == "YoutubeTab" or reader.get_info_extractor(key)._RETURN_TYPE == "playlist"


def _from_page(pages: Any, start: int) -> Iterator[dict[str, Any]]:
    at, size = start, pages._pagesize
    while batch := pages.getslice(at, at - at % size + size):
        yield from (entry for entry in batch if isinstance(entry, dict))
        at += len(batch)


def about_list(result: Any) -> ListAbout:
    """Return what a list says about itself."""
    total = result.get("playlist_count")
    return ListAbout(
        _text(result.get("title")) or _text(result.get("channel")),
        _text(result.get("channel")),
        _text(result.get("channel_id")),
        total if isinstance(total, int) and 0 <= total <= _MOST_ITEMS else None,
    )


def list_entry(entry: Any) -> ListEntry:
    """Return one of yt-dlp's entries as a message, whatever its fields hold.

    An entry whose URL cannot be read has an empty one, which `ItemMaker` refuses and counts.
    """
    title = entry.get("title")
    unavailable = _AVAILABILITY.get(_text(entry.get("availability")) or "")
    return ListEntry(
        _url(entry),
        title=_text(title),
        timestamp=_timestamp(entry),
        duration_s=seconds(entry.get("duration")),
        live=_LIVE.get(_text(entry.get("live_status")) or ""),
        unavailable=_UNAVAILABLE.get(str(title), unavailable),
        audio_bytes=size_bytes(entry.get("filesize")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _url(entry: Any) -> str:
    """Return the URL of the item's page, or of the media itself."""
    if entry.get("_type") in ("url", "url_transparent"):
        url = _unsmuggled(_text(entry.get("url")) or "")
        # Some entries name YouTube's video by its id alone.
        bare = entry.get("ie_key") == "Youtube" and "://" not in url
        return f"https://www.youtube.com/watch?v={url}" if bare else url
    formats = entry.get("formats")
    best = formats[-1] if isinstance(formats, list) and formats else entry
    if not isinstance(best, dict):
        best = entry
    url = best.get("manifest_url") or best.get("url") or entry.get("webpage_url")
    return _text(url) or ""


def _unsmuggled(url: str) -> str:
    """Return the URL without the data that yt-dlp's extractors pass on in it."""
    try:
        return unsmuggle_url(url)[0]
    except (ValueError, KeyError):  # written by the site itself
        return ""


def _timestamp(entry: Any) -> float | None:
    for name in ("timestamp", "release_timestamp"):
        stated = entry.get(name)
        if isinstance(stated, int | float) and abs(stated) < _LAST_TIMESTAMP:
            return float(stated)
    try:
        day = datetime.strptime(_text(entry.get("upload_date")) or "", "%Y%m%d")
    except ValueError:
        return None
    return day.replace(tzinfo=UTC).timestamp()
