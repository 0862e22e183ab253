"""YouTube's channels and playlists by the real extractor, its pages served from loopback."""

from dataclasses import replace

import psutil
import pytest

from tests.resources.channels.listings import ids, lister, titles
from tests.support.servers.youtube_host import (
    CHANNEL,
    PLAYLIST,
    Video,
    YouTubeHost,
    videos,
)
from ytcaption.domain.channels.channel import ListedItem
from ytcaption.domain.errors import MediaNotFound, SourceBlocked, SourceUnavailable

YOUTUBE = "https://www.youtube.com"


def by_id(items: tuple[ListedItem, ...]) -> dict[str, ListedItem]:
    return {item.source.media_id.removeprefix("youtube-"): item for item in items}


REAL = "https://www.youtube.com/@YouTube"


@pytest.mark.parametrize("where", ["loopback", pytest.param("site", marks=pytest.mark.network)])
def test_a_channel_as_the_site_serves_it(where: str, request: pytest.FixtureRequest) -> None:
    """The same of the real site: it has an id, its feed shows the newest of what its tabs list."""
    if where == "loopback":
        host: YouTubeHost = request.getfixturevalue("youtube")
        host.lists.videos = host.lists.feed = videos(70)
    found = lister(listing_timeout_s=120)
    named = found.source_of(f"{YOUTUBE}/@AChannel" if where == "loopback" else REAL)
    first = found.page(named, 0, 60)
    assert first.channel.source_id.startswith("youtube-UC") and first.channel.title
    assert len(first.items) == 60 and first.next_start == 60
    assert all(item.source.media_id.startswith("youtube-") for item in first.items)
    assert all(item.source.title and item.published_at for item in first.items if not item.is_short)
    assert sum(item.duration_s is not None for item in first.items) > 40
    newest = found.newest(first.channel, {})
    assert newest.channel.source_id == first.channel.source_id
    assert 0 < len(newest.items) <= 15 or where == "site"
    assert set(ids(newest)) & set(ids(first))


@pytest.mark.parametrize("form", ["@AChannel", f"channel/{CHANNEL}", "c/AChannel", "user/AChannel"])
def test_a_channel_is_all_its_tabs(youtube: YouTubeHost, form: str) -> None:
    """Videos, streams and shorts, whatever the link's form, with what the pages say of each."""
    live, soon = "THUMBNAIL_OVERLAY_BADGE_STYLE_LIVE", "THUMBNAIL_OVERLAY_BADGE_STYLE_DEFAULT"
    youtube.lists.streams = [
        Video("s0000000003", "Soon", "Upcoming", "Scheduled for 1/1/30", soon),
        Video("s0000000002", "Now", "Live", "12 watching", live),
        Video("s0000000001", "Was", "1:02:03", "Streamed 3 days ago"),
    ]
    youtube.lists.shorts = [Video("h0000000001", "Short")]
    source = lister().source_of(f"{YOUTUBE}/{form}")
    page = lister().page(source, 0, 50)
    assert page.channel.source_id == f"youtube-{CHANNEL}" and page.channel.title == "A channel"
    assert page.channel.feed_url == f"{YOUTUBE}/feeds/videos.xml?channel_id={CHANNEL}"
    assert titles(page) == ["Video 2", "Video 1", "Video 0", "Soon", "Now", "Was", "Short"]
    assert page.next_start is None
    found = by_id(page.items)
    assert [found[f"s000000000{n}"].live for n in (3, 2, 1)] == ["upcoming", "live", "over"]
    assert found["h0000000001"].is_short and not found["v0000000000"].is_short
    video = found["v0000000000"]
    assert video.source.url == f"{YOUTUBE}/watch?v=v0000000000" and video.duration_s == 601
    assert video.published_at is not None and video.unavailable is None


def test_one_tab_is_listed_alone(youtube: YouTubeHost) -> None:
    """Its own source, with a feed of its own."""
    youtube.lists.shorts = [Video("h0000000001", "Short")]
    page = lister().page(lister().source_of(f"{YOUTUBE}/@AChannel/shorts"), 0, 50)
    assert titles(page) == ["Short"] and page.items[0].is_short
    assert page.channel.source_id == "youtube-UUSHabcdefghijklmnopqrstuv"
    assert page.channel.source_id == lister().source_of(page.channel.url).source_id


def test_new_videos_come_by_the_feed(youtube: YouTubeHost) -> None:
    """One small request; what the feed does not hold is said to follow."""
    source = lister().source_of(f"{YOUTUBE}/channel/{CHANNEL}")
    youtube.lists.feed = [replace(videos(1)[0], badge="SHORTS"), *videos(40, "w")]
    page = lister().newest(source, {})
    assert len(page.items) == 15 and page.next_start == 15
    assert page.items[0].is_short and page.items[0].source.media_id == "youtube-v0000000000"
    assert [served.path for served in youtube.requests] == ["/feeds/videos.xml"]
    assert lister().newest(page.channel, page.state).unchanged


def test_without_a_feed_the_tabs_are_looked_at(youtube: YouTubeHost) -> None:
    """YouTube's feeds are away at times: then the top of each tab is read."""
    youtube.lists.videos = videos(70)
    youtube.lists.streams = videos(40, "s")
    page = lister().newest(lister().source_of(f"{YOUTUBE}/channel/{CHANNEL}"), {})
    assert [item.source.media_id[8] for item in page.items] == ["v"] * 30 + ["s"] * 30
    assert page.next_start is not None and youtube.continuations == 0


def test_a_playlist_shows_what_is_gone(youtube: YouTubeHost) -> None:
    """Private and deleted videos stay in the list, with the reason."""
    youtube.lists.playlist = [
        Video("p0000000001", "Here"),
        Video("p0000000002", "[Private video]", ""),
        Video("p0000000003", "[Deleted video]", ""),
    ]
    link = f"{YOUTUBE}/watch?v=p0000000001&list={PLAYLIST}"
    page = lister().page(lister().source_of(link), 0, 50)
    assert page.channel.title == "A playlist"
    assert [item.unavailable for item in page.items] == [None, "private", "deleted"]
    assert page.channel.source_id == f"youtube-{PLAYLIST}"


def test_pages_ask_for_each_page_once(youtube: YouTubeHost) -> None:
    """One iterator asks as it is taken; beginning in the middle asks for all before."""
    youtube.lists.videos = videos(300)
    source = lister().source_of(f"{YOUTUBE}/@AChannel/videos")
    pages = lister().pages(source, 0, 45)
    first = next(pages)
    assert len(first.items) == 45 and youtube.continuations <= 5
    rest = list(pages)
    assert youtube.continuations == 9
    assert [page.start for page in rest] == [45, 90, 135, 180, 225, 270]
    assert rest[-1].next_start is None and len(rest[-1].items) == 30
    every = ids(first) + [each for page in rest for each in ids(page)]
    assert len(set(every)) == 300
    youtube.continuations = 0
    assert ids(lister().page(source, 270, 30)) == every[270:]
    assert youtube.continuations == 9


def test_a_list_without_end_has_one(youtube: YouTubeHost) -> None:
    """Items are counted as they come, from wherever a page begins."""
    youtube.lists.videos = videos(300)
    source = lister().source_of(f"{YOUTUBE}/@AChannel/videos")
    some = lister(max_channel_items=50)
    assert [len(page.items) for page in some.pages(source, 0, 20)] == [20, 20, 10]
    assert youtube.continuations == 1
    last = some.page(source, 40, 20)
    assert len(last.items) == 10 and last.next_start is None


def test_a_list_can_be_left(youtube: YouTubeHost, caplog: pytest.LogCaptureFixture) -> None:
    """Closed early, its process is gone, and nothing was logged as a fault."""
    youtube.lists.videos = videos(300)
    before = set(psutil.Process().children())
    pages = lister().pages(lister().source_of(f"{YOUTUBE}/@AChannel/videos"), 0, 30)
    next(pages)
    assert set(psutil.Process().children()) - before
    pages.close()
    assert not set(psutil.Process().children()) - before and youtube.continuations < 9
    assert not caplog.records


def test_a_page_that_fails_ends_no_list(youtube: YouTubeHost) -> None:
    """What comes before it is given, then the refusal is told: never a list that ends early."""
    youtube.lists.videos = videos(150)
    youtube.fail = {3: 429}
    pages = lister().pages(lister().source_of(f"{YOUTUBE}/@AChannel/videos"), 0, 30)
    assert [len(next(pages).items) for _ in range(2)] == [30, 30]
    with pytest.raises(SourceBlocked, match="429") as failure:
        list(pages)
    assert failure.value.retry_after_s == 9


def test_trouble_in_a_page_is_tried_again(youtube: YouTubeHost) -> None:
    """A 500 in between is one request more; one that stays is told."""
    youtube.lists.videos = videos(60)
    source = lister().source_of(f"{YOUTUBE}/@AChannel/videos")
    youtube.fail = {1: 500}
    page = lister().page(source, 0, 60)
    assert len(page.items) == 60 and youtube.continuations == 2
    for status in (500, 200):
        youtube.fail = dict.fromkeys(range(100), status)
        with pytest.raises(SourceUnavailable):
            lister().page(source, 0, 60)


def test_a_channel_that_is_not_there(youtube: YouTubeHost) -> None:
    """404 is told as such."""
    with pytest.raises(MediaNotFound):
        lister().page(lister().source_of(f"{YOUTUBE}/@nobody"), 0, 10)
