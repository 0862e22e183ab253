"""A listed site by yt-dlp's own extractor, its pages served from loopback over TLS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.download.downloader import Download
from resources.sites.resolve import resolve_source
from tests.resources.download.downloads import download_audio, downloader
from tests.support.servers.media_server import MediaServer
from tests.support.servers.site_tls import (
    certificate_of,
    lead_to_loopback,
    tls_of,
)
from ytcaption.domain.errors import (
    BlockedAddress,
    MediaNotFound,
    MediaTooLong,
    SourceError,
    SourceUnavailable,
)

TALK = "https://media.ccc.de/v/talk-1"
EVENT = """{
  "title": "Introduction to\\u202e Processor Design\\n",
  "persons": ["byterazor"],
  "thumb_url": "https://static.media.ccc.de/1839.jpg",
  "date": "2013-12-28T18:30:00+01:00",
  "length": %d,
  "recordings": [
    {"recording_url": "https://cdn.media.ccc.de/talk.mp4", "folder": "h264-hd", "language": "eng",
     "width": 1920, "height": 1080, "size": 400},
    {"recording_url": "%s", "folder": "mp3", "language": "eng", "size": 0}
  ]
}"""


HOSTS = ["media.ccc.de"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_of(HOSTS, tmp_path_factory.mktemp("tls"))


@pytest.fixture
def site(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MediaServer]:
    """media.ccc.de on loopback; the proxy's resolver and its port 443 lead there."""
    with MediaServer(tls=tls_of(certificate)) as server:
        lead_to_loopback(monkeypatch, HOSTS, server.port, certificate)
        server.serve("v/talk-1", b"<!doctype html><video data-id='1839'></video>")
        describe(server, 3710, "https://cdn.media.ccc.de/jfk.flac")
        yield server


def describe(server: MediaServer, length_s: int, recording: str) -> None:
    server.serve("public/events/1839", (EVENT % (length_s, recording)).encode())


def fetch(url: str, folder: Path, **overrides: object) -> Download:
    source = resolve_source(url, sites=("media.ccc.de",))
    assert (source.kind, source.extractor) == ("site", "CCC")
    overrides = {"max_audio_s": 4000, **overrides}
    return download_audio(downloader(**overrides), source, folder, lambda done, total: None)


@pytest.mark.long
def test_the_best_audio_and_what_the_site_says_of_it(site: MediaServer, tmp_path: Path) -> None:
    """The audio recording is taken, not the picture, and the text of the site is cleaned."""
    download = fetch(TALK, tmp_path)
    assert download.path.read_bytes() == site.read("jfk.flac")
    assert download.extension == "flac"
    info = download.info
    assert info.title == "Introduction to Processor Design"
    assert info.channel == "byterazor"
    assert (info.upload_date, info.duration_s, info.language) == ("2013-12-28", 3710.0, "eng")
    assert info.thumbnail_url == "https://static.media.ccc.de/1839.jpg"
    assert info.webpage_url == TALK
    assert not [served.path for served in site.requests if served.path == "/talk.mp4"]


@pytest.mark.slow
def test_a_site_that_leads_to_a_private_address_is_refused(
    site: MediaServer, tmp_path: Path
) -> None:
    """A recording elsewhere is a hop like any other, in a tunnel too."""
    for recording in ("https://intranet.example/a.mp3", "http://127.0.0.2/a.mp3"):
        describe(site, 60, recording)
        with pytest.raises(BlockedAddress, match="not public"):
            fetch(TALK, tmp_path, allowed_networks=["127.0.0.1/32"])


@pytest.mark.long
def test_a_talk_longer_than_allowed_is_not_begun(site: MediaServer, tmp_path: Path) -> None:
    """The site's own duration is enough to refuse it."""
    with pytest.raises(MediaTooLong, match="3,710 s"):
        fetch(TALK, tmp_path, max_audio_s=3600)
    assert "/jfk.flac" not in [served.path for served in site.requests]


@pytest.mark.long
def test_a_page_that_is_gone_and_a_site_that_changed(site: MediaServer, tmp_path: Path) -> None:
    """404 is told as such; a page that yt-dlp cannot read is no crash but a sentence."""
    with pytest.raises(MediaNotFound, match="404"):
        fetch("https://media.ccc.de/v/other", tmp_path)
    site.serve("v/talk-1", b"<!doctype html><p>We have a new design!</p>")
    with pytest.raises(SourceError, match="event id") as caught:
        fetch(TALK, tmp_path)
    assert "github" not in str(caught.value) and "report" not in str(caught.value)


@pytest.mark.long
def test_a_certificate_that_is_not_trusted_is_refused(
    site: MediaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody in between can answer for the site."""
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(SourceError, match="certificate") as caught:
        fetch(TALK, tmp_path)
    assert not isinstance(caught.value, SourceUnavailable)
    assert not site.requests
