"""Heads of requests that mean two things, or more than they may: over a real socket."""

import socket
from urllib.parse import quote

import httpx
import pytest

from resources.transcriptions.store import RequestStore
from tests.api.uploads.bodies import JFK, UPLOADS
from tests.support.rows import recent_transcriptions

PATH = "/api/v1/transcriptions"
BODY = b'{"url":"https://www.youtube.com/watch?v=dQw4w9WgXcQ"}'
JSON = "Content-Type: application/json"
LENGTH = f"Content-Length: {len(BODY)}"
SMUGGLED = b"POST /api/v1/transcriptions HTTP/1.1\r\nHost: localhost\r\n\r\n"


def raw(server_url: str, data: bytes, patience_s: float = 1) -> bytes:
    """All that the server answers until it hangs up, or says no more for so long."""
    host, port = server_url.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=patience_s) as connection:
        try:
            connection.sendall(data)
            while part := connection.recv(65_536):
                answer += part
        except (TimeoutError, ConnectionError):
            pass
    return answer


def post(*headers: str, body: bytes = BODY, path: str = PATH) -> bytes:
    """A request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", JSON, *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


AMBIGUOUS = [
    ("two lengths", post(LENGTH, "Content-Length: 5")),
    ("a length with a sign", post(f"Content-Length: +{len(BODY)}")),
    ("a list of lengths", post(f"Content-Length: {len(BODY)}, {len(BODY)}")),
    ("a length in hexadecimal", post("Content-Length: 0x35")),
    ("a length and chunks",
     post(LENGTH, "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED)),
    ("chunks that are not the last coding", post("Transfer-Encoding: chunked, identity")),
    ("a coding nobody knows", post("Transfer-Encoding: xchunked")),
    ("chunks of no number", post("Transfer-Encoding: chunked", body=b"zz\r\n" + BODY)),
    ("chunks of a negative number", post("Transfer-Encoding: chunked", body=b"-5\r\n" + BODY)),
    ("a name with a space", post(f"Content-Length : {len(BODY)}")),
    ("a folded line", post("X-A: b\r\n Content-Length: 5")),
    ("a line feed alone", post("X-A: b\nX-B: c", LENGTH)),
    ("a NUL in a header", post("X-A: b\x00c", LENGTH)),
    ("a header without a name", post(": b", LENGTH)),
    ("a header without a colon", post("X-A", LENGTH)),
    ("70 KiB of headers", post(LENGTH, *(f"X-{n}: {'y' * 1000}" for n in range(70)))),
    ("300 KiB of headers", post(LENGTH, *(f"X-{n}: {'y' * 1000}" for n in range(300)))),
    ("a header of 70 KiB", post(LENGTH, f"X: {'y' * 70_000}")),
    ("a path of 70 KiB", post(LENGTH, path=f"{PATH}?{'y' * 70_000}")),
    ("a version there is not", post(LENGTH).replace(b"HTTP/1.1", b"HTTP/9.9")),
    ("a path with a space", post(LENGTH, path="/api/v1 /transcriptions")),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
    ("no HTTP", b"\x00" * 1_000),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("data", [row[1] for row in AMBIGUOUS], ids=[row[0] for row in AMBIGUOUS])
def test_what_could_be_read_in_two_ways_is_refused(
    server_url: str, request_store: RequestStore, data: bytes
) -> None:
    """400 or 422 or a connection that ends; never two answers, and nothing is queued."""
    answer = raw(server_url, data)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 422", b"HTTP/1.1 431"))
    assert recent_transcriptions(request_store.postgres) == []
    assert httpx.get(f"{server_url}/healthz").status_code == 200


INVENTED = [
    ("another host", "X-Forwarded-Host: evil.example"),
    ("another host, by the standard", "Forwarded: host=evil.example;proto=https;for=6.6.6.6"),
    ("another scheme", "X-Forwarded-Proto: https"),
    ("another prefix", "X-Forwarded-Prefix: //evil.example"),
    ("another port", "X-Forwarded-Port: 22"),
    ("another path", "X-Original-URL: /api/v1/admin/overview"),
    ("another path again", "X-Rewrite-URL: /api/v1/admin/overview"),
    ("another method", "X-HTTP-Method-Override: DELETE"),
    ("another client", "X-Real-IP: 6.6.6.6"),
    ("another client by a proxy's name", "X-Forwarded-For: 127.0.0.1"),
]


@pytest.mark.long
@pytest.mark.parametrize("header", [row[1] for row in INVENTED], ids=[row[0] for row in INVENTED])
def test_what_a_client_invents_changes_nothing(server_url: str, header: str) -> None:
    """Links, addresses and rights are the same as without it."""
    name, _, value = header.partition(": ")
    plain = httpx.post(f"{server_url}{PATH}", content=BODY, headers={"Content-Type": JSON[14:]})
    answer = httpx.post(
        f"{server_url}{PATH}", content=BODY, headers={"Content-Type": JSON[14:], name: value}
    )

    assert (answer.status_code, plain.status_code) == (202, 202)
    assert answer.headers["Location"] == plain.headers["Location"]
    assert answer.json()["status_url"] == plain.json()["status_url"]
    assert "evil.example" not in f"{answer.headers}{answer.text}"
    assert "access-control-allow-origin" not in answer.headers


def test_a_head_without_end_is_cut(server_url: str) -> None:
    """One header, or many, as long as anybody likes to send: a megabyte of it is not read."""
    host, port = server_url.removeprefix("http://").split(":")
    for block in (b"y" * 65_536, b"X-A: b\r\n" * 8_192):
        sent = 0
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
            with pytest.raises(ConnectionError):
                while sent < 64 * 1024**2:
                    connection.sendall(block)
                    sent += len(block)
        assert sent < 16 * 1024**2  # what sockets hold


BREAKS = ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a%0d%0aX-Evil: 1", "a\u2028X-Evil: 1"]


@pytest.mark.parametrize("text", BREAKS, ids=["CR LF", "LF", "CR", "percents", "U+2028"])
@pytest.mark.long
def test_no_untrusted_text_begins_a_header(server_url: str, text: str) -> None:
    """Neither a file's name nor an id nor a query, wherever the answer repeats it."""
    quoted = quote(text, safe="")
    named = {"Content-Disposition": f"attachment; filename*=UTF-8''{quoted}.flac"}
    answers = [
        httpx.post(f"{server_url}{UPLOADS}?filename={quoted}.flac", content=JFK),
        httpx.post(f"{server_url}{UPLOADS}", content=JFK, headers=named),
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    for path in (f"{PATH}/{quoted}", f"/{quoted}", f"{PATH}?cursor={quoted}", f"/pages/{quoted}"):
        answers.append(httpx.get(f"{server_url}{path}"))
        assert answers[-1].status_code in (400, 404)
        assert "\r" not in answers[-1].json()["detail"]
    assert not any("x-evil" in answer.headers for answer in answers)


PATHS_INSIDE = [
    "/pages/../app.py", "/pages/..%2fapp.py", "/pages/%2e%2e/app.py", "/pages/..%5capp.py",
    "/pages//etc/passwd", "/pages/%2fetc%2fpasswd", "/docs/assets/..%2f..%2f__init__.py",
    "/pages/%00", "/pages/index.html%00.js", "/..%2f..%2fetc/passwd", "//etc/passwd",
    "/pages/....//app.py", "/pages/.%00./app.py", f"{PATH}/..%2f..%2fetc%2fpasswd/result",
    f"{PATH}/%2e%2e/%2e%2e/admin/overview/x", "http://169.254.169.254/latest/",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS_INSIDE)
def test_no_path_leads_to_a_file_of_ours(server_url: str, path: str) -> None:
    """As it is written, with no client's help: 400 or 404, nothing of a file."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = raw(server_url, request.encode(), 20)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404"))
    assert b"import " not in answer and b"root:" not in answer
