"""What downloads go out with: proxies and cookies of the operator's, by real yt-dlp, over TLS."""

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from resources.download.downloader import Download
from resources.download.egress import EgressRoute
from resources.download.protocol import NO_IDENTITY, ClientIdentity
from resources.network import egress_proxy
from resources.network.egress_proxy import EgressProxy
from resources.sites.resolve import resolve_source
from tests.resources.download.downloads import LOOPBACK, direct, downloader
from tests.resources.download.test_youtube_site import TALK, describe
from tests.resources.network.test_egress_proxy import get
from tests.support.servers.media_server import MediaServer
from tests.support.servers.upstream_proxy import UpstreamProxy
from ytcaption.domain.errors import BlockedAddress, ProxyUnavailable, SourceUnavailable
from ytcaption.domain.media.egress import Upstream

PUBLIC = "93.184.216.34"
AUDIO = "https://cdn.media.ccc.de/jfk.flac"
SIZE = 196_348
COOKIES = (
    "# Netscape HTTP Cookie File\n.media.ccc.de\tTRUE\t/\tTRUE\t4102444800\tsession\tmine-alone\n"
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MediaServer]:
    """media.ccc.de and other.example on loopback, by a public address that a proxy leads there."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("media.ccc.de", "*.media.ccc.de", "other.example").configure_cert(context)
    certificate = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    resolve = egress_proxy.resolve

    async def patched(host: str, port: int) -> list[str]:
        if host == "inside.example":
            return ["10.0.0.9"]
        is_known = host == "other.example" or host.endswith("media.ccc.de")
        return [PUBLIC] if is_known else await resolve(host, port)

    monkeypatch.setattr(egress_proxy, "resolve", patched)
    with MediaServer(tls=context) as server:
        server.serve("v/talk-1", b"<!doctype html><video data-id='1839'></video>")
        describe(server, 3710, AUDIO)
        yield server


def routes(site: MediaServer) -> dict[int, tuple[str, int]]:
    return {443: ("127.0.0.1", site.port)}


def through(*proxies: UpstreamProxy, identity: ClientIdentity = NO_IDENTITY) -> EgressRoute:
    upstreams = Upstream.parse_all(",".join(each.url for each in proxies))
    return EgressRoute(upstreams=upstreams, identity=identity)


def fetch(folder: Path, route: EgressRoute, **overrides: object) -> Download:
    source = resolve_source(TALK, sites=("media.ccc.de",))
    folder.mkdir(exist_ok=True)
    overrides = {"max_audio_s": 4000, **overrides}
    found = downloader(**overrides).captions_or_audio(
        source, folder, None, lambda done, total: None, route=route
    )
    assert isinstance(found, Download)
    return found


@pytest.mark.parametrize("kind", ["http", "socks5"])
@pytest.mark.long
def test_everything_goes_through_the_proxy(kind: str, site: MediaServer, tmp_path: Path):
    """With its password, and it is told addresses, never names: it resolves nothing."""
    with UpstreamProxy(routes(site), kind=kind, user="me", password="s3cret/") as proxy:
        route = EgressRoute(
            upstreams=Upstream.parse_all(f"{kind}://me:s3cret%2F@127.0.0.1:{proxy.port}")
        )
        found = fetch(tmp_path / "a", route)
    assert found.size_bytes == SIZE
    assert set(proxy.targets) == {(PUBLIC, 443)}
    assert route.traffic.upstream.works == proxy.name
    assert route.traffic.bytes_received > SIZE


@pytest.mark.long
def test_the_first_proxy_that_works_is_used(site: MediaServer, tmp_path: Path):
    """One is dead, one wants another password, one has no more to give: each is noted, and the
    fourth is used from then on."""
    with ExitStack() as stack:
        dead, locked, empty, good = (
            stack.enter_context(UpstreamProxy(routes(site), **options))  # pyright: ignore
            for options in ({}, {"user": "me", "password": "other"}, {"answer": 402}, {})
        )
        dead.die()
        locked.password = "changed"
        route = EgressRoute(
            upstreams=Upstream.parse_all(
                f"{dead.url},http://me:mine@127.0.0.1:{locked.port},{empty.url},{good.url}"
            )
        )
        assert fetch(tmp_path / "a", route).size_bytes == SIZE
        assert route.traffic.upstream.works == good.name
        assert route.traffic.upstream.errors == {
            dead.name: "it cannot be connected to",
            locked.name: "it answers 407",
            empty.name: "it answers 402",
        }
        assert len(locked.targets) == 1, "it is not tried again"
        assert not dead.targets


@pytest.mark.slow
def test_a_proxy_that_dies_midway_ends_the_attempt(site: MediaServer, tmp_path: Path):
    """The media's address is bound to it, so no other one takes over; it is no fault of the site,
    and the next attempt goes on where this one was, through another."""
    with (
        UpstreamProxy(routes(site), die_after=120_000) as dies,
        UpstreamProxy(routes(site)) as good,
    ):
        route = through(dies, good)
        with pytest.raises(ProxyUnavailable, match="does not work"):
            fetch(tmp_path / "a", route)
        assert not good.targets
        assert route.traffic.upstream.errors == {dies.name: "it cannot be connected to"}
        assert fetch(tmp_path / "a", through(good)).size_bytes == SIZE
    ranges = [each.range for each in site.requests if each.path == "/jfk.flac"]
    assert ranges[-1] and not ranges[-1].startswith("bytes=0-"), "the rest alone"


@pytest.mark.long
def test_a_server_that_a_proxy_cannot_reach_is_the_servers_fault(site: MediaServer, tmp_path: Path):
    """Otherwise one dead link would make every proxy cool down."""
    with UpstreamProxy(routes(site), answer=502) as proxy:
        route = through(proxy)
        with pytest.raises(SourceUnavailable, match="does not answer"):
            fetch(tmp_path / "a", route)
        assert route.traffic.upstream.errors == {} and proxy.targets


@pytest.mark.slow
def test_private_addresses_stay_closed_behind_a_proxy(site: MediaServer, tmp_path: Path):
    """The proxy is not even asked: every hop is checked here first."""
    describe(site, 3710, "https://cdn.media.ccc.de/redirect?to=https://inside.example/a")
    with UpstreamProxy(routes(site)) as proxy, pytest.raises(BlockedAddress):
        fetch(tmp_path / "a", through(proxy))
    assert {host for host, _ in proxy.targets} == {PUBLIC}


@pytest.mark.long
def test_allowed_networks_are_reached_without_the_proxy(tmp_path: Path):
    """A proxy on the internet does not lead into one's own network."""
    with MediaServer() as server, UpstreamProxy({}) as proxy:
        found = downloader().captions_or_audio(
            direct(server.url("jfk.flac")),
            tmp_path,
            None,
            lambda done, total: None,
            route=through(proxy),
        )
        assert isinstance(found, Download) and found.size_bytes == SIZE
        assert not proxy.targets


@pytest.mark.long
def test_cookies_arrive_at_their_own_site_only(
    site: MediaServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """At each of its hosts, and at no other that a redirect leads to; no file and no log has
    them."""
    describe(site, 3710, "https://cdn.media.ccc.de/redirect?to=https://other.example/jfk.flac")
    caplog.set_level(logging.DEBUG)
    with UpstreamProxy(routes(site)) as proxy:
        identity = ClientIdentity(cookies=COOKIES, user_agent="Captioner/1")
        fetch(tmp_path / "a", through(proxy, identity=identity))
    sent = {(each.headers["Host"], each.headers.get("Cookie")) for each in site.requests}
    assert sent == {
        ("media.ccc.de", "session=mine-alone"),
        ("cdn.media.ccc.de", "session=mine-alone"),
        ("other.example", None),
    }
    assert {each.headers["User-Agent"] for each in site.requests} == {"Captioner/1"}
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept and not any(b"mine-alone" in path.read_bytes() for path in kept)
    assert "mine-alone" not in caplog.text
    assert "mine-alone" not in repr(through(proxy, identity=identity))


def test_connections_come_from_the_source_address():
    """Only addresses of its family are connected to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peers: list[str] = []

        def answer() -> None:
            connection, peer = listener.accept()
            peers.append(peer[0])
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        for source, status in (("::1", 502), ("127.0.0.7", 200)):
            with EgressProxy(
                allowed_networks=LOOPBACK, max_bytes=1000, source_address=source
            ) as proxy:
                assert get(proxy, url).status_code == status
        assert peers == ["127.0.0.7"]
