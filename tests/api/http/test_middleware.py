"""What holds for every request: ids, headers, access, logging, limits."""

import errno
import logging
import socket

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.auth import usage_routes as usage
from api.http.middleware import SECURITY_HEADERS
from tests.api.conftest import BASE_URL, UNKNOWN_ID
from ytcaption.settings.settings import Settings

PATH = "/api/v1/transcriptions"


def test_a_request_has_an_id_everywhere(client: TestClient) -> None:
    """The client's id is returned in the header and in the problem."""
    answer = client.get(f"{PATH}/{UNKNOWN_ID}", headers={"X-Request-Id": "ticket-4711.a"})

    assert answer.headers["X-Request-Id"] == "ticket-4711.a" == answer.json()["request_id"]


@pytest.mark.parametrize(
    "offered",
    [
        "",
        "a b",
        "a\tb",
        "<script>",
        "a" * 65,
        "é",
        "-a",
        "a;b",
        '"a"',
        "${jndi:ldap://x}",
        "a/../b",
    ],
)
def test_an_id_that_is_not_safe_to_print_is_replaced(client: TestClient, offered: str) -> None:
    """Only letters, digits, dot, dash and underscore are accepted."""
    answer = client.get("/healthz", headers={b"X-Request-Id": offered.encode("latin-1")})

    assert answer.headers["X-Request-Id"] != offered
    assert len(answer.headers["X-Request-Id"]) == 32


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/healthz", "/nothing", "/pages/app.js", PATH]
)
def test_security_headers_are_on_every_response(client: TestClient, path: str) -> None:
    """Pages, JSON and errors have them."""
    answer = client.get(path)

    assert {name for name in SECURITY_HEADERS if name in answer.headers} == set(SECURITY_HEADERS)
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/healthz/", 404, "not_found"),
        ("GET", "/pages/../app.py", 404, "not_found"),
        ("GET", "/pages/%2e%2e/app.py", 404, "not_found"),
        ("GET", "/docs/assets/%2e%2e/core.py", 404, "not_found"),
        ("GET", "/pages/", 404, "not_found"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
        ("DELETE", PATH, 405, "method_not_allowed"),
        ("PUT", f"{PATH}/{UNKNOWN_ID}", 405, "method_not_allowed"),
        ("TRACE", f"{PATH}/{UNKNOWN_ID}/result", 405, "method_not_allowed"),
        ("OPTIONS", PATH, 405, "method_not_allowed"),
        ("PROPFIND", "/", 405, "method_not_allowed"),
    ],
)
@pytest.mark.long
def test_every_refusal_is_a_problem(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    """Every error has the same form, whichever part of the server raises it."""
    answer = client.send(client.build_request(method, f"{BASE_URL}{path}"))

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:ytcaption:problem:{code}"
    assert answer.json()["status"] == status


def test_allow_lists_all_methods_of_an_address(client: TestClient) -> None:
    """A 405 lists the methods of all routes, with HEAD beside GET."""
    for method, path, allowed in (
        ("POST", "/api/v1/options", "GET, HEAD"),
        ("GET", "/api/v1/uploads", "POST"),
        ("PUT", PATH, "GET, HEAD, POST"),
        ("PUT", f"{PATH}/{UNKNOWN_ID}", "GET, HEAD, PATCH, DELETE"),
        ("DELETE", "/pages/app.js", "GET, HEAD"),
    ):
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
        assert answer.json()["detail"] == f"This address supports {allowed} only."


@pytest.mark.long
def test_head_has_no_body_anywhere(server_url: str) -> None:
    """Pages, JSON and errors answer HEAD and send nothing after the headers."""
    host, port = server_url.removeprefix("http://").split(":")
    for path, status in (("/", 200), ("/healthz", 200), ("/openapi.json", 200), ("/no", 404)):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            request = f"HEAD {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            connection.sendall(request.encode())
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))

        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status}".encode())
        assert b"content-length: 0" not in head.lower()
        assert body == b""


def test_an_unexpected_error_is_a_500_without_a_traceback(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets an id, the log gets the cause."""

    def broken(*_: object) -> None:
        raise RuntimeError("select secret from table at /srv/secret")

    monkeypatch.setattr(usage, "usage_of", broken)

    answer = client.get("/api/v1/usage")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]
    assert "X-Content-Type-Options" in answer.headers
    assert any(answer.json()["request_id"] in record.getMessage() for record in caplog.records)
    assert "select secret" in caplog.text


@pytest.mark.parametrize(
    ("error", "code", "detail", "log"),
    [
        (MemoryError("secret"), "out_of_memory", "too little memory", "Stop other programs"),
        (OSError(errno.ENOSPC, "secret"), "disk_full", "disk is full", "Free some space"),
        (OSError(errno.EMFILE, "secret"), "setup_error", "its log says why", "LimitNOFILE"),
    ],
    ids=["memory", "disk", "files"],
)
def test_a_shortage_of_the_machine_is_a_503_that_says_so(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    code: str,
    detail: str,
    log: str,
) -> None:
    """Whatever library ran into it; the log says what the operator can do."""

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(usage, "usage_of", broken)

    answer = client.get("/api/v1/usage")

    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert detail in answer.json()["detail"] and "secret" not in answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert log in caplog.text


def test_one_log_line_per_request_without_its_query(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    """It has method, path, status, id and duration; neither query nor body, and no line break from
    a client."""
    caplog.set_level(logging.INFO)
    client.get("/nothing%0aforged?token=s3cret", headers={"X-Request-Id": "abc"})

    lines = [record for record in caplog.records if record.name == "api.access"]
    assert len(lines) == 1
    assert lines[0].getMessage().startswith("GET /nothing\\nforged")
    assert lines[0].__dict__["request_id"] == "abc"
    assert lines[0].__dict__["took_ms"] >= 0
    assert "s3cret" not in str(lines[0].__dict__)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000", "169.254.169.254",
     "[::2]", "", "0.0.0.0", "127.0.0.1@evil.example", "evil.example:127.0.0.1", "2130706433"],
)  # fmt: skip
def test_a_page_that_rebinds_its_name_is_refused(client: TestClient, host: str) -> None:
    """A Host that is not this machine is answered with 421."""
    answer = client.get("/healthz", headers={"Host": host})

    assert (answer.status_code, answer.json()["code"]) == (421, "misdirected_request")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1", "127.9.9.9:1", "[::1]:8000", "LOCALHOST."]
)
def test_loopback_hosts_are_accepted(client: TestClient, host: str) -> None:
    """Any loopback name works."""
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_a_server_bound_elsewhere_stays_closed(settings: Settings) -> None:
    """A socket that others can reach is refused, even if the Host header says localhost."""
    with TestClient(create_app(settings), base_url="http://192.0.2.7:8000") as client:
        answer = client.get("/healthz", headers={"Host": "localhost"})

    assert answer.status_code == 421


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "9" * 40, "a"])
def test_a_content_length_that_is_no_number_is_refused(client: TestClient, length: str) -> None:
    """The status is 400, and nothing is read."""
    answer = client.post(PATH, content=b"{}", headers={"Content-Length": length})

    assert answer.status_code == 400


def test_a_body_that_announces_too_much_is_not_read(client: TestClient) -> None:
    """The Content-Length alone causes 413, at any address."""
    for path in (PATH, "/nothing"):
        answer = client.post(path, content=b"{}", headers={"Content-Length": "65537"})
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
