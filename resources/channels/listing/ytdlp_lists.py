"""yt-dlp as we use it for lists: their entries one by one, none looked into.

Only the listing's own process (`listing_child`) imports this module.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from yt_dlp.utils import PagedList  # noqa: TID253

from resources.download.bounded_ytdlp import BoundedYoutubeDL
from resources.download.ytdlp_options import ListingJob, ytdlp_options
from ytcaption.domain.errors import SourceError

MAX_HOPS = 5
DEPTH = 3
"""Of lists within lists: a channel's tabs, a show's seasons."""


class ListReader(BoundedYoutubeDL):
    """Reads one list."""

    def __init__(self, job: ListingJob, deno: str | None, keys: Sequence[str] = ()) -> None:
        super().__init__(ytdlp_options(job, deno, keys))
        self._job = job

    def find(self, url: str, extractor: str | None) -> Any:
        """The extractor's own result, its entries not asked for yet.

        Raises:
            SourceError: nothing, or a circle of references; and yt-dlp's own.
        """
        for _ in range(MAX_HOPS):
            found: Any = self.extract_info(url, download=False, ie_key=extractor, process=False)
            if not isinstance(found, dict):
                raise SourceError("The site gave no list at this link.")
            if found.get("_type") not in ("url", "url_transparent"):
                return found
            url, extractor = found["url"], found.get("ie_key")
        raise SourceError("The site's pages refer to each other in a circle.")

    def entries(self, found: Any) -> Iterator[dict[str, Any]]:
        """The wanted entries of a list and of the lists in it, each asked for when it is taken."""
        paged = found.get("entries")
        if isinstance(paged, PagedList):  # any of its pages can be asked for
            return _from_page(paged, self._job.start)
        limit = self._job.size if self._job.each_list else None
        flat = self._flat(found, limit, DEPTH)
        for _ in range(self._job.start):
            next(flat, None)
        return flat

    def _flat(self, found: Any, limit: int | None, depth: int) -> Iterator[dict[str, Any]]:
        taken = 0
        for entry in found.get("entries") or ():
            if not isinstance(entry, dict):
                continue
            if depth > 1 and _is_list(self, entry):
                yield from self._flat(self._opened(entry), limit, depth - 1)
                continue
            yield entry
            taken += 1
            if taken == limit:
                return

    def _opened(self, entry: dict[str, Any]) -> Any:
        if entry.get("_type") in ("playlist", "multi_video"):
            return entry
        return self.find(entry["url"], entry.get("ie_key"))


def _is_list(reader: Any, entry: dict[str, Any]) -> bool:
    if entry.get("_type") in ("playlist", "multi_video"):
        return True
    key = entry.get("ie_key")
    if entry.get("_type") not in ("url", "url_transparent") or not key:
        return False
    return key == "YoutubeTab" or reader.get_info_extractor(key)._RETURN_TYPE == "playlist"


def _from_page(paged: Any, start: int) -> Iterator[dict[str, Any]]:
    at, size = start, paged._pagesize
    while batch := paged.getslice(at, at - at % size + size):
        yield from (entry for entry in batch if isinstance(entry, dict))
        at += len(batch)
