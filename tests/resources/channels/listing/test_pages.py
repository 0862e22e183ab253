"""Lists that are not feeds: pages of media files and streams, and other sites' lists."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resources.channels.listings import ids, list_page, lister, titles
from tests.resources.download.downloads import direct, fetch
from tests.support.servers.channel_host import (
    SPEECH,
    ChannelHost,
)
from tests.support.servers.media_server import MediaServer
from tests.support.servers.site_tls import (
    certificate_of,
    lead_to_loopback,
    tls_of,
)
from ytcaption.domain.errors import SingleMedia, UnsupportedSite

HOSTS = ["media.ccc.de", "framatube.org"]


@pytest.fixture
def host() -> Iterator[ChannelHost]:
    with ChannelHost() as host:
        yield host


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_of(HOSTS, tmp_path_factory.mktemp("tls"))


@pytest.fixture
def site(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MediaServer]:
    """Serve the hosts from loopback."""
    with MediaServer(tls=tls_of(certificate)) as server:
        lead_to_loopback(monkeypatch, HOSTS, server.port, certificate)
        yield server


@pytest.mark.slow
def test_a_page_of_files_and_streams(host: ChannelHost, tmp_path: Path) -> None:
    """Each player on a page is an item, the source of a request for it."""
    urls = [host.url(f"episodes/{n}/{SPEECH}") for n in (1, 2)]
    stream = host.url(f"hls/{SPEECH}/index.m3u8")
    players = "".join(f'<audio src="{url}"></audio>' for url in urls)
    players += f'<video><source src="{stream}" type="application/x-mpegURL"></video>'
    source = lister().source_of(host.serve("talks.html", f"<html>{players}</html>".encode()))
    assert source.kind == "feed"
    page = lister().newest(source, {})
    assert page.channel.kind == "playlist" and page.channel.feed_url is None
    assert ids(page) == [direct(url).media_id for url in (*urls, stream)]
    assert ids(list_page(lister(), page.channel, 1, 1)) == ids(page)[1:2]
    for item in page.items:
        assert item.source.url is not None
        (folder := tmp_path / item.source.media_id).mkdir()
        assert fetch(item.source.url, folder).size_bytes > 100_000


@pytest.mark.long
def test_a_list_of_files(host: ChannelHost) -> None:
    """XSPF: titles and durations are kept, and pages may end anywhere."""
    tracks = "".join(
        f"<track><location>{host.url(f'episodes/{n}/{SPEECH}')}</location>"
        f"<title>Track {n}</title><duration>11000</duration></track>"
        for n in range(5)
    )
    xspf = f'<playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList>{tracks}'
    source = lister().source_of(host.serve("list.xspf", f"{xspf}</trackList></playlist>".encode()))
    pages = list(lister().pages(source, 0, 2))
    assert [titles(page) for page in pages] == [
        ["Track 0", "Track 1"],
        ["Track 2", "Track 3"],
        ["Track 4"],
    ]
    assert {item.duration_s for page in pages for item in page.items} == {11.0}
    assert [page.next_start for page in pages] == [2, 4, None]


@pytest.mark.slow
def test_page_may_shrink_to_one_item(host: ChannelHost) -> None:
    """A known list stays a list; a new page with one player is not one."""
    two = (
        b'<html><audio src="episodes/1/jfk.flac"></audio><audio src="episodes/2/jfk.flac"></audio>'
    )
    source = lister().source_of(host.serve("page.html", two))
    known = lister().newest(source, {}).channel
    host.serve("page.html", two.replace(b"episodes/2/jfk.flac", b""))
    assert len(lister().newest(known, {}).items) == 1
    assert len(list_page(lister(), known, 0, 10).items) == 1
    with pytest.raises(SingleMedia):
        list_page(lister(), source, 0, 10)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html><p>Nothing here</p></html>", UnsupportedSite),
        (b'<html><audio src="episodes/1/jfk.flac"></audio></html>', SingleMedia),
    ],
)
@pytest.mark.long
def test_page_that_is_not_a_list(host: ChannelHost, body: bytes, error: type) -> None:
    """The error says what it is instead."""
    source = lister().source_of(host.serve("page.html", body))
    with pytest.raises(error) as failure:
        lister().newest(source, {})
    assert str(failure.value).endswith(".")


@pytest.mark.long
def test_list_of_another_site(site: MediaServer) -> None:
    """A conference by yt-dlp's own extractor; its talks are sources of requests."""
    talks = [{"frontend_link": f"https://media.ccc.de/v/talk-{n}"} for n in range(3)]
    conference = json.dumps({"title": "The congress", "events": talks}).encode()
    site.serve("public/conferences/40c3", conference)
    source = lister().source_of("https://media.ccc.de/c/40c3")
    assert (source.kind, source.extractor) == ("site", "CCCPlaylist")
    page = list_page(lister(), source, 0, 10)
    assert page.channel.title == "The congress"
    assert [item.source.url for item in page.items] == [each["frontend_link"] for each in talks]
    with pytest.raises(SingleMedia):
        lister().source_of("https://media.ccc.de/v/talk-1")


@pytest.mark.long
def test_site_with_addressable_pages(site: MediaServer) -> None:
    """Only the wanted pages of PeerTube are requested."""
    path = "api/v1/video-channels/talks"
    site.serve(path, b'{"displayName": "Talks"}')
    for start in range(0, 120, 30):
        data = [{"shortUUID": f"talk{n}", "name": f"Talk {n}"} for n in range(start, start + 30)]
        site.pages[f"{path}/videos", str(start)] = json.dumps(
            {"data": data[: 110 - start]}
        ).encode()
    peertube = lister(sites=["peertube"])
    page = list_page(peertube, peertube.source_of("https://framatube.org/c/talks/videos"), 95, 10)
    assert titles(page) == [f"Talk {n}" for n in range(95, 105)]
    assert (page.start, page.next_start) == (95, 105)
    starts = [served.query["start"] for served in site.requests if served.path.endswith("/videos")]
    assert starts == ["90"]
