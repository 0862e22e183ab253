"""YouTube's channels and playlists by the real extractor, with pages from loopback."""

from dataclasses import replace

import psutil
import pytest

from tests.resources.channels.listings import ids, list_page, lister, titles
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


@pytest.mark.long
@pytest.mark.parametrize("server", ["loopback", pytest.param("site", marks=pytest.mark.network)])
def test_a_channel_as_the_site_serves_it(server: str, request: pytest.FixtureRequest) -> None:
    """Also by the real site: it has an id, and its feed shows the newest items of its tabs."""
    if server == "loopback":
        host: YouTubeHost = request.getfixturevalue("youtube")
        host.lists.videos = host.lists.feed = videos(70)
    channel_lister = lister(listing_timeout_s=120)
    by_name = channel_lister.source_of(f"{YOUTUBE}/@AChannel" if server == "loopback" else REAL)
    first = list_page(channel_lister, by_name, 0, 60)
    assert first.channel.source_id.startswith("youtube-UC") and first.channel.title
    assert len(first.items) == 60 and first.next_start == 60
    assert all(item.source.media_id.startswith("youtube-") for item in first.items)
    assert all(item.source.title and item.published_at for item in first.items if not item.is_short)
    assert sum(item.duration_s is not None for item in first.items) > 40
    newest = channel_lister.newest(first.channel, {})
    assert newest.channel.source_id == first.channel.source_id
    assert 0 < len(newest.items) <= 15 or server == "site"
    assert set(ids(newest)) & set(ids(first))


@pytest.mark.parametrize("form", ["@AChannel", f"channel/{CHANNEL}", "c/AChannel", "user/AChannel"])
@pytest.mark.long
def test_a_channel_is_all_its_tabs(youtube: YouTubeHost, form: str) -> None:
    """Videos, streams and shorts, for any form of link, with the facts on the pages."""
    live, soon = "THUMBNAIL_OVERLAY_BADGE_STYLE_LIVE", "THUMBNAIL_OVERLAY_BADGE_STYLE_DEFAULT"
    youtube.lists.streams = [
        Video("s0000000003", "Soon", "Upcoming", "Scheduled for 1/1/30", soon),
        Video("s0000000002", "Now", "Live", "12 watching", live),
        Video("s0000000001", "Was", "1:02:03", "Streamed 3 days ago"),
    ]
    youtube.lists.shorts = [Video("h0000000001", "Short")]
    source = lister().source_of(f"{YOUTUBE}/{form}")
    page = list_page(lister(), source, 0, 50)
    assert page.channel.source_id == f"youtube-{CHANNEL}" and page.channel.title == "A channel"
    assert page.channel.feed_url == f"{YOUTUBE}/feeds/videos.xml?channel_id={CHANNEL}"
    assert titles(page) == ["Video 2", "Video 1", "Video 0", "Soon", "Now", "Was", "Short"]
    assert page.next_start is None
    listed = by_id(page.items)
    assert [listed[f"s000000000{n}"].live for n in (3, 2, 1)] == ["upcoming", "live", "over"]
    assert listed["h0000000001"].is_short and not listed["v0000000000"].is_short
    video = listed["v0000000000"]
    assert video.source.url == f"{YOUTUBE}/watch?v=v0000000000" and video.duration_s == 601
    assert video.published_at is not None and video.unavailable is None


@pytest.mark.long
def test_one_tab_is_listed_alone(youtube: YouTubeHost) -> None:
    """It is a source of its own, with its own feed."""
    youtube.lists.shorts = [Video("h0000000001", "Short")]
    page = list_page(lister(), lister().source_of(f"{YOUTUBE}/@AChannel/shorts"), 0, 50)
    assert titles(page) == ["Short"] and page.items[0].is_short
    assert page.channel.source_id == "youtube-UUSHabcdefghijklmnopqrstuv"
    assert page.channel.source_id == lister().source_of(page.channel.url).source_id


@pytest.mark.long
def test_new_videos_come_by_the_feed(youtube: YouTubeHost) -> None:
    """By one small request; `next_start` says that more follow."""
    source = lister().source_of(f"{YOUTUBE}/channel/{CHANNEL}")
    youtube.lists.feed = [replace(videos(1)[0], badge="SHORTS"), *videos(40, "w")]
    page = lister().newest(source, {})
    assert len(page.items) == 15 and page.next_start == 15
    assert page.items[0].is_short and page.items[0].source.media_id == "youtube-v0000000000"
    assert [served.path for served in youtube.requests] == ["/feeds/videos.xml"]
    assert lister().newest(page.channel, page.state).unchanged


@pytest.mark.long
def test_tabs_are_listed_without_a_feed(youtube: YouTubeHost) -> None:
    """YouTube's feeds are unavailable at times: then the top of each tab is read."""
    youtube.lists.videos = videos(70)
    youtube.lists.streams = videos(40, "s")
    page = lister().newest(lister().source_of(f"{YOUTUBE}/channel/{CHANNEL}"), {})
    assert [item.source.media_id[8] for item in page.items] == ["v"] * 30 + ["s"] * 30
    assert page.next_start is not None and youtube.continuations == 0


@pytest.mark.long
def test_playlist_shows_unavailable_videos(youtube: YouTubeHost) -> None:
    """Private and deleted videos stay in the list, with the reason."""
    youtube.lists.playlist = [
        Video("p0000000001", "Here"),
        Video("p0000000002", "[Private video]", ""),
        Video("p0000000003", "[Deleted video]", ""),
    ]
    link = f"{YOUTUBE}/watch?v=p0000000001&list={PLAYLIST}"
    page = list_page(lister(), lister().source_of(link), 0, 50)
    assert page.channel.title == "A playlist"
    assert [item.unavailable for item in page.items] == [None, "private", "deleted"]
    assert page.channel.source_id == f"youtube-{PLAYLIST}"


@pytest.mark.slow
def test_each_page_is_requested_once(youtube: YouTubeHost) -> None:
    """An iterator requests pages as they are taken; starting later requests all before."""
    youtube.lists.videos = videos(300)
    source = lister().source_of(f"{YOUTUBE}/@AChannel/videos")
    pages = lister().pages(source, 0, 45)
    first = next(pages)
    assert len(first.items) == 45 and youtube.continuations <= 5
    further = list(pages)
    assert youtube.continuations == 9
    assert [page.start for page in further] == [45, 90, 135, 180, 225, 270]
    assert further[-1].next_start is None and len(further[-1].items) == 30
    all_ids = ids(first) + [each for page in further for each in ids(page)]
    assert len(set(all_ids)) == 300
    youtube.continuations = 0
    assert ids(list_page(lister(), source, 270, 30)) == all_ids[270:]
    assert youtube.continuations == 9


@pytest.mark.slow
def test_number_of_items_is_limited(youtube: YouTubeHost) -> None:
    """Items are counted from wherever a page begins."""
    youtube.lists.videos = videos(300)
    source = lister().source_of(f"{YOUTUBE}/@AChannel/videos")
    limited = lister(max_channel_items=50)
    assert [len(page.items) for page in limited.pages(source, 0, 20)] == [20, 20, 10]
    assert youtube.continuations == 1
    last = list_page(limited, source, 40, 20)
    assert len(last.items) == 10 and last.next_start is None


@pytest.mark.long
def test_a_list_can_be_closed_early(youtube: YouTubeHost, caplog: pytest.LogCaptureFixture) -> None:
    """Its process ends, and nothing is logged as an error."""
    youtube.lists.videos = videos(300)
    before = set(psutil.Process().children())
    pages = lister().pages(lister().source_of(f"{YOUTUBE}/@AChannel/videos"), 0, 30)
    next(pages)
    assert set(psutil.Process().children()) - before
    pages.close()
    assert not set(psutil.Process().children()) - before and youtube.continuations < 9
    assert not caplog.records


@pytest.mark.slow
def test_failing_page_is_an_error(youtube: YouTubeHost) -> None:
    """Pages before it are returned, then the error is raised: a list never ends early."""
    youtube.lists.videos = videos(150)
    youtube.fail = {3: 429}
    pages = lister().pages(lister().source_of(f"{YOUTUBE}/@AChannel/videos"), 0, 30)
    assert [len(next(pages).items) for _ in range(2)] == [30, 30]
    with pytest.raises(SourceBlocked, match="429") as failure:
        list(pages)
    assert failure.value.retry_after_s == 9


@pytest.mark.slow
def test_failing_page_is_retried(youtube: YouTubeHost) -> None:
    """A single 500 costs one more request; a lasting one is an error."""
    youtube.lists.videos = videos(60)
    source = lister().source_of(f"{YOUTUBE}/@AChannel/videos")
    youtube.fail = {1: 500}
    page = list_page(lister(), source, 0, 60)
    assert len(page.items) == 60 and youtube.continuations == 2
    for status in (500, 200):
        youtube.fail = dict.fromkeys(range(100), status)
        with pytest.raises(SourceUnavailable):
            list_page(lister(), source, 0, 60)


@pytest.mark.long
def test_missing_channel(youtube: YouTubeHost) -> None:
    """A channel that answers 404 has an error of its own."""
    with pytest.raises(MediaNotFound):
        list_page(lister(), lister().source_of(f"{YOUTUBE}/@nobody"), 0, 10)
