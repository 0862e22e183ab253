"""The process that reads lists: one job on stdin, pages of items as JSON lines on stdout.

A feed's bytes are in its working folder; other lists are read by yt-dlp. The process is bound like
the download process: it can reach the egress proxy only, and nothing while it reads a feed.
"""

from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from resources.channels.listing.paging import in_pages
from resources.download.download_child import (
    Report,
    deno_path,
    known_error,
    only_proxy_and_deno,
    serve,
)
from resources.download.protocol import (
    FeedJob,
    FeedRead,
    ListDone,
    ListingEvent,
    ListingJob,
    ListPage,
    NotAFeed,
    read_listing_job,
)
from ytcaption.domain.errors import SingleMedia, UnsupportedSite

FEED_FILE = "feed"
_NO_LIST = (
    "This link is not a feed, not a page with media players, and not on a listed site. Give the "
    "link of the RSS or Atom feed, or add the site to YTCAPTION_SITES."
)


def main() -> None:
    """Read one list."""
    serve(read_listing_job, read_list)


def read_list(job: ListingJob | FeedJob, report: Report) -> ListingEvent:
    """Run one job; return the final event."""
    return _read_feed(job) if isinstance(job, FeedJob) else _read_site(job, report)


def _read_feed(job: FeedJob) -> FeedRead | NotAFeed:
    only_proxy_and_deno(0, None)
    from resources.channels.listing.feed_items import feed_event, read_feed

    feed = read_feed(Path(FEED_FILE).read_bytes(), job.url)
    return feed_event(feed, job.url) if feed.get("version") else NotAFeed()


def _read_site(job: ListingJob, report: Report) -> ListDone:
    deno = deno_path()
    only_proxy_and_deno(urlsplit(job.proxy).port or 0, deno)

    from resources.channels.listing.ytdlp_lists import ListReader
    from resources.download.po_token import load_provider

    provider = job.identity.po_token_provider
    provider_keys = load_provider(provider) if provider else []
    with ListReader(job, deno, provider_keys) as reader:
        try:
            _report_pages(reader, job, report)
        except Exception as failure:
            error = known_error(failure)
            if isinstance(error, UnsupportedSite):
                error = UnsupportedSite(_NO_LIST)
            error.retry_after_s = reader.retry_after_s
            raise error from failure
    return ListDone()


def _report_pages(reader: Any, job: ListingJob, report: Report) -> None:
    from resources.channels.listing.ytdlp_lists import about_list, list_entry

    result = reader.open_list(job.url, job.extractor)
    if result.get("_type") not in ("playlist", "multi_video"):
        if not job.one_is_a_list:
            raise SingleMedia(
                "This is a single video, not a channel: request a transcription of it."
            )
        result = {"entries": [result]}
    report(about_list(result))
    wanted = islice(reader.entries(result), max(0, job.max_items - job.start))
    items = map(list_entry, wanted)
    if job.each_list:
        report(ListPage(tuple(items), start=0, has_more=False))
        return
    for start, page, has_more in in_pages(items, job.start, job.size):
        report(ListPage(tuple(page), start, has_more))


if __name__ == "__main__":
    main()
