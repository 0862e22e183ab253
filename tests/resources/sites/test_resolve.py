"""What a submitted URL is, and under which id."""

import time

import pytest

from resources.sites.domains import SITE_DOMAINS
from resources.sites.resolve import resolve_source, warm_up
from tests.support.patience import patience
from ytcaption.domain.errors import (
    BlockedAddress,
    InvalidUrl,
    PlaylistUrl,
    SetupError,
    UnsupportedSite,
    YtcaptionError,
)
from ytcaption.domain.media.media import MediaSource
from ytcaption.settings.download import DEFAULT_SITES

pytestmark = pytest.mark.unit

ID = "dQw4w9WgXcQ"
LIST = "PL2qgrgXsNUG5ig9cat4ohreBjYLAPC0J5"
LEMONDE = "/x.lemonde.fr/a/b.html"


def resolve(url: str, *sites: str, networks: tuple[str, ...] = ()) -> MediaSource:
    return resolve_source(url, sites=sites or DEFAULT_SITES, allowed_networks=networks)


@pytest.mark.parametrize(
    "url",
    [
        f"https://www.youtube.com/watch?v={ID}",
        f"http://youtube.com/watch?v={ID}",
        f"https://www.youtube.com/watch?v={ID}&list={LIST}&index=2",
        f"https://www.youtube.com/watch?list={LIST}&v={ID}",
        f"https://www.youtube.com/watch?app=desktop&v={ID}&t=42s#comments",
        f"https://youtu.be/{ID}",
        f"https://youtu.be/{ID}?si=AbCdEf&t=10",
        f"https://youtu.be/{ID}?list={LIST}",
        f"https://www.youtube.com/shorts/{ID}?feature=share",
        f"https://www.youtube.com/live/{ID}?si=x",
        f"https://www.youtube.com/embed/{ID}?start=3&autoplay=1",
        f"https://www.youtube.com/v/{ID}",
        f"https://www.youtube-nocookie.com/embed/{ID}",
        f"https://m.youtube.com/watch?v={ID}",
        f"https://music.youtube.com/watch?v={ID}&list=RDAMVM{ID}",
        f"https://www.youtube.com/attribution_link?a=x&u=%2Fwatch%3Fv%3D{ID}%26feature%3Dshare",
        f"https://consent.youtube.com/m?continue=https%3A%2F%2Fwww.youtube.com%2Fwatch%3Fv%3D{ID}",
        f"HTTPS://WWW.YOUTUBE.COM/watch?v={ID}",
    ],
)
@pytest.mark.parametrize("sites", [DEFAULT_SITES, ("any",), ("youtube.com", "youtu.be")])
def test_every_link_to_a_youtube_video_is_one_media(url: str, sites: tuple[str, ...]) -> None:
    """The id and the canonical URL are the same, whatever the form of the link."""
    if "youtube.com" in sites and "nocookie" in url:
        sites = (*sites, "youtube-nocookie.com")
    page = f"https://www.youtube.com/watch?v={ID}"
    expected = MediaSource(f"youtube-{ID}", "site", page, "Youtube")
    assert resolve_source(url, sites=sites) == expected


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        (f"https://www.youtube.com/playlist?list={LIST}", PlaylistUrl, "one video"),
        (f"https://www.youtube.com/embed/videoseries?list={LIST}", PlaylistUrl, "one video"),
        ("https://www.youtube.com/@somebody", PlaylistUrl, "one video"),
        ("https://www.youtube.com/@somebody/live", PlaylistUrl, "one video"),
        ("https://www.youtube.com/channel/UC2_KI6RB__jGdlnK6dvFEZA", PlaylistUrl, "one video"),
        ("https://www.youtube.com/results?search_query=cats", PlaylistUrl, "one video"),
        ("https://www.youtube.com/", PlaylistUrl, "one video"),
        ("https://www.youtube.com/watch?v=short", InvalidUrl, "11 characters"),
        ("https://www.youtube.com/watch", InvalidUrl, "11 characters"),
        ("https://www.youtube.com/oembed?url=x", UnsupportedSite, "no video"),
        ("https://www.youtube.com/clip/UgytZKpehg-hEMBSn3F4AaABCQ", UnsupportedSite, "Clips"),
        ("https://vimeo.com/channels/staffpicks", PlaylistUrl, "list of media"),
    ],
)
def test_what_is_not_one_video_is_refused_at_once(
    url: str, error: type[YtcaptionError], says: str
) -> None:
    """Channels, playlists, searches, cut ids and other pages each get their sentence."""
    with pytest.raises(error, match=says):
        resolve(url)


@pytest.mark.parametrize(
    ("url", "media_id", "page"),
    [
        ("https://vimeo.com/76979871", "vimeo-76979871", "https://vimeo.com/76979871"),
        ("https://dai.ly/x5kesuj", "dailymotion-x5kesuj", "https://www.dailymotion.com/video/x5kesuj"),
        ("https://m.twitch.tv/videos/6528877?t=5s", "twitch-6528877", "https://www.twitch.tv/videos/6528877"),
    ],
)  # fmt: skip
def test_listed_extractors_give_their_own_ids(url: str, media_id: str, page: str) -> None:
    """Where ids are unique on a site, all links to one media item share it."""
    source = resolve(url)
    assert (source.media_id, source.url, source.kind) == (media_id, page, "site")


def test_other_sites_are_known_by_the_hash_of_the_canonical_url() -> None:
    """Spelling and tracking parameters do not matter; an unlisted Vimeo link keeps its secret."""
    plain = resolve("https://www.ted.com/talks/somebody_something")
    shared = resolve("HTTPS://www.TED.com:443/talks/somebody_something?utm_source=x#t-1")
    assert plain == shared
    assert plain.kind == "site" and plain.extractor == "TedTalk"
    assert plain.media_id.startswith("url-") and len(plain.media_id) == 4 + 26
    unlisted = resolve("https://vimeo.com/76979871/abcdef0123")
    assert unlisted.media_id.startswith("url-")
    assert unlisted.url == "https://vimeo.com/76979871/abcdef0123"


def test_a_direct_url_keeps_its_query() -> None:
    """A signed link stays as it was; another query is another media item."""
    one = resolve("https://cdn.example.org/talk.mp3?utm_source=x&sig=1")
    two = resolve("https://cdn.example.org/talk.mp3?utm_source=x&sig=2")
    assert one.kind == "direct" and one.extractor == "Generic"
    assert one.url == "https://cdn.example.org/talk.mp3?utm_source=x&sig=1"
    assert one.media_id != two.media_id


@pytest.mark.parametrize("host", ["example.com", "archive.org", "www.youtube.com.evil.example"])
def test_an_extractor_proves_nothing_of_the_host(host: str) -> None:
    """A path that yt-dlp takes for Lemonde makes no other host a site."""
    source = resolve(f"http://{host}{LEMONDE}", *DEFAULT_SITES, "lemonde")
    assert source.kind == "direct"
    assert resolve(f"https://www.lemonde.fr{LEMONDE}", "lemonde").extractor == "Lemonde"
    assert resolve(f"https://www.lemonde.fr{LEMONDE}").kind == "direct"


def test_any_takes_every_extractor() -> None:
    """On one's own machine all of yt-dlp may be used, and the rest stays direct."""
    assert resolve("https://www.lemonde.fr" + LEMONDE, "any").extractor == "Lemonde"
    assert resolve("https://example.com/a.mp3", "any").kind == "direct"


def test_a_listed_host_takes_every_extractor_that_suits() -> None:
    """A PeerTube of one's own is listed by its host, and its neighbours are not."""
    video = "/videos/watch/9c9de5e8-0a1e-484a-b099-e80766180a6d"
    assert resolve("https://framatube.org" + video, "framatube.org").extractor == "PeerTube"
    assert resolve("https://framatube.org" + video, "peertube").extractor == "PeerTube"
    assert resolve("https://framatube.org" + video, "tilvids.com").kind == "direct"
    assert resolve("https://cdn.framatube.org/a.mp4", "framatube.org").kind == "direct"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "x.localhost", "2130706433", "0x7f000001", "0177.0.0.1"),
        *("10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]"),
        *("[fd00::1]", "[fe80::1]", "[::127.0.0.1]", "224.0.0.1"),
    ],
)
@pytest.mark.parametrize("sites", [DEFAULT_SITES, ("any",)])
def test_private_addresses_are_refused_in_every_spelling(host: str, sites: tuple[str, ...]) -> None:
    """No list of sites opens a private address, also not as a site of yt-dlp's."""
    for path in ("/a.mp3", LEMONDE):
        with pytest.raises(BlockedAddress, match="private address"):
            resolve_source(f"http://{host}{path}", sites=sites)


def test_allowed_networks_open_their_addresses_on_any_port() -> None:
    """A CIDR of the settings opens that network, and no other."""
    networks = ("127.0.0.0/8",)
    assert resolve("http://127.0.0.1:8123/a.mp3", networks=networks).kind == "direct"
    assert resolve("http://media.internal:8123/a.mp3", networks=networks).kind == "direct"
    with pytest.raises(BlockedAddress):
        resolve("http://10.0.0.1/a.mp3", networks=networks)
    with pytest.raises(BlockedAddress, match="port 8123"):
        resolve("http://1.1.1.1:8123/a.mp3", networks=networks)


@pytest.mark.parametrize("port", [22, 25, 8080, 6379])
def test_other_ports_are_refused(port: int) -> None:
    """Only 80 and 443 of public hosts are opened."""
    with pytest.raises(BlockedAddress, match=f"port {port}"):
        resolve(f"http://example.com:{port}/a.mp3")


def test_every_default_site_has_domains_and_they_are_its_own() -> None:
    """The table covers the default list, and no domain is listed twice."""
    assert set(SITE_DOMAINS) | {"peertube", "media.ccc.de"} == set(DEFAULT_SITES)
    domains = [domain for own in SITE_DOMAINS.values() for domain in own]
    assert len(domains) == len(set(domains))
    warm_up(DEFAULT_SITES)


def test_an_unknown_site_in_the_settings_is_named() -> None:
    """A misspelt entry is a sentence at the start, not a site that never matches."""
    with pytest.raises(SetupError, match="yuotube"):
        warm_up(("youtube", "yuotube"))
    warm_up(("any",))


def test_resolving_is_fast_once_warm() -> None:
    """A request waits a few milliseconds at most."""
    warm_up(DEFAULT_SITES)
    resolve("https://example.com/a.mp3")
    started = time.perf_counter()
    for number in range(20):
        resolve(f"https://www.bbc.co.uk/news/{number}")
    assert (time.perf_counter() - started) / 20 < 0.05 * patience()
