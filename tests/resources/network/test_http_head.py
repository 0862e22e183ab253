"""Heads of HTTP messages: what the egress proxy passes on, and what it refuses."""

import pytest

from resources.network.http_head import BadHead, basic_authorization, parse_request, parse_response

AUTHORIZATION = basic_authorization("ytcaption", "token")


def request(*lines: str) -> bytes:
    return "\r\n".join((*lines, f"Proxy-Authorization: {AUTHORIZATION}", "", "")).encode("latin-1")


def test_a_request_keeps_its_headers_as_they_were_sent():
    """Spelling and order stay; what is about one connection is dropped."""
    head = request(
        "POST http://[2001:db8::1]:8080/a?b=c#d HTTP/1.1",
        "X-ODD-Case: \t padded \xe9 ",
        "Connection: keep-alive, X-Hop",
        "X-Hop: 1",
        "content-length: 3",
        "Expect: 100-continue",
    )
    parsed = parse_request(head, authorization=AUTHORIZATION)
    assert (parsed.host, parsed.port, parsed.body_bytes) == ("2001:db8::1", 8080, 3)
    assert parsed.to_server() == (
        b"POST /a?b=c HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\nConnection: close\r\n"
        b"X-ODD-Case: padded \xe9\r\ncontent-length: 3\r\n\r\n"
    )


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_client_may_leave_out_the_host(version: str):
    """The proxy takes the host from the URL; http.client of Python 3.11 sends no header."""
    parsed = parse_request(
        request(f"CONNECT example.com:443 HTTP/{version}"), authorization=AUTHORIZATION
    )
    assert parsed.is_tunnel and (parsed.host, parsed.port) == ("example.com", 443)


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5",
        "Content-Length: ",
        "Content-Length: 5, 5",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "transfer-encoding: gzip, chunked",
    ],
)
def test_a_response_keeps_how_its_body_is_framed(framing: str):
    """The client judges the framing: unusual servers work as they do without a proxy."""
    head = f"HTTP/1.1 200 All  good\r\nServer: x\r\n{framing}\r\nKeep-Alive: timeout=5\r\n\r\n"
    parsed = parse_response(head.encode())
    assert parsed.to_client().decode() == (
        f"HTTP/1.1 200 All  good\r\nConnection: close\r\nServer: x\r\n{framing}\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("ICY 200 OK\r\n\r\n", 502),
        ("HTTP/2.0 200 OK\r\n\r\n", 502),
        ("HTTP/1.1 600 OK\r\n\r\n", 502),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", 502),
        ("HTTP/1.1 200 OK\r\nA: b\nX: y\r\n\r\n", 400),
        ("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", 400),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n folded\r\n\r\n", 400),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\x01\r\n\r\n", 400),
        ("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", 400),
        ("HTTP/1.1 200 \x1b[31m\r\n\r\n", 400),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", 400),
        ("HTTP/1.1 200 OK\r\nno header\r\n\r\n", 400),
    ],
)
def test_a_malformed_response_is_refused(head: str, status: int):
    """h11 alone would accept some of these."""
    with pytest.raises(BadHead) as caught:
        parse_response(head.encode("latin-1"))
    assert caught.value.status == status
