"""The egress proxy refuses addresses that are not public, and passes on the rest unchanged."""

import errno
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import requests

from resources.download.ytdlp_process import known_better
from resources.network import egress_proxy
from resources.network.egress_proxy import EgressProxy
from resources.network.http_head import basic_authorization
from tests.support.patience import patience
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.errors import NetworkUnavailable, SourceUnavailable

LOOPBACK = ("127.0.0.0/8",)
PRIVATE_TARGETS = [
    *("127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0.0.0.0"),
    *("169.254.169.254", "10.1.2.3", "192.168.0.1", "172.20.0.1", "100.64.0.1", "224.0.0.1"),
    *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[fd00::1]"),
]


@contextmanager
def proxy(**options: object) -> Iterator[EgressProxy]:
    options.setdefault("max_bytes", 1 << 30)
    with EgressProxy(**options) as running:  # pyright: ignore[reportArgumentType]
        yield running


def get(proxy: EgressProxy, url: str, **options: object) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, proxies={"all": proxy.url}, timeout=10, **options)  # pyright: ignore


def authorization(proxy: EgressProxy) -> str:
    split = urlsplit(proxy.url)
    return basic_authorization(str(split.username), str(split.password))


def raw(proxy: EgressProxy, data: bytes, wait_s: float = 5) -> bytes:
    """Return all that the proxy answers to these bytes until it hangs up."""
    split = urlsplit(proxy.url)
    received = b""
    with socket.create_connection(
        ("127.0.0.1", int(split.port or 0)), timeout=wait_s
    ) as connection:
        connection.sendall(data)
        try:
            while part := connection.recv(65536):
                received += part
        except (TimeoutError, ConnectionError):
            pass
    return received


def request(proxy: EgressProxy, line: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [line, f"Proxy-Authorization: {authorization(proxy)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def test_an_allowed_server_is_reached_by_plain_http_and_by_tunnel() -> None:
    """Bytes, status, headers and Range pass unchanged; the proxy counts the bytes."""
    with MediaServer() as server, proxy(allowed_networks=LOOPBACK) as running:
        whole = get(running, server.url("jfk.flac"))
        part = get(running, server.url("jfk.flac"), headers={"Range": "bytes=10-19"})
        missing = get(running, server.url("status/404"))
        lines = f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"
        inner = b"GET /jfk.flac HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        tunnelled = raw(running, request(running, lines) + inner)
        assert whole.content == server.read("jfk.flac")
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        assert missing.status_code == 404
        assert tunnelled.startswith(b"HTTP/1.1 200") and tunnelled.endswith(whole.content)
        assert running.traffic.bytes_received > 2 * len(whole.content)
        assert not running.traffic.refused


@pytest.mark.parametrize("host", PRIVATE_TARGETS)
def test_private_targets_are_refused_in_every_spelling(host: str) -> None:
    """Neither a plain request nor a tunnel reaches an address that is not public."""
    with MediaServer(host="0.0.0.0") as server, proxy() as running:
        for port in (80, server.port):
            plain = raw(running, request(running, f"GET http://{host}:{port}/jfk.flac HTTP/1.1"))
            tunnel = raw(running, request(running, f"CONNECT {host}:{port} HTTP/1.1"))
            assert plain.startswith(b"HTTP/1.1 403") and tunnel.startswith(b"HTTP/1.1 403")
        assert len(running.traffic.refused) == 4
        assert not server.requests


@pytest.mark.parametrize("port", [22, 25, 5432, 6379, 8080])
def test_public_addresses_are_reached_on_web_ports_only(port: int) -> None:
    """Ports other than 80 and 443 of a public address are refused before connecting."""
    with proxy() as running:
        answer = raw(running, request(running, f"CONNECT 1.1.1.1:{port} HTTP/1.1"))
        assert answer.startswith(b"HTTP/1.1 403")
        assert running.traffic.refused == [f"1.1.1.1:{port}: only the ports 80 and 443 are open"]


def test_a_name_with_one_private_address_among_public_ones_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every address of a name is checked, not the first alone."""

    async def answer(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.7"]

    monkeypatch.setattr(egress_proxy, "resolve", answer)
    with proxy() as running:
        assert get(running, "http://media.example/a.mp3").status_code == 403
        assert running.traffic.refused == ["media.example:80: its address is not public"]


def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name cannot change to a private address between check and connection."""
    resolved: list[str] = []

    async def rebind(host: str, port: int) -> list[str]:
        resolved.append(host)
        return ["127.0.0.1"] if len(resolved) == 1 else ["10.0.0.7"]

    monkeypatch.setattr(egress_proxy, "resolve", rebind)
    with MediaServer() as server, proxy(allowed_networks=LOOPBACK) as running:
        url = f"http://rebind.example:{server.port}/jfk.flac"
        first, second = get(running, url), get(running, url)
        assert (first.status_code, second.status_code) == (200, 403)
        assert resolved == ["rebind.example"] * 2
        assert server.requests[0].headers["Host"] == f"rebind.example:{server.port}"
        assert len(server.requests) == 1


def test_a_second_request_on_the_same_connection_is_not_served() -> None:
    """A connection carries one request, so that none passes unchecked by keep-alive."""
    with MediaServer() as server, proxy(allowed_networks=LOOPBACK) as running:
        one = request(running, f"GET {server.url('status/200')} HTTP/1.1", "Connection: keep-alive")
        two = request(running, f"GET {server.url('jfk.flac')} HTTP/1.1")
        three = request(running, "GET http://10.0.0.1/ HTTP/1.1")
        answer = raw(running, one + two + three)
        assert answer.count(b"HTTP/1.1") == 1
        assert b"connection: close" in answer.lower()
        assert [served.path for served in server.requests] == ["/status/200"]


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("GET /jfk.flac HTTP/1.1", (), 400),
        ("GET file:///etc/passwd HTTP/1.1", (), 400),
        ("GET ftp://example.com/ HTTP/1.1", (), 400),
        ("GET https://example.com/ HTTP/1.1", (), 400),
        ("GET http://user@example.com/ HTTP/1.1", (), 400),
        ("GET http://exa mple.com/ HTTP/1.1", (), 400),
        ("GET http://example.com:99999/ HTTP/1.1", (), 400),
        ("GET http://[fe80::1%25eth0]/ HTTP/1.1", (), 400),
        ("CONNECT example.com HTTP/1.1", (), 400),
        ("TRACE http://example.com/ HTTP/1.1", (), 405),
        ("GET http://example.com/ HTTP/2.0", (), 400),
        ("POST http://example.com/ HTTP/1.1", ("Content-Length: 1", "Content-Length: 2"), 400),
        ("POST http://example.com/ HTTP/1.1", ("Content-Length: 1", "Content-Length: 1"), 400),
        ("POST http://example.com/ HTTP/1.1", ("Content-Length: 1, 1",), 400),
        ("POST http://example.com/ HTTP/1.1", ("Content-Length: +1",), 400),
        ("POST http://example.com/ HTTP/1.1", ("Transfer-Encoding: chunked",), 411),
        ("POST http://example.com/ HTTP/1.1", ("Content-Length: 99999999999",), 413),
        ("GET http://example.com/ HTTP/1.1", ("A : b",), 400),
        ("GET http://example.com/ HTTP/1.1", ("A: b\r\n folded",), 400),
        ("GET http://example.com/ HTTP/1.1", ("A: b\nX: y",), 400),
        ("GET http://example.com/ HTTP/1.1", ("A: b\n",), 400),
        ("GET http://example.com/ HTTP/1.1", ("A: b\x01",), 400),
        ("GET http://example.com/ HTTP/1.1", ("Host: a", "Host: b"), 400),
    ],
)
def test_ambiguous_requests_are_refused(line: str, headers: tuple[str, ...], status: int) -> None:
    """A request that two parsers could read in two ways is not passed on."""
    with proxy() as running:
        answer = raw(running, request(running, line, *headers))
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_the_host_header_is_that_of_the_url() -> None:
    """Another Host header, and headers about the proxy, are not passed on."""
    with MediaServer() as server, proxy(allowed_networks=LOOPBACK) as running:
        headers = ("Host: 10.0.0.1", "Connection: close, X-Secret", "X-Secret: 1", "X-Kept: 2")
        raw(running, request(running, f"GET {server.url('jfk.flac')} HTTP/1.1", *headers))
        seen = server.requests[0].headers
        assert seen["Host"] == f"127.0.0.1:{server.port}"
        assert "X-Secret" not in seen and "Proxy-Authorization" not in seen
        assert seen["X-Kept"] == "2"


def test_only_its_own_download_may_use_the_proxy() -> None:
    """Without this download's token every request is refused with 407."""
    with MediaServer() as server, proxy(allowed_networks=LOOPBACK) as running:
        bare = f"GET {server.url('jfk.flac')} HTTP/1.1\r\n"
        wrong = f"Proxy-Authorization: {basic_authorization('ytcaption', 'guess')}\r\n"
        for head in (bare, bare + wrong, f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n"):
            assert raw(running, f"{head}\r\n".encode()).startswith(b"HTTP/1.1 407")
        assert not server.requests


def test_a_body_is_passed_on_in_full_and_nothing_after_it() -> None:
    """POST works, and bytes beyond Content-Length are not passed on."""
    with MediaServer() as server, proxy(allowed_networks=LOOPBACK) as running:
        line = f"POST {server.url('status/200')} HTTP/1.1"
        smuggled = b"GET /jfk.flac HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = raw(running, request(running, line, "Content-Length: 3", body=b"abc" + smuggled))
        assert answer.startswith(b"HTTP/1.1 200")
        assert [served.method for served in server.requests] == ["POST"]


def test_the_byte_limit_ends_an_endless_response() -> None:
    """It ends with an error, also in a tunnel, and is recorded."""
    with MediaServer() as server:
        with proxy(allowed_networks=LOOPBACK, max_bytes=1_000_000) as running:
            with pytest.raises(requests.RequestException):
                get(running, server.url("endless/a.mp3"))
            assert running.traffic.too_many_bytes
            assert running.traffic.bytes_received < 2_000_000
        with proxy(allowed_networks=LOOPBACK, max_bytes=1_000_000) as running:
            inner = b"GET /endless/a.mp3 HTTP/1.1\r\nHost: x\r\n\r\n"
            line = f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"
            assert len(raw(running, request(running, line) + inner)) <= 1_000_200
            assert running.traffic.too_many_bytes


def test_a_truncated_response_does_not_look_complete() -> None:
    """If the server hangs up early, the client gets an error."""
    with (
        MediaServer() as server,
        proxy(allowed_networks=LOOPBACK) as running,
        pytest.raises(requests.RequestException),
    ):
        get(running, server.url("cut/jfk.flac", after=1000))


def test_unknown_names_and_dead_servers_are_recorded() -> None:
    """Both give 502, and the record tells them apart."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with proxy(allowed_networks=LOOPBACK) as running:
        assert get(running, "http://nowhere.invalid/a.mp3").status_code == 502
        assert get(running, f"http://127.0.0.1:{port}/a.mp3").status_code == 502
        assert running.traffic.unreachable == [
            "nowhere.invalid has no address",
            "127.0.0.1 does not answer",
        ]


@pytest.mark.parametrize(
    ("failure", "offline"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), True),
        (TimeoutError(), True),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), False),
    ],
)
def test_a_machine_without_name_servers_is_distinguished_from_an_unknown_name(
    monkeypatch: pytest.MonkeyPatch, failure: OSError, offline: bool
) -> None:
    """The one is a fault here and passes; the other is a wrong link or a site that is gone."""

    async def resolve(host: str, port: int) -> list[str]:
        raise failure

    monkeypatch.setattr("resources.network.egress_proxy.resolve", resolve)
    with proxy(allowed_networks=LOOPBACK) as running:
        assert get(running, "http://example.org/a.mp3").status_code == 502
    error = known_better(SourceUnavailable("It failed."), running.traffic)
    if offline:
        assert isinstance(error, NetworkUnavailable) and error.retryable
        assert "no name server answers for example.org. Check its network" in str(error)
    else:
        assert type(error) is SourceUnavailable


def test_a_machine_without_a_route_is_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a cable that is out."""

    async def unreachable(*args: object, **options: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    with proxy(allowed_networks=LOOPBACK) as running:
        monkeypatch.setattr(running, "_open", unreachable)
        assert get(running, "http://127.0.0.1:9/a.mp3").status_code == 502
    assert running.traffic.offline == "no network leads to 127.0.0.1"


def test_a_silent_server_times_out() -> None:
    """The connection ends with an error after the idle time without a byte."""
    with (
        MediaServer() as server,
        proxy(allowed_networks=LOOPBACK, idle_timeout_s=0.3) as running,
        pytest.raises(requests.RequestException),
    ):
        get(running, server.url("stall/jfk.flac", after=1000))


def test_leaving_ends_open_connections_and_the_thread() -> None:
    """The proxy leaves no thread and no connection, even if transfers are in progress."""
    before = threading.active_count()
    with MediaServer() as server:
        with proxy(allowed_networks=LOOPBACK) as running:
            port = int(urlsplit(running.url).port or 0)
            connection = socket.create_connection(("127.0.0.1", port))
            line = f"GET {server.url('stall/jfk.flac', after=10)} HTTP/1.1"
            connection.sendall(request(running, line))
            assert connection.recv(10)
            started = time.monotonic()
        assert time.monotonic() - started < 2 * patience()
        connection.settimeout(2)
        with pytest.raises(ConnectionError), connection:
            while connection.recv(65536):
                pass
            raise ConnectionError  # closed in order: as good
    time.sleep(0.1)
    assert threading.active_count() <= before + 1


def test_leaving_an_open_tunnel_logs_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """yt-dlp keeps its connections open until it ends."""
    with MediaServer() as server, proxy(allowed_networks=LOOPBACK) as running:
        port = int(urlsplit(running.url).port or 0)
        connection = socket.create_connection(("127.0.0.1", port), timeout=5)
        connection.sendall(request(running, f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"))
        assert b"200" in connection.recv(4096)
    connection.close()
    assert not caplog.records
