"""Feeds as channels, served from loopback: new items, whole lists, refusals."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from resources.sites.resolve import resolve_source
from tests.resources.channels.listings import SITES, ids, list_page, lister, titles
from tests.resources.download.downloads import LOOPBACK
from tests.support.channel_feeds import atom, rss
from tests.support.servers.channel_host import ChannelHost
from ytcaption.domain.errors import (
    BlockedAddress,
    MediaNotFound,
    MediaTooLarge,
    SingleMedia,
    SourceBlocked,
    SourceError,
    SourceUnavailable,
    UnsupportedSite,
    YtcaptionError,
)

pytestmark = pytest.mark.unit


@pytest.fixture
def host() -> Iterator[ChannelHost]:
    with ChannelHost() as host:
        yield host


@pytest.mark.parametrize("write", [rss, atom])
def test_a_feed_lists_its_episodes_newest_first(host, write):
    """Each item is the source of a request for its audio, with the feed's facts."""
    episodes = [host.episode(n, title=f"Talk {n}", duration="1:02:03") for n in (0, 1, 2)]
    source = lister().source_of(host.publish("talks", write("Talks", episodes)))
    page = lister().newest(source, {})
    assert titles(page) == ["Talk 2", "Talk 1", "Talk 0"]
    assert page.channel.title == "Talks" and page.next_start is None
    item = page.items[2]
    requested = resolve_source(episodes[0].url, sites=SITES, allowed_networks=LOOPBACK)
    assert (item.source.media_id, item.source.url) == (requested.media_id, requested.url)
    assert item.published_at == datetime(2024, 1, 1, 6, tzinfo=UTC)
    assert item.duration_s == (3723 if write is rss else None)
    assert item.audio_bytes == 196348


def test_an_unchanged_feed_is_not_read_again(host):
    """The second listing gets 304; the third has the items published since."""
    source = lister().source_of(host.podcast("news", 2))
    first = lister().newest(source, {})
    second = lister().newest(first.channel, first.state)
    assert second.unchanged and second.items == ()
    host.podcast("news", 4, gone={0})
    third = lister().newest(first.channel, second.state)
    assert titles(third) == ["Episode 3", "Episode 2", "Episode 1"]
    assert host.statuses("feeds/news.xml") == [200, 304, 200]


def test_feed_of_a_server_without_validators_is_compared(host):
    """The same bytes count as unchanged."""
    host.podcast("news", 2)
    source = lister().source_of(host.url("feeds/plain/news.xml"))
    first = lister().newest(source, {})
    assert len(first.items) == 2
    assert lister().newest(source, first.state).unchanged
    host.podcast("news", 3)
    assert len(lister().newest(source, first.state).items) == 3


def test_an_episode_keeps_its_id(host):
    """Title and size may change, and its link may be signed again."""
    before = lister().newest(lister().source_of(host.podcast("news", 1)), {})
    signed = f"{host.episode(0).url}?Expires=1700000000&Signature=x-1"
    changed = host.episode(0, title="Better title", size_bytes=500_000, url=signed)
    host.publish("news", rss("News", [changed]))
    page = lister().newest(before.channel, before.state)
    assert ids(page) == ids(before) and page.items[0].audio_bytes == 500_000


def test_redirects_of_a_feed_are_followed(host):
    """A moved feed is read, and is unchanged at its new address."""
    target = host.podcast("moved", 2)
    source = lister().source_of(host.url("redirect", to=target))
    page = lister().newest(source, {})
    assert len(page.items) == 2
    assert lister().newest(source, page.state).unchanged


@pytest.mark.slow
def test_feed_continues_in_another(host):
    """The whole list follows `next`; pages may begin and end anywhere."""
    old = host.publish("old", rss("News", [host.episode(n) for n in (2, 1, 0)]))
    newest = [host.episode(n) for n in (5, 4, 3, 2)]
    source = lister().source_of(host.publish("new", rss("News", newest, next_url=old)))
    first = lister().newest(source, {})
    assert len(first.items) == 4 and first.next_start == 4
    pages = list(lister().pages(source, 0, 4))
    assert [titles(page) for page in pages] == [
        ["Episode 5", "Episode 4", "Episode 3", "Episode 2"],
        ["Episode 1", "Episode 0"],
    ]
    assert [(page.start, page.next_start) for page in pages] == [(0, 4), (4, None)]
    limited = list(lister(max_channel_items=5).pages(source, 0, 4))
    assert [len(page.items) for page in limited] == [4, 1]
    last_page = list_page(lister(), source, 5, 10)
    assert titles(last_page) == ["Episode 0"] and last_page.start == 5


def test_only_entries_with_media_are_items(host):
    """A post without audio is not an item; one that links to a site's video is."""
    video = "https://www.youtube.com/shorts/dQw4w9WgXcQ"
    episodes = [
        host.episode(3, url=None, link="https://example.com/post"),
        host.episode(2, url=None, link=video, title="A short"),
        host.episode(1, url="http://192.168.1.1/a.mp3", title="Inside"),
        host.episode(0, url="https://example.com/cover.jpg", kind="image/jpeg"),
    ]
    source = lister().source_of(host.publish("blog", rss("Blog", episodes)))
    page = lister().newest(source, {})
    assert titles(page) == ["A short", "Inside"]
    short, inside = page.items
    assert short.source.media_id == "youtube-dQw4w9WgXcQ" and short.is_short
    assert inside.unavailable == "blocked_address" and inside.source.url == source.url


@pytest.mark.parametrize("url", ["http://[bad/2.mp3", "https://exa\u2100mple.org/2.mp3"])
def test_a_link_that_cannot_be_read_costs_one_item(host, url):
    """It is listed with its reason; an unreadable link to older items ends the feed."""
    episodes = [host.episode(1, url=url, title="Broken"), host.episode(0, title="Whole")]
    feed = rss("News", episodes, next_url="http://[bad")
    page = lister().newest(lister().source_of(host.publish("news", feed)), {})
    assert [(item.source.title, item.unavailable) for item in page.items] == [
        ("Broken", "invalid_url"),
        ("Whole", None),
    ]
    assert page.next_start is None


@pytest.mark.parametrize("reference", ["&#xD800;", "&#57343;", "&#99999999999;", "&#x110000;"])
def test_a_reference_to_no_character_is_replaced(host, reference):
    """In titles and links, which feedparser would fail to encode."""
    episodes = [host.episode(1, title="HERE", url="https://example.org/HERE.mp3"), host.episode(0)]
    feed = rss("News", episodes).replace(b"HERE", f"a{reference}b".encode())
    page = lister().newest(lister().source_of(host.publish("news", feed)), {})
    assert titles(page) == ["a\ufffdb", "Episode 0"]
    assert page.items[0].source.url == "https://example.org/a%EF%BF%BDb.mp3"


def test_page_links_to_its_feed(host):
    """If a web page links to its feed, the feed is the channel."""
    feed = host.podcast("news", 2)
    page = f'<html><head><link rel="alternate" type="application/rss+xml" href="{feed}"></head>'
    source = lister().source_of(host.serve("home.html", page.encode()))
    listed = lister().newest(source, {})
    assert len(listed.items) == 2 and listed.channel.feed_url == feed
    assert listed.channel.source_id == source.source_id
    assert lister().newest(listed.channel, listed.state).unchanged


@pytest.mark.long
def test_page_that_links_to_nothing_that_can_be_read(host):
    """It is treated as a page without a feed."""
    page = b'<link rel="alternate" type="application/rss+xml" href="http://[bad">'
    with pytest.raises(UnsupportedSite):
        lister().newest(lister().source_of(host.serve("home.html", page)), {})


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("status/404", MediaNotFound),
        ("status/403", SourceBlocked),
        ("status/429?retry_after=7", SourceBlocked),
        ("status/500", SourceUnavailable),
        ("cut/feeds/news.xml", SourceUnavailable),
        ("redirect", SourceError),
        ("huge.xml?bytes=300000000", MediaTooLarge),
        ("redirect?to=/jfk.flac", SingleMedia),
        ("redirect?to=http://10.0.0.1/feed.xml", BlockedAddress),
        ("redirect?to=file:///etc/passwd", SourceError),
        ("redirect?to=http://[bad/", SourceError),
        ("redirect?to=http://e.org:99999999/", SourceError),
    ],
)
def test_errors_of_a_host(host, path, error):
    """The kinds are those of downloads, each with a sentence for the user."""
    host.serve("feed.xml", rss("News", [host.episode(0)]))
    url = f"{host.url('')}{path.replace('feeds/news.xml', 'feed.xml?after=100')}"
    source = lister().source_of(url)
    with pytest.raises(error) as failure:
        lister().newest(source, {})
    assert type(failure.value) is error
    assert str(failure.value).endswith(".") and "Traceback" not in str(failure.value)
    if "retry_after" in path:
        assert failure.value.retry_after_s == 7


@pytest.mark.long
def test_a_slow_feed_is_given_up(host):
    """A feed has the time limit of a list."""
    host.serve("feed.xml", rss("News", [host.episode(n) for n in range(50)]))
    source = lister().source_of(host.url("slow/feed.xml", rate=500))
    with pytest.raises(SourceUnavailable, match="longer than allowed"):
        lister(listing_timeout_s=1.5).newest(source, {})


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(10))
    + ']><rss version="2.0"><channel><title>&k;</title>'
    '<item><title>One</title><enclosure url="http://127.0.0.1/a.mp3" type="audio/mpeg"/></item>'
    "</channel></rss>"
)
LEAK = (
    '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    '<rss version="2.0"><channel><title>&x;</title></channel></rss>'
)


@pytest.mark.parametrize("feed", [BOMB, LEAK])
def test_entities_are_not_expanded(host, feed):
    """Neither an entity bomb nor a local file gets into a title."""
    source = lister().source_of(host.publish("bad", feed.encode()))
    try:
        title = lister().newest(source, {}).channel.title or ""
    except YtcaptionError:
        title = ""
    assert len(title) < 1000 and "root:" not in title


def test_damaged_feed_is_read_as_far_as_possible(host):
    """An unescaped ampersand and a missing end lose no items."""
    feed = rss("Salt & Pepper", [host.episode(n) for n in (1, 0)])
    broken = feed.replace(b"&amp;", b"&").removesuffix(b"</channel></rss>")
    page = lister().newest(lister().source_of(host.publish("broken", broken)), {})
    assert titles(page) == ["Episode 1", "Episode 0"]
