"""The process that reads lists: one job on stdin, pages of items as JSON lines on stdout.

A feed's bytes are in its working folder; other lists are read by yt-dlp. The process is bound like
the download process: it can reach the egress proxy only, and nothing while it reads a feed.
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
    "This link is not a feed, not a page with media players, and not on a listed site. Give the "
    "link of the RSS or Atom feed, or add the site to YTCAPTION_SITES."
)

Send = Callable[..., None]


def main() -> None:
    """Read one list."""
    serve(read_list)


def read_list(job_values: dict[str, Any], send: Send) -> dict[str, Any]:
    """Run one job; return the final event."""
    del job_values["max_bytes"]
    if job_values["kind"] == "feed":
        return _read_feed(job_values["url"])
    return _read_site(job_values, send)


def _read_feed(url: str) -> dict[str, Any]:
    only_proxy_and_deno(0, None)
    from resources.channels.listing.feed_items import about_feed, feed_items, read_feed

    feed = read_feed(Path(FEED_FILE).read_bytes(), url)
    if not feed.get("version"):
        return {"event": "no_feed"}
    return {"event": "feed", "items": feed_items(feed, url), **about_feed(feed, url)}


def _read_site(job_values: dict[str, Any], send: Send) -> dict[str, Any]:
    deno = deno_path()
    only_proxy_and_deno(urlsplit(job_values["proxy"]).port or 0, deno)

    from resources.channels.listing.ytdlp_lists import ListReader
    from resources.download.po_token import load_provider
    from resources.download.ytdlp_options import ListingJob

    job = ListingJob(**job_values)
    api_keys = load_provider(job.po_token_provider) if job.po_token_provider else []
    with ListReader(job, deno, api_keys) as reader:
        try:
            _send_pages(reader, job, send)
        except Exception as failure:
            error = known_error(failure)
            if isinstance(error, UnsupportedSite):
                error = UnsupportedSite(_NO_LIST)
            error.retry_after_s = reader.retry_after_s
            raise error from failure
    return {"event": "done"}


def _send_pages(reader: Any, job: Any, send: Send) -> None:
    from resources.channels.listing.ytdlp_lists import about_list, entry_item

    result = reader.open_list(job.url, job.extractor)
    if result.get("_type") not in ("playlist", "multi_video"):
        if not job.one_is_a_list:
            raise SingleMedia("This is one video: request it as a transcription.")
        result = {"entries": [result]}
    send(event="about", **about_list(result))
    wanted = islice(reader.entries(result), max(0, job.max_items - job.start))
    items = map(entry_item, wanted)
    if job.each_list:
        send(event="page", items=list(items), start=0, more=False)
        return
    for start, page, more in in_pages(items, job.start, job.size):
        send(event="page", items=page, start=start, more=more)


if __name__ == "__main__":
    main()
