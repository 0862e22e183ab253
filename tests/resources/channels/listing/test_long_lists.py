"""A channel of ten thousand items, read to the end."""

import contextlib
import time
from collections.abc import Callable

import psutil
import pytest

from tests.resources.channels.listings import ids, lister
from tests.support.channel_feeds import rss
from tests.support.servers.channel_host import ChannelHost
from tests.support.servers.youtube_host import (
    YouTubeHost,
    videos,
)

Record = Callable[[str, object], None]

ITEM_COUNT = 10_000


def memory_bytes() -> int:
    """Return the memory of this process's children."""
    total = 0
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


@pytest.mark.slow
def test_ten_thousand_videos(youtube: YouTubeHost, record_property: Record) -> None:
    """Each is listed once and each page requested once, in bounded memory."""
    youtube.lists.videos = videos(ITEM_COUNT)
    source = lister().source_of("https://www.youtube.com/@AChannel/videos")
    started, seen, memory = time.monotonic(), set[str](), list[int]()
    for page in lister(listing_timeout_s=280).pages(source, 0, 500):
        seen.update(ids(page))
        memory.append(memory_bytes())
    assert len(seen) == ITEM_COUNT
    assert youtube.continuations == -(-ITEM_COUNT // 30) - 1
    # From the second page on: the first page fills caches.
    assert max(memory) < memory[1] + 30 * 1024**2
    duration_s = time.monotonic() - started
    record_property("items_per_s", round(ITEM_COUNT / duration_s))


@pytest.mark.slow
def test_a_feed_of_ten_thousand_episodes(record_property: Record) -> None:
    """In pages of five hundred, by one request."""
    with ChannelHost() as host:
        feed = rss("News", [host.episode(n) for n in reversed(range(ITEM_COUNT))])
        source = lister().source_of(host.publish("news", feed))
        started = time.monotonic()
        pages = list(lister().pages(source, 0, 500))
        record_property("items_per_s", round(ITEM_COUNT / (time.monotonic() - started)))
        assert len({each for page in pages for each in ids(page)}) == ITEM_COUNT
        assert [len(page.items) for page in pages] == [500] * 20
        assert host.statuses("feeds/news.xml") == [200]
