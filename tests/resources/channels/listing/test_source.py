"""The list that a link names, without network access."""

import pytest

from resources.channels.listing.source import channel_source, youtube_channel, youtube_tab
from ytcaption.domain.channels.channel import ChannelSource
from ytcaption.domain.errors import BlockedAddress, InvalidUrl, SingleMedia, UnsupportedSite

pytestmark = pytest.mark.unit

CHANNEL = "UCabcdefghijklmnopqrstuv"
SITES = ("youtube", "soundcloud", "media.ccc.de", "peertube")


def source(url: str) -> ChannelSource:
    return channel_source(url, sites=SITES)


@pytest.mark.parametrize(
    ("url", "tab"),
    [
        (f"https://www.youtube.com/channel/{CHANNEL}", ""),
        (f"http://m.youtube.com/channel/{CHANNEL}/featured?view=0", ""),
        (f"https://youtube.com/channel/{CHANNEL}/playlists", ""),
        (f"https://www.youtube.com/feeds/videos.xml?channel_id={CHANNEL}", ""),
        ("https://www.youtube.com/playlist?list=UUabcdefghijklmnopqrstuv", ""),
        (f"https://www.youtube.com/channel/{CHANNEL}/videos?sort=dd", "videos"),
        (f"https://music.youtube.com/channel/{CHANNEL}/shorts", "shorts"),
        ("https://www.youtube.com/playlist?list=UULVabcdefghijklmnopqrstuv", "streams"),
    ],
)
def test_every_form_of_a_channel_is_one_source(url, tab):
    """A channel or one of its tabs, with the feed of new items."""
    channel = source(url)
    assert channel == youtube_channel(CHANNEL, tab)
    assert youtube_tab(channel.url) == tab and source(channel.url) == channel
    assert channel.feed_url is not None and source(channel.feed_url) == channel


@pytest.mark.parametrize("form", ["@Name", "c/Name", "user/Name", "Name"])
def test_id_of_a_name_is_unknown_offline(form):
    """A name is one source, whatever its case."""
    channel = source(f"https://www.youtube.com/{form}")
    assert channel == source(f"https://youtube.com/{form.lower()}/featured")
    assert channel.feed_url is None and channel.kind == "site"
    assert channel.source_id != source(f"https://www.youtube.com/{form}/shorts").source_id


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/playlist?list=PL0123456789abcdef",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ&list=PL0123456789abcdef&index=3",
        "https://youtu.be/dQw4w9WgXcQ?list=PL0123456789abcdef&si=x",
    ],
)
def test_every_form_of_a_playlist_is_one_source(url):
    """Also the link of a video in it."""
    playlist = source(url)
    assert playlist.source_id == "youtube-PL0123456789abcdef"
    assert playlist.url == "https://www.youtube.com/playlist?list=PL0123456789abcdef"


@pytest.mark.parametrize(
    ("url", "error", "advice"),
    [
        (
            "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
            SingleMedia,
            "request a transcription",
        ),
        ("https://youtu.be/dQw4w9WgXcQ", SingleMedia, "request a transcription"),
        (
            "https://www.youtube.com/shorts/dQw4w9WgXcQ",
            SingleMedia,
            "request a transcription",
        ),
        ("https://media.ccc.de/v/talk-1", SingleMedia, "request a transcription"),
        ("https://example.org/talk.MP3?signature=x#t=5", SingleMedia, "one media file"),
        ("https://example.org/a/talk.webm", SingleMedia, "one media file"),
        ("https://www.youtube.com/results?search_query=x", UnsupportedSite, "Give a link such as"),
        ("https://www.youtube.com/feed/subscriptions", UnsupportedSite, "Give a link such as"),
        ("https://www.youtube.com/", UnsupportedSite, "Give a link such as"),
        ("https://www.youtube.com/@name/membership", UnsupportedSite, "videos, shorts or streams"),
        ("https://www.youtube.com/channel/", UnsupportedSite, "Give"),
        ("https://www.youtube.com/playlist?list=WL", UnsupportedSite, "Give a public playlist"),
        (
            "https://www.youtube.com/watch?v=dQw4w9WgXcQ&list=RDx",
            UnsupportedSite,
            "public playlist",
        ),
        ("https://www.youtube.com/playlist?list=%22x", InvalidUrl, "whole id"),
        ("ytsearch:cats", InvalidUrl, "one video"),
        ("file:///etc/passwd", InvalidUrl, "http"),
        ("http://127.0.0.1/feed.xml", BlockedAddress, "private address"),
        ("http://example.com:22/feed.xml", BlockedAddress, "port 22"),
    ],
)
def test_links_that_are_not_lists(url, error, advice):
    """Each error says what to do instead."""
    with pytest.raises(error, match=advice) as failure:
        source(url)
    assert type(failure.value) is error


def test_other_sites_and_feeds():
    """A listed site's list goes to its extractor; other URLs are taken for feeds."""
    assert source("https://soundcloud.com/the-concept-band/sets/x").extractor == "SoundcloudSet"
    assert source("https://media.ccc.de/c/30c3?utm_source=x").url == "https://media.ccc.de/c/30c3"
    feed = source("https://feeds.example.com/show?format=rss")
    assert (feed.kind, feed.extractor, feed.feed_url) == ("feed", "Generic", feed.url)
    assert source("https://example.org/feed.mp3/rss").kind == "feed"
    # The extractor would match; the host is not the site's.
    assert source("https://example.com/x.youtube.com/playlist?list=PL1234567890").kind == "feed"
