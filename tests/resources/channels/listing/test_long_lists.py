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

MANY = 10_000


def memory_bytes() -> int:
    """Of the processes that this one has started."""
    total = 0
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


@pytest.mark.slow
def test_ten_thousand_videos(youtube: YouTubeHost, record_property: Record) -> None:
    """Each is listed once and each page asked for once, in memory that does not grow."""
    youtube.lists.videos = videos(MANY)
    source = lister().source_of("https://www.youtube.com/@AChannel/videos")
    started, found, memory = time.monotonic(), set[str](), list[int]()
    for page in lister(listing_timeout_s=280).pages(source, 0, 500):
        found.update(ids(page))
        memory.append(memory_bytes())
    assert len(found) == MANY
    assert youtube.continuations == -(-MANY // 30) - 1
    # What begins with the second page: the first one's parts are cached by then.
    assert max(memory) < memory[1] + 30 * 1024**2
    took_s = time.monotonic() - started
    record_property("items_per_s", round(MANY / took_s))


@pytest.mark.slow
def test_a_feed_of_ten_thousand_episodes(record_property: Record) -> None:
    """In pages of five hundred, by one request."""
    with ChannelHost() as host:
        feed = rss("News", [host.episode(n) for n in reversed(range(MANY))])
        source = lister().source_of(host.publish("news", feed))
        started = time.monotonic()
        pages = list(lister().pages(source, 0, 500))
        record_property("items_per_s", round(MANY / (time.monotonic() - started)))
        assert len({each for page in pages for each in ids(page)}) == MANY
        assert [len(page.items) for page in pages] == [500] * 20
        assert host.asked("feeds/news.xml") == [200]
