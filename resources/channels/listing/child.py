"""The process that reads lists: a job on stdin, pages of items as JSON lines on stdout.

A feed's bytes lie in its working folder; for all other lists it asks yt-dlp. It is bound as the
download's process is: it can reach the egress proxy only, and while it reads a feed nothing.
"""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from resources.channels.listing.paging import in_pages
from resources.download.download_child import deno_path, known_error, only_proxy_and_deno, serve
from ytcaption.domain.errors import SingleMedia, UnsupportedSite

FEED_FILE = "feed"
_NO_LIST = (
    "This link is no feed, no page with players of media, and on no site of the list. Give the "
    "link of the RSS or Atom feed, or add the site to YTCAPTION_SITES."
)

Tell = Callable[..., None]


def main() -> None:
    """Read one list."""
    serve(read_list)


def read_list(order: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Carry out one job; the final event."""
    del order["max_bytes"]
    if order["kind"] == "feed":
        return _read_feed(order["url"])
    return _read_site(order, tell)


def _read_feed(url: str) -> dict[str, Any]:
    only_proxy_and_deno(0, None)
    from resources.channels.listing.feed_items import about_feed, feed_items, read_feed

    feed = read_feed(Path(FEED_FILE).read_bytes(), url)
    if not feed.get("version"):
        return {"event": "no_feed"}
    return {"event": "feed", "items": feed_items(feed, url), **about_feed(feed, url)}


def _read_site(order: dict[str, Any], tell: Tell) -> dict[str, Any]:
    deno = deno_path()
    only_proxy_and_deno(urlsplit(order["proxy"]).port or 0, deno)

    from resources.channels.listing.ytdlp_lists import ListReader
    from resources.download.po_token import load_provider
    from resources.download.ytdlp_options import ListingJob

    job = ListingJob(**order)
    keys = load_provider(job.po_token_provider) if job.po_token_provider else []
    with ListReader(job, deno, keys) as reader:
        try:
            _tell_pages(reader, job, tell)
        except Exception as failure:
            error = known_error(failure)
            if isinstance(error, UnsupportedSite):
                error = UnsupportedSite(_NO_LIST)
            error.retry_after_s = reader.retry_after_s
            raise error from failure
    return {"event": "done"}


def _tell_pages(reader: Any, job: Any, tell: Tell) -> None:
    from resources.channels.listing.entries import about_list, listed_item

    found = reader.find(job.url, job.extractor)
    if found.get("_type") not in ("playlist", "multi_video"):
        if not job.one_is_a_list:
            raise SingleMedia("This is one video: ask for it as a transcription.")
        found = {"entries": [found]}
    tell(event="about", **about_list(found))
    wanted = islice(reader.entries(found), max(0, job.max_items - job.start))
    items = map(listed_item, wanted)
    if job.each_list:
        tell(event="page", items=list(items), start=0, more=False)
        return
    for start, page, more in in_pages(items, job.start, job.size):
        tell(event="page", items=page, start=start, more=more)


if __name__ == "__main__":
    main()
